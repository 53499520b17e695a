"""Simulated worlds whose truth is known: an incumbent, candidates as good as it, and perhaps one that is better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from kronos.core.stats.bootstrap import DEFAULT_RESAMPLES, Drawing, Draws, GivenDraws, draw
from kronos.core.stats.matrix import Inconclusive, ReturnMatrix
from kronos.core.stats.paired import Improvement, Measure, Plan, planned_improvement
from kronos.core.stats.selection import PValue

SESSIONS = 2520
YEAR = 252
WORLDS_PER_BATCH = 20
WORLDS_PER_PART = 500
"""Worlds that share one set of resamples, which makes thousands of tests affordable and each no less random."""
FIRST_RESAMPLES = 1_000
"""Looked at first: they refuse most worlds in which nothing is better, and no later resample could change that."""
LARGEST_ALPHA = 0.01
"""P-values up to here are kept."""

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class Truth:
    """How the returns of a world come about; all configs have the same true Sharpe ratio, but the planted one.

    tails: degrees of freedom of the t distribution, None for normal. clustering: GARCH(1,1) alpha and beta, None for
    constant volatility. unequal: volatilities between half and twice the incumbent's. active_ratio: annual information
    ratio of the first candidate against the incumbent at equal volatility, 0 for none planted.
    """

    candidates: int = 20
    correlation: float = 0.5
    tails: float | None = None
    clustering: tuple[float, float] | None = None
    unequal: bool = False
    sharpe: float = 1.0
    active_ratio: float = 0.0


ROUGH = {"tails": 5.0, "clustering": (0.08, 0.90), "unequal": True}
"""Heavy tails, persistent volatility clustering with paths of their own, unequal volatilities, all at once."""


def worlds(truth: Truth, count: int, seed: Sequence[int]) -> Iterator[Floats]:
    """Daily returns [SESSIONS, 1 + candidates] of `count` worlds, incumbent first."""
    rng = np.random.default_rng(list(seed))
    for first in range(0, count, WORLDS_PER_BATCH):
        yield from _batch(truth, rng)[: count - first]


def _batch(truth: Truth, rng: np.random.Generator) -> Floats:
    shape = (SESSIONS, WORLDS_PER_BATCH, 1 + truth.candidates)
    shocks = rng.standard_normal(shape) if truth.tails is None else _student(rng, truth.tails, shape)
    own = np.sqrt(1.0 - truth.correlation**2)
    shocks[..., 1:] = truth.correlation * shocks[..., :1] + own * shocks[..., 1:]
    if truth.clustering is not None:
        _cluster(shocks, *truth.clustering)
    shocks += truth.sharpe / np.sqrt(YEAR)
    shocks[..., 1] += truth.active_ratio / np.sqrt(YEAR) * np.sqrt(2.0 - 2.0 * truth.correlation)
    if truth.unequal:
        shocks *= np.exp(rng.uniform(-np.log(2.0), np.log(2.0), shape[1:]))
    return np.asarray(0.01 * shocks.swapaxes(0, 1))


def _student(rng: np.random.Generator, freedom: float, shape: tuple[int, ...]) -> Floats:
    return np.asarray(rng.standard_t(freedom, shape) / np.sqrt(freedom / (freedom - 2.0)))


def _cluster(shocks: Floats, alpha: float, beta: float) -> None:
    """Turn unit shocks [sessions, ...] into GARCH(1,1) series of unit variance, in place."""
    variance = np.ones(shocks.shape[1:])
    for today in shocks:
        np.multiply(today, np.sqrt(variance), out=today)
        variance = 1.0 - alpha - beta + alpha * today**2 + beta * variance


def acceptances(truth: Truth, count: int, seed: Sequence[int]) -> Iterator[tuple[str, float]]:
    """The best config and its p-value in each world in which the improvement test accepts it at `LARGEST_ALPHA`.

    Levels below that can then be judged without another simulation. "c1" is the planted config.
    """
    names = ("incumbent", *(f"c{i}" for i in range(1, truth.candidates + 1)))
    dates = np.datetime64("2010-01-01") + np.arange(SESSIONS)
    drawn = _shared_draws(tuple(seed))
    for values in worlds(truth, count, seed):
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
