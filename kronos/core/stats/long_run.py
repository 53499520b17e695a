"""Standard errors for the real statistic of a studentised bootstrap: consistent under dependence, and little noisy.

A family-wise level of 1 % over 20 candidates lives 3.4 standard errors out, where 5 % of noise in the error raises the
size by 1.2 times. Hence Andrews' plug-in lag, which is near zero for returns without autocorrelation, and separate care
for the volatility part of a Sharpe ratio, whose dependence (volatility clustering) is long.

Kernels with a short window miss most of the variance of a mean whose summands stay alike for months, such as daily
forecast losses: with an autocorrelation of 0.98 their errors are 1.4 to 1.7 times too small, and 2.5 times when noise
hides the persistence from the first lag. Where autocorrelation is beyond doubt its tail is therefore completed as a
geometric one, that of an ARMA(1, 1).

References
----------
Andrews (1991), Heteroskedasticity and autocorrelation consistent covariance matrix estimation, Econometrica 59.
Andrews and Monahan (1992), Econometrica 60: a parametric fit carries the persistence, its root kept from 1.
Lee and Phillips (1994), An ARMA prewhitened long-run variance estimator, Yale University.
Anderson (1971), The statistical analysis of time series, ch. 8: autocovariances about an estimated mean are too small.
Hansen and Hodrick (1980), J. Political Economy 88: rectangular weights for overlapping horizons.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.fft import next_fast_len

from kronos.core.metrics.hac import bartlett, long_run_sums
from kronos.core.stats.matrix import FloatArray

VOLATILITY_LAGS: Final = (0, 10, 20, 50, 100, 200)
VOLATILITY_SAFETY: Final = 4.0
"""Squared returns with clusters and heavy tails show too little long-run variance in ten years; those of GARCH(0.08,
0.90) with t5 tails have none that is finite. The Sharpe difference of two such series has 1.11 times the plain error's
standard deviation, and best of 20 is accepted at 0.7 % in 1.9 % of worlds; with a factor of 2 in 1.0 %, of 4 in 0.5 %.
Where volatility is constant the surplus is next to nothing: power falls by 0.2 %."""
FITTED_LAGS: Final = 20
"""Autocovariances that a geometric tail is fitted to."""
PERSISTENCE_DOUBT: Final = 4.0
"""Their mean must exceed so many of its standard errors under independence."""


def standard_errors(influence: FloatArray, horizon: int, volatility: FloatArray | None = None) -> FloatArray:
    """Standard error [k] of the mean of each centred column [n_sessions, k].

    h = 1: Bartlett weights, Andrews' AR(1) plug-in lag; h > 1: rectangular to lag h-1 (Bartlett if not positive); at
    any h not below the sum with a geometric tail; with Ledoit and Wolf's small-sample factor n / (n - 4). volatility
    [n_sessions, k]: the part of the influence due to estimated volatilities; what clustering adds to its variance
    (worst of the lags) counts times a safety factor.
    """
    n = len(influence)
    rows = np.ascontiguousarray(influence.T)
    fitted = min(FITTED_LAGS, n // 4)
    gammas = _autocovariances(rows, max(math.isqrt(n), horizon + fitted))
    sums = _plug_in_bartlett(gammas, n) if horizon == 1 else long_run_sums(rows, horizon)
    sums = np.maximum(sums, _persistent(gammas[: horizon + fitted + 1], horizon, n))
    if volatility is not None:
        sums = sums + _volatility_surplus(np.ascontiguousarray(volatility.T), horizon)
    return np.asarray(np.sqrt(sums * n / (n - 4.0)) / n)


def _autocovariances(rows: FloatArray, lags: int) -> FloatArray:
    """sum over t of x(t) x(t + l) for l = 0..lags, per row: shape (lags + 1, rows)."""
    size = next_fast_len(rows.shape[1] + lags, real=True)
    spectrum = np.fft.rfft(rows, size)
    return np.asarray(np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:, : lags + 1].T)


def _persistent(sums: FloatArray, horizon: int, n: int) -> FloatArray:
    """Variance of the sum of n values if autocovariances fall geometrically from lag h; zero where they may be none.

    gamma(0) + 2 sum over lags below h + 2 (sum over L lags from h) / (1 - rho^L), with rho the ratio of that last sum
    shifted by one lag to itself. The long-run variance over n, by which an estimated mean lowers every autocovariance,
    is added back (to that end it is computed twice more). rho is at most 1 - 1/sqrt(n): nearer to 1 there are too few
    blocks. sums [horizon + L + 1, k] as `_autocovariances` gives them.
    """
    lags = len(sums) - 1 - horizon
    doubt = PERSISTENCE_DOUBT * sums[0] / n * horizon * np.sqrt(lags / n)
    found = np.zeros(sums.shape[1])
    for _ in range(3):
        gammas = (sums + found) / n
        tail, shifted = gammas[horizon:-1].sum(axis=0), gammas[horizon + 1 :].sum(axis=0)
        rho = np.clip(np.divide(shifted, tail, out=np.zeros_like(tail), where=tail > 0.0), 0.0, 1.0 - n**-0.5)
        total = gammas[0] + 2.0 * gammas[1:horizon].sum(axis=0) + 2.0 * tail / (1.0 - rho**lags)
        found = np.where(tail > doubt, total, 0.0)
    return np.asarray(found * n)


def _plug_in_bartlett(gammas: FloatArray, n: int) -> FloatArray:
    """Variance of the sum of n values; lag floor(1.1447 (alpha n)^(1/3)), at most sqrt(n), alpha from an AR(1) fit."""
    fitted = np.divide(gammas[1], gammas[0], out=np.zeros_like(gammas[0]), where=gammas[0] > 0.0)
    rho = np.clip(fitted, -0.97, 0.97)
    alpha = (2.0 * rho / (1.0 - rho**2)) ** 2
    lags = np.minimum(np.floor(1.1447 * np.cbrt(alpha * n)), math.isqrt(n)).astype(int)
    return np.array([bartlett(gammas[:, [row]], int(lag))[0] for row, lag in enumerate(lags)])


def _volatility_surplus(rows: FloatArray, horizon: int) -> FloatArray:
    """What the cautious long-run variance of the volatility part adds to the part already counted; >= 0."""
    length = rows.shape[1]
    lags = [lag for lag in VOLATILITY_LAGS if lag <= length // 10]
    gammas = _autocovariances(rows, lags[-1])
    largest = np.max([bartlett(gammas, lag) for lag in lags], axis=0)
    counted = gammas[0] if horizon == 1 else long_run_sums(rows, horizon)
    clustering = VOLATILITY_SAFETY * (largest - gammas[0])
    return np.asarray(np.maximum(gammas[0] + clustering - counted, 0.0))
