"""The stationary bootstrap as a matrix of counts: resampled means of every config are one product with it.

A resample of n dates is stored as how often each date was drawn, so with features F [n, k] (a config's returns, their
squares, ...) the resampled means of all k features are `counts @ F / n`. All configs share the draws, which keeps
their dependence and makes differences between them paired.

Reproducible: the draws depend on the generator, n, the block length and the number of resamples, never on memory or
threads. The products are BLAS sums, whose last bits may differ between machines and numbers of threads.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from kronos.core.stats.matrix import FloatArray, Inconclusive, too_few_blocks
from kronos.errors import BadValue

IntArray: TypeAlias = npt.NDArray[np.int64]
Counts: TypeAlias = npt.NDArray[np.int32] | npt.NDArray[np.int64] | npt.NDArray[np.float32] | FloatArray
BoolArray: TypeAlias = npt.NDArray[np.bool_]

DEFAULT_RESAMPLES: Final = 10_000
RESAMPLES_PER_CHUNK: Final = 500
"""Each chunk has a generator of its own, so this number is part of what a seed means: changing it changes draws."""
ROWS_AT_ONCE: Final = 125
"""Counts handed out at once: so few that they stay in a processor's cache and memory is reused, a third faster."""


class Draws(Protocol):
    """Resamples of the dates, as counts."""

    @property
    def n_sessions(self) -> int:
        """Dates in the sample and in every resample."""

    @property
    def block_length(self) -> float:
        """Expected block length of the stationary bootstrap."""

    @property
    def resamples(self) -> int:
        """Number of resamples."""

    def chunks(self) -> Iterator[Counts]:
        """Counts [some resamples, n_sessions] in order; each row sums to n_sessions. Repeatable."""


Drawing: TypeAlias = Callable[[int, float], Draws]
"""Draws for a sample of n_sessions and an expected block length."""


@dataclass(frozen=True, eq=False)
class StationaryDraws:
    """Resamples of Politis and Romano's stationary bootstrap, generated when read; made by `draw`."""

    n_sessions: int
    block_length: float
    resamples: int
    _generators: tuple[np.random.Generator, ...]

    def chunks(self) -> Iterator[Counts]:
        """Counts [<= ROWS_AT_ONCE, n_sessions] in order."""
        for rows, blocks in self._blocks():
            for first in range(0, rows, ROWS_AT_ONCE):
                some = min(ROWS_AT_ONCE, rows - first)
                yield _counts(_part(blocks, first, some, self.n_sessions), some, self.n_sessions)

    def paths(self) -> Iterator[IntArray]:
        """The same resamples as date indices [<= RESAMPLES_PER_CHUNK, n_sessions], for statistics of the path."""
        for rows, blocks in self._blocks():
            offset = np.repeat(blocks.start - blocks.position, blocks.length)
            yield ((offset + np.arange(rows * self.n_sessions)) % self.n_sessions).reshape(rows, -1)

    def _blocks(self) -> Iterator[tuple[int, _Blocks]]:
        for chunk, generator in enumerate(self._generators):
            rows = min(RESAMPLES_PER_CHUNK, self.resamples - chunk * RESAMPLES_PER_CHUNK)
            yield rows, _draw_blocks(copy.deepcopy(generator), rows, self.n_sessions, self.block_length)


@dataclass(frozen=True, eq=False)
class GivenDraws:
    """Resamples drawn elsewhere: counts [resamples, n_sessions]."""

    counts: Counts
    block_length: float

    @property
    def n_sessions(self) -> int:
        """Dates in the sample."""
        return int(self.counts.shape[1])

    @property
    def resamples(self) -> int:
        """Number of resamples."""
        return int(self.counts.shape[0])

    def chunks(self) -> Iterator[Counts]:
        """All counts at once."""
        yield self.counts


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Blocks laid end to end over the flat positions of all resamples of a chunk; none crosses a resample's end."""

    position: IntArray
    length: IntArray
    start: IntArray
    """Date on which the block starts; it wraps from the last date to the first."""


