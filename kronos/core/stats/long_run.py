"""Standard errors for the real statistic of a studentised bootstrap: consistent under dependence, and little noisy.

A family-wise level of 1 % over 20 candidates lives 3.4 standard errors out, where 5 % of noise in the error raises the
size by 1.2 times. Hence Andrews' plug-in lag, which is near zero for returns without autocorrelation, and separate care
for the volatility part of a Sharpe ratio, whose dependence (volatility clustering) is long.

References
----------
Andrews (1991), Heteroskedasticity and autocorrelation consistent covariance matrix estimation, Econometrica 59.
Hansen and Hodrick (1980), J. Political Economy 88: rectangular weights for overlapping horizons.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from kronos.core.metrics.hac import autocovariances, bartlett, long_run_sums
from kronos.core.stats.matrix import FloatArray

VOLATILITY_LAGS: Final = (0, 10, 20, 50, 100, 200)
VOLATILITY_SAFETY: Final = 2.0
"""Squared returns with clusters and heavy tails show too little long-run variance in ten years: without this factor the
Sharpe difference of two GARCH(0.08, 0.90) series with t5 tails is beyond 2.6 errors 1.7 times too often."""


def standard_errors(influence: FloatArray, horizon: int, volatility: FloatArray | None = None) -> FloatArray:
    """Standard error [k] of the mean of each centred column [n_sessions, k].

    h = 1: Bartlett weights, Andrews' AR(1) plug-in lag; h > 1: rectangular to lag h-1 (Bartlett if not positive); with
    Ledoit and Wolf's small-sample factor n / (n - 4). volatility [n_sessions, k]: the part of the influence due to
    estimated volatilities; what clustering adds to its variance (worst of the lags) counts times a safety factor.
    """
    n = len(influence)
    rows = np.ascontiguousarray(influence.T)
    sums = _plug_in_bartlett(rows) if horizon == 1 else long_run_sums(rows, horizon)
    if volatility is not None:
        sums = sums + _volatility_surplus(np.ascontiguousarray(volatility.T), horizon)
    return np.asarray(np.sqrt(sums * n / (n - 4.0)) / n)


def _plug_in_bartlett(rows: FloatArray) -> FloatArray:
    """Variance of each row's sum; lag floor(1.1447 (alpha n)^(1/3)), at most sqrt(n), alpha from an AR(1) fit."""
    n = rows.shape[1]
    gammas = autocovariances(rows, 1)
    rho = np.clip(gammas[1] / gammas[0], -0.97, 0.97)
    alpha = (2.0 * rho / (1.0 - rho**2)) ** 2
    lags = np.minimum(np.floor(1.1447 * np.cbrt(alpha * n)), math.isqrt(n)).astype(int)
    gammas = autocovariances(rows, int(lags.max()))
    return np.array([bartlett(gammas[:, [row]], int(lag))[0] for row, lag in enumerate(lags)])


def _volatility_surplus(rows: FloatArray, horizon: int) -> FloatArray:
    """What the cautious long-run variance of the volatility part adds to the part already counted; >= 0."""
    length = rows.shape[1]
    lags = [lag for lag in VOLATILITY_LAGS if lag <= length // 10]
    gammas = autocovariances(rows, lags[-1])
    largest = np.max([bartlett(gammas, lag) for lag in lags], axis=0)
    counted = gammas[0] if horizon == 1 else long_run_sums(rows, horizon)
    clustering = VOLATILITY_SAFETY * (largest - gammas[0])
    return np.asarray(np.maximum(gammas[0] + clustering - counted, 0.0))
