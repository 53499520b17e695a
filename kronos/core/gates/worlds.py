"""Simulated worlds whose truth is known: an incumbent, candidates as good as it, and perhaps one that is better."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from kronos.core.stats.matrix import FloatArray

SESSIONS: Final = 2520
YEAR: Final = 252
_WORLDS_PER_BATCH: Final = 20


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
    sessions: int = SESSIONS


def worlds(truth: Truth, count: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Daily returns [sessions, 1 + candidates] of `count` worlds, incumbent first."""
    for first in range(0, count, _WORLDS_PER_BATCH):
        yield from _batch(truth, rng)[: count - first]


def _batch(truth: Truth, rng: np.random.Generator) -> FloatArray:
    shape = (truth.sessions, _WORLDS_PER_BATCH, 1 + truth.candidates)
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


def _student(rng: np.random.Generator, freedom: float, shape: tuple[int, ...]) -> FloatArray:
    return np.asarray(rng.standard_t(freedom, shape) / np.sqrt(freedom / (freedom - 2.0)))


def _cluster(shocks: FloatArray, alpha: float, beta: float) -> None:
    """Turn unit shocks [sessions, ...] into GARCH(1,1) series of unit variance, in place."""
    variance = np.ones(shocks.shape[1:])
    for today in shocks:
        np.multiply(today, np.sqrt(variance), out=today)
        variance = 1.0 - alpha - beta + alpha * today**2 + beta * variance
