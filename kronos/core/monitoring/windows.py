"""Rolling figures and their trend.

A rolling figure's values share most of their observations, so the interval of their trend is taken from the
observations: the slope is a weighted sum of them (of their influences on the Sharpe ratio), with weights that are the
regression's own, spread over the window. HAC standard errors of that sum know overlap and serial correlation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from scipy import stats

from kronos.core.conventions import CONFIDENCE, MIN_ANNUALISED_OBSERVATIONS
from kronos.core.metrics.hac import long_run_sums
from kronos.core.monitoring.model import RollingFigure, Trend, Watched
from kronos.core.monitoring.series import Daily, Record
from kronos.core.policy import MonitoringPolicy
from kronos.core.stats.matrix import FloatArray

AVERAGE, SHARPE = "avg_return", "sharpe"
_REACH: Final = float(stats.norm.ppf((1.0 + CONFIDENCE) / 2.0))

Influence = Callable[[FloatArray], FloatArray]


def rolling_figures(
    found: Record, watched: Watched, policy: MonitoringPolicy, horizon: int
) -> tuple[RollingFigure, ...]:
    """Average return, Sharpe ratio and every score the record has, in each window of the policy."""
    series = [(AVERAGE, found.returns.valid), (SHARPE, found.returns.valid)]
    series += [(score, daily.valid) for score, daily in found.scores.items()]
    return tuple(
        _figure(name, daily, window, found.factor, watched, policy.trend_over, horizon)
        for name, daily in series
        if daily.values.size
        for window in policy.windows
    )


def rolling_mean(values: FloatArray, window: int) -> FloatArray:
    """Mean of each `window` neighbouring values, [n - window + 1]; empty when there are fewer."""
    if len(values) < window:
        return np.empty(0)
    sums = np.cumsum(np.concatenate([[0.0], values]))
    return np.asarray((sums[window:] - sums[:-window]) / window)


def rolling_sharpe(values: FloatArray, window: int, factor: float) -> FloatArray:
    """Annual Sharpe ratio of each `window` neighbouring values; NaN where they do not vary."""
    if len(values) < window:
        return np.empty(0)
    views = np.lib.stride_tricks.sliding_window_view(values, window)
    spread = views.std(axis=1, ddof=1)
    flat = np.ptp(views, axis=1) == 0.0
    return np.where(flat, np.nan, views.mean(axis=1) / np.where(flat, 1.0, spread) * math.sqrt(factor))


def trend(rolled: FloatArray, influences: FloatArray, window: int, horizon: int, yearly: float) -> Trend | None:
    """OLS slope of the rolling values [n] over time, per year, with its interval.

    influences: [n + window - 1] what each observation adds to the rolling figure, times the window's length. None when
    there are fewer than MIN_ANNUALISED_OBSERVATIONS values, or a value is missing or nothing varies.
    """
    n = len(rolled)
    if n < MIN_ANNUALISED_OBSERVATIONS or not np.isfinite(rolled).all():
        return None
    time = np.arange(n) - (n - 1) / 2.0
    weights = time / (time**2).sum()
    spread = np.convolve(weights, np.full(window, 1.0 / window))
    psi = spread * (influences - influences.mean())
    error = math.sqrt(max(0.0, float(long_run_sums(psi[None, :], horizon)[0])))
    if error == 0.0:
        return None
    slope = float(weights @ rolled)
    reach = _REACH * error
    return Trend(slope * yearly, (slope - reach) * yearly, (slope + reach) * yearly, n)


def _figure(
    name: str, daily: Daily, window: int, factor: float, watched: Watched, over: int, horizon: int
) -> RollingFigure:
    values = daily.values[-(over + window - 1) :]
    rolled = rolling_sharpe(values, window, factor) if name == SHARPE else rolling_mean(values, window)
    influences = _sharpe_influence(values, factor) if name == SHARPE else values
    last = float(rolled[-1]) if rolled.size and np.isfinite(rolled[-1]) else None
    # a value per session, whatever the horizon: factor is sessions a year over the horizon
    return RollingFigure(
        scope=watched.scope,
        config_id=watched.config_id,
        figure=name,
        window=window,
        n=min(window, len(values)),
        end=daily.dates[-1].item(),
        value=last,
        trend=trend(rolled, influences, window, horizon, factor * horizon),
    )


def _sharpe_influence(values: FloatArray, factor: float) -> FloatArray:
    """What each observation adds to the annual Sharpe ratio (delta method)."""
    spread = values.std()
    if spread == 0.0:
        return np.zeros_like(values)
    z = (values - values.mean()) / spread
    ratio = values.mean() / spread
    return np.asarray((z - ratio / 2.0 * (z**2 - 1.0)) * math.sqrt(factor))
