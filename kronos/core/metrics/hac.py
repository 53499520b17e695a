"""Standard errors of means that respect serial correlation, overlap and missing dates.

Missing dates are zeros of a mean-zero influence series on the full date axis, so that lags stay calendar lags
("amplitude modulation": Parzen 1963; Datta & Du 2012, FRB Chicago).

References
----------
Hansen & Hodrick (1980), J. Political Economy 88: rectangular weights up to lag h-1 for overlapping h-step returns.
Newey & West (1987), Econometrica 55; (1994), Review of Economic Studies 61: Bartlett weights, automatic lag.
"""

from __future__ import annotations

import math

import numpy as np

from kronos.core.metrics.metric import Floats


def dense(values: Floats, positions: Floats) -> Floats:
    """Rows of influences laid on the date axis from the first to the last position, zero where missing."""
    if positions.size == 0:
        return np.zeros((values.shape[0], 0))
    offsets = (positions - positions[0]).astype(np.int64)
    laid = np.zeros((values.shape[0], int(offsets[-1]) + 1))
    laid[:, offsets] = values
    return laid


def autocovariances(psi: Floats, lags: int) -> Floats:
    """sum over t of psi(t) psi(t + l) for l = 0..lags, per row: shape (lags + 1, rows)."""
    length = psi.shape[1]
    return np.array([np.einsum("ij,ij->i", psi[:, lag:], psi[:, : length - lag]) for lag in range(lags + 1)])


def long_run_sums(psi: Floats, horizon: int) -> Floats:
    """Variance of each row's sum. Overlap h > 1: rectangular lag h-1, Bartlett lag 3h if not positive; else automatic.

    Parameters: psi, shape (rows, dates), mean zero, zero where missing; horizon in sessions.
    Returns shape (rows,); zero for rows of zeros.
    """
    length = psi.shape[1]
    if length == 0:
        return np.zeros(psi.shape[0])
    if horizon == 1:
        return automatic_bartlett(psi)
    gammas = autocovariances(psi, min(3 * horizon, length - 1))
    lags = min(horizon - 1, length - 1)
    rectangular = gammas[0] + 2.0 * gammas[1 : lags + 1].sum(axis=0)
    return np.where(rectangular > 0.0, rectangular, bartlett(gammas, gammas.shape[0] - 1))


def bartlett(gammas: Floats, lags: int) -> Floats:
    """gamma_0 + 2 sum (1 - l / (lags + 1)) gamma_l; never negative."""
    weights = 1.0 - np.arange(1, lags + 1) / (lags + 1.0)
    return np.asarray(gammas[0] + 2.0 * np.einsum("l,lj->j", weights, gammas[1 : lags + 1]))


def automatic_bartlett(psi: Floats) -> Floats:
    """Bartlett with Newey & West's (1994) plug-in lag per row, at most sqrt(n)."""
    length = psi.shape[1]
    cap = min(length - 1, math.isqrt(length))
    pilot = min(cap, math.floor(4.0 * (length / 100.0) ** (2.0 / 9.0)))
    gammas = autocovariances(psi, pilot)
    lags = _plug_in_lags(gammas, length, cap)
    longest = int(lags.max(initial=0))
    if longest > pilot:
        gammas = autocovariances(psi, longest)
    return np.array([bartlett(gammas[:, [row]], int(lag))[0] for row, lag in enumerate(lags)])


def _plug_in_lags(gammas: Floats, length: int, cap: int) -> Floats:
    """floor(1.1447 ((s1/s0)^2)^(1/3) n^(1/3)) with s0, s1 from the pilot lags; the cap where s0 is not positive."""
    steps = np.arange(gammas.shape[0])[:, None]
    flat = gammas[0] + 2.0 * gammas[1:].sum(axis=0)
    slope = 2.0 * (steps * gammas).sum(axis=0)
    ratio = np.divide(slope, flat, out=np.full_like(flat, np.inf), where=flat > 0.0)
    with np.errstate(over="ignore"):
        lags = np.floor(1.1447 * np.cbrt(ratio * ratio) * np.cbrt(length))
    return np.where(gammas[0] > 0.0, np.minimum(lags, cap), 0.0)
