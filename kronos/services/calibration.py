"""Rerun the judge over simulated nulls and planted edges, in parts that share their resamples."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np

from kronos.core.gates.calibration import Case, Tally, calibrate, combined
from kronos.core.gates.policy import GatePolicy
from kronos.core.stats.bootstrap import Drawing, Draws, GivenDraws, draw

WORLDS_PER_PART = 250
"""Worlds that share one set of resamples, which makes thousands of judgements affordable and each no less random."""


@dataclass(frozen=True)
class Calibrated:
    """A case, what came of it, and what is required of it: nulls accepted at most, the planted config at least."""

    case: Case
    tally: Tally
    most: float | None = None
    least: float | None = None

    @property
    def holds(self) -> bool:
        """Nulls: the upper bound is at most `most`. Edges: the rate itself is at least `least`."""
        if self.most is not None:
            return self.tally.bounds()[1] <= self.most
        return self.least is None or self.tally.rate() >= self.least


def calibrate_part(case: Case, number: int, count: int, policy: GatePolicy, seed: int) -> Tally:
    """One part: worlds and resamples with seeds of their own."""
    entropy = [seed, crc32(case.name.encode()), number]
    return calibrate(case, count, policy, np.random.default_rng(entropy), shared_draws(entropy, policy))


def calibrate_case(
    case: Case, count: int, policy: GatePolicy, *, seed: int, jobs: int, say: Callable[[str], None]
) -> Tally:
    """All parts of a case, `jobs` at once; the same count, policy and seed give the same tally."""
    sizes = [min(WORLDS_PER_PART, count - first) for first in range(0, count, WORLDS_PER_PART)]
    asked = [(case, number, size, policy, seed) for number, size in enumerate(sizes)]
    if jobs == 1 or len(asked) == 1:
        return combined(_said(calibrate_part(*part), place, asked, say) for place, part in enumerate(asked, 1))
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = pool.map(calibrate_part, *zip(*asked, strict=True))
        return combined(_said(tally, place, asked, say) for place, tally in enumerate(found, 1))


def shared_draws(entropy: Sequence[int], policy: GatePolicy) -> Drawing:
    """Resamples that all judgements of a part share, by number of sessions and block length."""

    @lru_cache(maxsize=4)
    def drawn(n_sessions: int, block_length: float) -> Draws:
        rng = np.random.default_rng([*entropy, n_sessions, int(block_length)])
        plan = draw(n_sessions, block_length, rng=rng, resamples=policy.improvement.resamples)
        return GivenDraws(np.concatenate(list(plan.chunks())).astype(np.float32), block_length)

    return drawn


def _said(tally: Tally, place: int, asked: Sequence[object], say: Callable[[str], None]) -> Tally:
    say(f"{place} of {len(asked)} parts: {tally.accepted} of {tally.worlds} accepted")
    return tally
