"""Standard errors of means that respect serial correlation, overlap and missing dates.

Missing dates are zeros of a mean-zero influence series on the full date axis, so that lags stay calendar lags
("amplitude modulation": Parzen 1963; Datta & Du 2012, FRB Chicago).

References
----------
Hansen & Hodrick (1980), J. Political Economy 88: rectangular weights up to lag h-1 for overlapping h-step returns.
Newey & West (1987), Econometrica 55; (1994), Review of Economic Studies 61: Bartlett weights, automatic lag.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kronos.core.conventions import ZERO_TOLERANCE
from kronos.core.metrics.metric import Floats

Ints = NDArray[np.int64]

STACKED: Final = 2**15
"""Numbers that are measured in one go: a quarter of a megabyte."""
LANES: Final = 32
"""A multiple of the numbers that any processor adds at once."""


def dense(values: Floats, positions: Ints) -> Floats:
    """Rows of influences laid on the date axis from the first to the last position, zero where missing."""
    if positions.size == 0:
        return np.zeros((values.shape[0], 0))
    offsets = positions - positions[0]
    laid = np.zeros((values.shape[0], int(offsets[-1]) + 1))
    laid[:, offsets] = values
    return laid


def autocovariances(psi: Floats, lags: int, first: int = 0) -> Floats:
    """sum over t of psi(t) psi(t + l) for l = first..lags, per row: shape (lags + 1 - first, rows).

    Rows are summed over whole blocks of LANES, so that zeros behind a row change no bit of it.
    """
    rows, length = psi.shape
    width = -(-length // LANES) * LANES
    laid = np.zeros((rows, width + lags))
    laid[:, :length] = psi
    sums = [np.einsum("ij,ij->i", laid[:, lag : lag + width], laid[:, :width]) for lag in range(first, lags + 1)]
    return np.array(sums).reshape(-1, rows)


def long_run_sums(psi: Floats, horizon: int, lengths: Ints | None = None) -> Floats:
    """Variance of each row's sum. Overlap h > 1: rectangular lag h-1, Bartlett lag 3h if that is zero or less (but for
    rounding); else automatic.

    Parameters: psi, shape (rows, dates), mean zero, zero where missing; horizon in sessions; lengths, how many dates
    each row has (default: all), zeros follow.
    Returns shape (rows,); zero for rows of zeros.
    """
    rows, longest = psi.shape
    if longest == 0:
        return np.zeros(rows)
    lengths = np.full(rows, longest) if lengths is None else lengths
    if horizon == 1:
        return automatic_bartlett(psi, lengths)
    gammas = autocovariances(psi, min(3 * horizon, longest - 1))
    rectangular = gammas[0] + 2.0 * _weighted(gammas[1:horizon], np.ones((1, 1)))
    positive = rectangular > ZERO_TOLERANCE * gammas[0]
    return np.where(positive, rectangular, bartlett(gammas, np.minimum(3 * horizon, lengths - 1)))


def long_run_sums_of(blocks: Sequence[Floats], horizon: int) -> list[Floats]:
    """`long_run_sums` of each block of rows. Short blocks are measured together: a call costs more than their sums."""
    found: list[Floats] = [np.zeros(0)] * len(blocks)
    for chosen in _stacks(blocks):
        if len(chosen) == 1:
            found[chosen[0]] = long_run_sums(blocks[chosen[0]], horizon)
            continue
        rows = np.array([blocks[at].shape[0] for at in chosen])
        lengths = np.array([blocks[at].shape[1] for at in chosen])
        ends = np.cumsum(rows)
        stack = np.zeros((int(ends[-1]), int(lengths.max())))
        for at, end, length in zip(chosen, ends, lengths, strict=True):
            stack[end - blocks[at].shape[0] : end, :length] = blocks[at]
        sums = np.split(long_run_sums(stack, horizon, np.repeat(lengths, rows)), ends[:-1])
        for at, part in zip(chosen, sums, strict=True):
            found[at] = part
    return found


def _stacks(blocks: Sequence[Floats]) -> Iterator[list[int]]:
    """Numbers of blocks that go together, of similar length, within the size that a processor holds close."""
    stack: list[int] = []
    rows = 0
    for at in sorted(range(len(blocks)), key=lambda at: blocks[at].shape[1]):
        if stack and (rows + blocks[at].shape[0]) * blocks[at].shape[1] > STACKED:
            yield stack
            stack, rows = [], 0
        stack.append(at)
        rows += blocks[at].shape[0]
    if stack:
        yield stack


def bartlett(gammas: Floats, lags: int | Ints) -> Floats:
    """gamma_0 + 2 sum (1 - l / (lags + 1)) gamma_l; never negative. `lags` is one number or one per row."""
    steps = np.arange(1, gammas.shape[0])[:, None]
    weights = np.maximum(1.0 - steps / (np.asarray(lags) + 1.0), 0.0)
    return np.asarray(gammas[0] + 2.0 * _weighted(gammas[1:], weights))


def _weighted(gammas: Floats, weights: Floats) -> Floats:
    """sum over lags of weight x gamma, per row, lag after lag."""
    if gammas.shape[0] == 0:
        return np.zeros(gammas.shape[1])
    return np.asarray(np.cumsum(gammas * weights, axis=0)[-1])


def automatic_bartlett(psi: Floats, lengths: Ints | None = None) -> Floats:
    """Bartlett with Newey & West's (1994) plug-in lag per row, at most sqrt(n)."""
    rows, longest = psi.shape
    lengths = np.full(rows, longest) if lengths is None else lengths
    caps = np.minimum(lengths - 1, np.sqrt(lengths).astype(np.int64))
    pilots = np.minimum(caps, np.floor(4.0 * (lengths / 100.0) ** (2.0 / 9.0)).astype(np.int64))
    pilot = int(pilots.max(initial=0))
    gammas = autocovariances(psi, pilot)
    lags = _plug_in_lags(gammas, pilots, lengths, caps)
    return bartlett(_extended(gammas, psi, lags), lags)


def _extended(gammas: Floats, psi: Floats, lags: Ints) -> Floats:
    """The autocovariances with those up to each row's lag added."""
    held = gammas.shape[0] - 1
    more = lags > held
    if not more.any():
        return gammas
    further = np.zeros((int(lags.max()) - held, lags.size))
    further[:, more] = autocovariances(psi[more], int(lags.max()), held + 1)
    return np.concatenate([gammas, further])


def _plug_in_lags(gammas: Floats, pilots: Ints, lengths: Ints, caps: Ints) -> Ints:
    """floor(1.1447 ((s1/s0)^2)^(1/3) n^(1/3)) with s0, s1 from the pilot lags; the cap where s0 is not positive."""
    steps = np.arange(1.0, gammas.shape[0])[:, None]
    inside = (steps <= pilots).astype(np.float64)
    flat = gammas[0] + 2.0 * _weighted(gammas[1:], inside)
    slope = 2.0 * _weighted(gammas[1:], steps * inside)
    ratio = np.divide(slope, flat, out=np.full_like(flat, np.inf), where=flat > 0.0)
    with np.errstate(over="ignore"):
        lags = np.floor(1.1447 * np.cbrt(ratio * ratio) * np.cbrt(lengths))
    return np.where(gammas[0] > 0.0, np.minimum(lags, caps), 0.0).astype(np.int64)
