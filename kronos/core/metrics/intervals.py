"""95 % intervals of series metrics and of ratios of daily sums, in one pass over a group's observations.

Student's t with n/h - 1 degrees of freedom: overlapping observations count for 1/h, so that short samples stay honest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
from scipy import special

from kronos.core.conventions import CONFIDENCE, ZERO_TOLERANCE
from kronos.core.metrics.hac import dense, long_run_sums
from kronos.core.metrics.metric import Analytic, Bounds, Direct, Floats, Numbers, RatioMetric, SeriesMetric
from kronos.core.vocabulary import Undefined

Interval = Bounds | Undefined


def critical_value(observations: int, horizon: int) -> float:
    """Two-sided Student quantile at n/h - 1 degrees of freedom (at least 1)."""
    return float(special.stdtrit(max(observations / horizon - 1.0, 1.0), 0.5 + CONFIDENCE / 2.0))


def series_intervals(
    metrics: Iterable[SeriesMetric], values: Mapping[str, float], series: Floats, positions: Floats, basis: Numbers
) -> dict[str, Interval]:
    """Interval of each metric that has a value.

    Parameters: series, the observed values in date order; positions, their index on the date axis.
    Returns bounds, or the reason why there are none, per metric id.
    """
    found: dict[str, Interval] = {}
    analytic: list[tuple[SeriesMetric, Analytic]] = []
    for metric in metrics:
        match metric.interval:
            case Undefined() as reason:
                found[metric.id] = reason
            case Direct(bounds):
                found[metric.id] = bounds(series, basis)
            case Analytic() as rule:
                analytic.append((metric, rule))
    if not analytic:
        return found
    if series.size < 2:
        return found | {metric.id: Undefined.TOO_FEW_OBSERVATIONS for metric, _ in analytic}
    if np.ptp(series) <= ZERO_TOLERANCE * np.abs(series).max():
        return found | {metric.id: Undefined.ZERO_VARIANCE for metric, _ in analytic}
    psi = np.array([rule.influence(series, basis) for _, rule in analytic])
    errors = _standard_errors(psi, positions, basis.horizon)
    critical = critical_value(series.size, basis.horizon)
    for (metric, rule), error in zip(analytic, errors, strict=True):
        scaled = float(error) * (series.size if rule.total else 1.0)
        found[metric.id] = _bounds(rule, values[metric.id], critical * scaled)
    return found


def _standard_errors(psi: Floats, positions: Floats, horizon: int) -> Floats:
    """sqrt(long-run variance of the sum x n/(n-1)) / n per row of influences."""
    n = psi.shape[1]
    sums = long_run_sums(dense(psi, positions), horizon)
    return np.asarray(np.sqrt(np.maximum(sums, 0.0) * n / (n - 1.0)) / n)


def _bounds(rule: Analytic, value: float, half: float) -> Interval:
    if not half > 0.0:
        return Undefined.ZERO_VARIANCE
    middle = rule.forward(value)
    low, high = rule.back(middle - half), rule.back(middle + half)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else Undefined.OUT_OF_RANGE


def ratio_intervals(
    metrics: Iterable[RatioMetric],
    values: Mapping[str, float],
    sums: Mapping[str, Floats],
    horizon: int,
) -> dict[str, Interval]:
    """Intervals of ratios of daily sums, linearised and clustered by date (Cochran 1977, section 6.3).

    Parameters: sums, the daily sums by measure, zero on dates without observation.
    The influence of a date is numerator - ratio x denominator. Dates are independent clusters at h = 1; overlapping
    horizons add the rectangular lag h-1.
    """
    chosen = list(metrics)
    if not chosen:
        return {}
    psi = np.array([_ratio_influence(metric, values[metric.id], sums) for metric in chosen])
    variances = np.einsum("ij,ij->i", psi, psi) if horizon == 1 else long_run_sums(psi, horizon)
    found: dict[str, Interval] = {}
    for metric, variance in zip(chosen, variances, strict=True):
        denominator = sums[metric.denominator]
        found[metric.id] = _ratio_bounds(metric, values[metric.id], float(variance), denominator, horizon)
    return found


def _ratio_influence(metric: RatioMetric, value: float, sums: Mapping[str, Floats]) -> Floats:
    return metric.scale * sums[metric.numerator] - value * sums[metric.denominator]


def _ratio_bounds(metric: RatioMetric, value: float, variance: float, denominator: Floats, horizon: int) -> Interval:
    clusters = int((denominator != 0.0).sum())
    if clusters < 2:
        return Undefined.TOO_FEW_OBSERVATIONS
    if not variance > 0.0:
        return Undefined.ZERO_VARIANCE
    error = math.sqrt(variance * clusters / (clusters - 1.0)) / float(denominator.sum())
    half = critical_value(clusters, horizon) * error
    low, high = value - half, value + half
    return max(low, metric.floor), min(high, metric.ceiling)
