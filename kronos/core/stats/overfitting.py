"""Probability of backtest overfitting: does the config that looks best in one half of the dates stay good in the other?

Combinatorially symmetric cross-validation cuts the dates into an even number of blocks and takes every half of the
blocks once as in-sample, its complement as out-of-sample. Sharpe ratios of a half need only the sum of its blocks' sums
and squares, and the complement of a split is itself a split, so each half is computed once.

Reference: Bailey, Borwein, Lopez de Prado and Zhu (2017), The probability of backtest overfitting, J. of Computational
Finance 20.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Final

import numpy as np

from kronos.core.stats.matrix import FloatArray, Inconclusive, Reason, ReturnMatrix, require_returns
from kronos.errors import BadValue

DEFAULT_BLOCKS: Final = 16
MIN_SESSIONS_PER_BLOCK: Final = 5
MIN_BLOCKS: Final = 6
"""20 splits."""
SPLITS_AT_ONCE: Final = 1024  # what fits into a processor's cache


@dataclass(frozen=True, slots=True)
class Overfitting:
    """What choosing the best config in-sample is worth out of sample, over all splits.

    `probability` (PBO): share of splits whose winner ends at or below the median of all configs out of sample, ties
    counted against it; about 0.5 when all are equally good, so it cannot judge a config by itself. `trails_incumbent`:
    share of splits whose winner has a lower out-of-sample Sharpe ratio than the incumbent (ties count half); None
    without an incumbent. `loss`: share of splits whose winner has a Sharpe ratio below zero out of sample. `slope` and
    `intercept`: the winner's annual Sharpe ratio out of sample regressed on that in sample (degradation; the slope is
    NaN if none varies).
    """

    probability: float
    loss: float
    slope: float
    intercept: float
    trails_incumbent: float | None
    splits: int
    blocks: int
    n_configs: int


def backtest_overfitting(
    returns: ReturnMatrix, *, incumbent: str | None = None, blocks: int = DEFAULT_BLOCKS
) -> Overfitting | Inconclusive:
    """CSCV over all configs of the matrix; `blocks` even, at least 6, each at least 5 sessions and the horizon long.

    `TOO_FEW_TRIALS` for one config, `TOO_FEW_BLOCKS` when the blocks would be too short.
    """
    values = require_returns(returns).values
    if blocks % 2 or blocks < MIN_BLOCKS:
        raise BadValue("blocks", blocks, f"an even number of at least {MIN_BLOCKS}")
    if returns.n_configs < 2:
        return Inconclusive(Reason.TOO_FEW_TRIALS, f"{returns.names[0]} is the only config")
    shortest = max(MIN_SESSIONS_PER_BLOCK, returns.horizon)
    if len(values) // blocks < shortest:
        detail = f"{len(values)} sessions make {blocks} blocks shorter than {shortest}"
        return Inconclusive(Reason.TOO_FEW_BLOCKS, detail)
    column = None if incumbent is None else returns.index(incumbent)
    return _judge(half_sharpes(values, blocks), blocks, column, returns.annual_factor**0.5)


def half_sharpes(values: FloatArray, blocks: int) -> FloatArray:
    """Sharpe ratios per observation (ddof 1) [splits, k] of every half of the blocks, splits in lexicographic order.

    The complement of split i is split -1 - i. A half without variance has 0: no reward for no risk taken.
    """
    edges = np.linspace(0, len(values), blocks + 1).astype(int)
    centre = values.mean(axis=0)
    sums, squares = (np.add.reduceat((values - centre) ** power, edges[:-1], axis=0) for power in (1, 2))
    chosen = _halves(blocks)
    sizes = (chosen @ np.diff(edges))[:, None]
    sharpes = np.empty((len(chosen), values.shape[1]))
    noise = 1e-20 * (values**2).max(axis=0)
    for first in range(0, len(chosen), SPLITS_AT_ONCE):
        part = slice(first, first + SPLITS_AT_ONCE)
        ratio, size = chosen[part] @ sums / sizes[part], sizes[part]
        variance = chosen[part] @ squares
        variance -= size * ratio * ratio
        variance /= size - 1
        flat = variance <= noise
        variance[flat] = np.inf
        ratio += centre
        np.divide(ratio, np.sqrt(variance, out=variance), out=sharpes[part])
    return sharpes


@cache
def _halves(blocks: int) -> FloatArray:
    """0/1 matrix [splits, blocks] of all halves of the blocks, in lexicographic order."""
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))
    matrix = np.zeros((len(chosen), blocks))
    np.put_along_axis(matrix, chosen, 1.0, axis=1)
    matrix.setflags(write=False)
    return matrix


def _judge(sharpes: FloatArray, blocks: int, incumbent: int | None, annual: float) -> Overfitting:
    splits, configs = sharpes.shape
    row, winner = np.arange(splits), sharpes.argmax(axis=1)
    inside, outside = sharpes[row, winner], sharpes[::-1][row, winner]
    others = sharpes[::-1]
    rank = (1 + (others < outside[:, None]).sum(axis=1)) / (configs + 1)
    slope, intercept = _line(inside * annual, outside * annual)
    return Overfitting(
        probability=float((rank <= 0.5).mean()),
        loss=float((outside < 0.0).mean()),
        slope=slope,
        intercept=intercept,
        trails_incumbent=None if incumbent is None else _trailing(outside, others[:, incumbent]),
        splits=splits,
        blocks=blocks,
        n_configs=configs,
    )


def _trailing(winner: FloatArray, incumbent: FloatArray) -> float:
    return float(((winner < incumbent) + 0.5 * (winner == incumbent)).mean())


def _line(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Least squares y = intercept + slope x; the slope is NaN when x does not vary."""
    spread = ((x - x.mean()) ** 2).mean()
    if spread <= 1e-24 * max(float(np.abs(x).max()), 1.0):
        return float("nan"), float(y.mean())
    slope = float(((x - x.mean()) * (y - y.mean())).mean() / spread)
    return slope, float(y.mean() - slope * x.mean())
