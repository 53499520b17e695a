"""Simulated worlds whose truth is known: an incumbent, candidates as good as it, and perhaps one that is better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from kronos.core.gates.worlds import Truth, worlds
from kronos.core.stats.bootstrap import DEFAULT_RESAMPLES, Drawing, Draws, GivenDraws, draw
from kronos.core.stats.matrix import Inconclusive, ReturnMatrix
from kronos.core.stats.paired import Improvement, Measure, Plan, planned_improvement
from kronos.core.stats.selection import PValue

WORLDS_PER_PART = 500
"""Worlds that share one set of resamples, which makes thousands of tests affordable and each no less random."""
FIRST_RESAMPLES = 1_000
"""Looked at first: they refuse most worlds in which nothing is better, and no later resample could change that."""
LARGEST_ALPHA = 0.01
"""P-values up to here are kept."""

ROUGH = {"tails": 5.0, "clustering": (0.08, 0.90), "unequal": True}
"""Heavy tails, persistent volatility clustering with paths of their own, unequal volatilities, all at once."""


def acceptances(truth: Truth, count: int, seed: Sequence[int]) -> Iterator[tuple[str, float]]:
    """The best config and its p-value in each world in which the improvement test accepts it at `LARGEST_ALPHA`.

    Levels below that can then be judged without another simulation. "c1" is the planted config.
    """
    names = ("incumbent", *(f"c{i}" for i in range(1, truth.candidates + 1)))
    dates = np.datetime64("2010-01-01") + np.arange(truth.sessions)
    drawn = _shared_draws(tuple(seed))
    for values in worlds(truth, count, np.random.default_rng(list(seed))):
        best = _accepted(ReturnMatrix(values, names, dates), drawn)
        if best is not None:
            yield best.name, best.p_value.value


def _accepted(returns: ReturnMatrix, drawn: Drawing) -> Improvement | None:
    """What the test with all resamples accepts; they are not needed once the first ones exceed too often."""

    def first(n_sessions: int, block_length: float) -> Draws:
        return GivenDraws(next(drawn(n_sessions, block_length).chunks())[:FIRST_RESAMPLES], block_length)

    early = planned_improvement(returns, "incumbent", Measure.SHARPE, Plan(first))
    if isinstance(early, Inconclusive) or _least_p_value(early.best.p_value) > LARGEST_ALPHA:
        return None
    result = planned_improvement(returns, "incumbent", Measure.SHARPE, Plan(drawn))
    return None if isinstance(result, Inconclusive) or result.accepted(LARGEST_ALPHA) is None else result.best


def _least_p_value(early: PValue) -> float:
    """The p-value of all resamples if none after the first ones exceeds."""
    return early.value * (FIRST_RESAMPLES + 1) / (DEFAULT_RESAMPLES + 1)


def _shared_draws(seed: tuple[int, ...]) -> Drawing:
    @lru_cache(maxsize=4)
    def drawn(n_sessions: int, block_length: float) -> Draws:
        rng = np.random.default_rng([*seed, int(block_length)])
        plan = draw(n_sessions, block_length, rng=rng)
        return GivenDraws(np.concatenate(list(plan.chunks())).astype(np.float32), block_length)

    return drawn