def draw(
    n_sessions: int, block_length: float, *, rng: np.random.Generator, resamples: int = DEFAULT_RESAMPLES
) -> StationaryDraws:
    """Plan `resamples` stationary-bootstrap resamples of `n_sessions` dates, circular, expected block `block_length`.

    Raises `BadValue` for a block length below 1 and for counts below 1.

    Reference: Politis and Romano (1994), The stationary bootstrap, JASA 89.
    """
    if n_sessions < 1 or resamples < 1:
        raise BadValue("n_sessions, resamples", (n_sessions, resamples), "positive numbers")
    if not 1.0 <= block_length <= n_sessions:
        raise BadValue("block_length", block_length, f"a number in [1, {n_sessions}]")
    chunks = -(-resamples // RESAMPLES_PER_CHUNK)
    return StationaryDraws(n_sessions, float(block_length), resamples, tuple(rng.spawn(chunks)))


def planned_draws(values: FloatArray, horizon: int, draw_for: Drawing) -> Draws | Inconclusive:
    """Draws with the shared automatic block length of the series [n_sessions, k], or `TOO_FEW_BLOCKS`."""
    length = shared_block_length(values, horizon)
    short = too_few_blocks(len(values), length)
    return short if short is not None else draw_for(len(values), length)


def drawing(rng: np.random.Generator, resamples: int) -> Drawing:
    """How to draw once the sample and its block length are known."""
    return lambda n_sessions, block_length: draw(n_sessions, block_length, rng=rng, resamples=resamples)


def resampled_means(features: npt.NDArray[np.floating], draws: Draws) -> FloatArray:
    """Means [resamples, k] of the features [n_sessions, k] over every resample, in the features' precision."""
    means = np.empty((draws.resamples, features.shape[1]))
    row = 0
    for counts in draws.chunks():
        means[row : row + len(counts)] = counts.astype(features.dtype, copy=False) @ features
        row += len(counts)
    means /= draws.n_sessions
    return means


def resampled_sharpes(values: FloatArray, draws: Draws) -> FloatArray:
    """Sharpe ratios per observation (ddof 1) [resamples, k] of the series [n_sessions, k] over every resample.

    For intervals: in single precision, right to 1e-6, twice as fast. A resample without variance (every draw the same
    date) gives an infinite or undefined ratio.
    """
    n, centre, scale = len(values), values.mean(axis=0), values.std(axis=0)
    unit = (values - centre) / scale
    means = resampled_means(np.hstack([unit, unit**2]).astype(np.float32), draws)
    first, second = means[:, : values.shape[1]], means[:, values.shape[1] :]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((first + centre / scale) / np.sqrt((second - first**2) * (n / (n - 1))))


def studentised_means(influence: FloatArray, draws: Draws) -> FloatArray:
    """Bootstrap t statistics [resamples, k] of the means of centred columns [n_sessions, k].

    Each resampled mean is divided by the standard error seen in the same resample, so skewness, heavy tails and the
    dependence between columns are those of the data. Serial dependence enters by the variance of the stationary
    bootstrap itself (`stationary_variance`), so the statistics have about unit variance at any block length. Products
    are in single precision: the statistics are right to 1e-5, and twice as fast.

    Reference: Ledoit and Wolf (2008), Robust performance hypothesis testing with the Sharpe ratio, section 3.2.
    """
    n, columns = influence.shape
    variance = (influence**2).mean(axis=0)
    unit = influence / np.sqrt(variance)
    means = resampled_means(np.hstack([unit, unit**2]).astype(np.float32), draws)
    first, second = means[:, :columns], means[:, columns:]
    ratio = stationary_variance(influence, draws.block_length) / variance
    spread = np.sqrt(np.maximum(second - first**2, np.finfo(np.float64).tiny) * ratio / n)
    return np.asarray(first / spread)


def stationary_variance(values: FloatArray, block_length: float) -> FloatArray:
    """n x the variance of the stationary bootstrap's mean, exactly, for each column of [n_sessions, k].

    Reference: Politis and Romano (1994), lemma 1.
    """
    n = len(values)
    spectrum = np.fft.rfft(np.ascontiguousarray((values - values.mean(axis=0)).T), 2 * n)
    lag = np.arange(1, n)
    go_on = 1.0 - 1.0 / block_length
    kernel = np.zeros(2 * n)
    kernel[0] = 1.0
    kernel[1:n] = (1 - lag / n) * go_on**lag + (lag / n) * go_on ** (n - lag)
    kernel[n + 1 :] = kernel[n - 1 : 0 : -1]
    weights = np.fft.rfft(kernel).real / (n * n)  # Parseval: the sum over lags is one over frequencies
    weights[[0, -1]] /= 2.0
    return np.asarray((spectrum.real**2 + spectrum.imag**2) @ weights)


def optimal_block_length(values: FloatArray) -> FloatArray:
    """Expected block length for the stationary bootstrap of each column's mean; [k], from 0 to 3 sqrt(n).

    The flat-top rule: bandwidth from the first run of insignificant autocorrelations, then the minimiser of the mean
    squared error of the variance estimate. Columns must vary.

    References: Politis and White (2004), Econometric Reviews 23; Patton, Politis and White (2009), ibid. 28.
    """
    n = len(values)
    run = max(5, int(np.log10(n)))
    longest = int(np.ceil(np.sqrt(n))) + run
    covariance, correlation = _lagged(values - values.mean(axis=0), longest)
    quiet = np.asarray(correlation < 2 * np.sqrt(np.log10(n) / n))
    lag = np.arange(1, longest + 1)[:, None]
    bandwidth = _bandwidth(quiet, run, longest)
    window = np.clip(2.0 * (1.0 - lag / bandwidth), 0.0, 1.0)
    slope = 2.0 * (window * lag * covariance[1:]).sum(axis=0)
    long_run = covariance[0] + 2.0 * (window * covariance[1:]).sum(axis=0)
    with np.errstate(divide="ignore"):
        length = (slope**2 / long_run**2 * n) ** (1 / 3)
    return np.asarray(np.minimum(length, np.ceil(min(3 * np.sqrt(n), n / 3))))


def shared_block_length(values: FloatArray, horizon: int = 1) -> float:
    """One whole block length for a family of series [n_sessions, k]: the median optimum, at least 1, or 2h for h > 1.

    The median, because the largest of many estimates is mostly noise; `studentised_means` stays right for the others.
    """
    overlap = 2.0 * horizon if horizon > 1 else 1.0
    return float(max(np.ceil(np.median(optimal_block_length(values))), overlap))


def _draw_blocks(rng: np.random.Generator, rows: int, n: int, block_length: float) -> _Blocks:
    """Every position starts a new block with probability 1 / block_length, the first of a row always."""
    total = rows * n
    if block_length == 1.0:
        return _Blocks(np.arange(total), np.ones(total, dtype=np.int64), rng.integers(0, n, size=total))
    begins = np.zeros(total, dtype=bool)
    begins[_renewals(rng, total, 1.0 / block_length)] = True
    begins[::n] = True
    position = np.flatnonzero(begins)
    start = rng.integers(0, n, size=position.size)
    return _Blocks(position, np.diff(position, append=total), start)


def _renewals(rng: np.random.Generator, total: int, probability: float) -> IntArray:
    """Positions below `total` at which a coin of this probability falls, drawn by its waiting times."""
    expected = total * probability
    size = int(expected + 6 * np.sqrt(expected) + 6)
    found = np.cumsum(rng.geometric(probability, size=size)) - 1
    while found[-1] < total:
        found = np.concatenate([found, found[-1] + np.cumsum(rng.geometric(probability, size=size))])
    return np.asarray(found[: np.searchsorted(found, total)])


def _part(blocks: _Blocks, first: int, rows: int, n: int) -> _Blocks:
    """The blocks of some of the rows, their positions counted from the first of these."""
    low, high = np.searchsorted(blocks.position, [first * n, (first + rows) * n])
    part = slice(low, high)
    return _Blocks(blocks.position[part] - first * n, blocks.length[part], blocks.start[part])


def _counts(blocks: _Blocks, rows: int, n: int) -> Counts:
    """Counts [rows, n]: +1 where a block starts, -1 after it ends, summed along the dates."""
    if blocks.length.size == rows * n:  # independent dates
        return (
            np.bincount(blocks.position // n * n + blocks.start, minlength=rows * n).reshape(rows, n).astype(np.float64)
        )
    row = blocks.position // n
    left = row * (n + 1)
    end = blocks.start + blocks.length
    wraps = end > n
    step = np.zeros(rows * (n + 1), dtype=np.int32)  # small integers: three times as fast as floats here
    np.add.at(step, left + blocks.start, np.int32(1))
    np.subtract.at(step, left + np.where(wraps, end - n, end), np.int32(1))
    np.add.at(step, left[wraps], np.int32(1))
    return np.cumsum(step.reshape(rows, n + 1), axis=1, dtype=np.int32)[:, :n]


def _lagged(centred: FloatArray, longest: int) -> tuple[FloatArray, FloatArray]:
    """Autocovariances and absolute autocorrelations [longest + 1, k]; the latter scaled by the overlapping parts."""
    n, rows = len(centred), np.ascontiguousarray(centred.T)
    power = np.hstack([np.zeros((len(rows), 1)), np.cumsum(rows**2, axis=1)])
    cross = np.stack([np.einsum("ij,ij->i", rows[:, lag:], rows[:, : n - lag]) for lag in range(longest + 1)])
    ends = np.arange(1, longest + 2)
    scale = np.sqrt((power[:, [n]] - power[:, ends]) * power[:, n - ends]).T
    return cross / n, np.abs(cross) / scale


def _bandwidth(quiet: BoolArray, run: int, longest: int) -> IntArray:
    """Twice the last lag before the first `run` quiet lags of each column; `longest` where there is no such run."""
    runs = np.lib.stride_tricks.sliding_window_view(quiet[:longest], run, axis=0).all(axis=2)
    first = np.where(runs.any(axis=0), np.maximum(runs.argmax(axis=0), 1), longest)
    return np.asarray(np.minimum(2 * first, longest))
