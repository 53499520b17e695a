"""95 % intervals of series metrics and of ratios of daily sums, in one pass over a group's observations.

Student's t with n/h - 1 degrees of freedom: overlapping observations count for 1/h, so that short samples stay honest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from kronos.core.conventions import CONFIDENCE, ZERO_TOLERANCE
from kronos.core.metrics.hac import Ints, autocovariances, dense, long_run_sums, long_run_sums_of
from kronos.core.metrics.metric import Analytic, Bounds, Direct, Floats, Numbers, RatioMetric, SeriesMetric
from kronos.core.vocabulary import Undefined

Interval = Bounds | Undefined
Rules = list[tuple[SeriesMetric, Analytic]]


def critical_values(observations: Ints, horizon: int) -> Floats:
    """Two-sided Student quantiles at n/h - 1 degrees of freedom (at least 1)."""
    return np.asarray(special.stdtrit(np.maximum(observations / horizon - 1.0, 1.0), 0.5 + CONFIDENCE / 2.0))


@dataclass(frozen=True)
class Observed:
    """One series and the metrics of it that have a value.

    series: the observed values in date order; positions: their index on the date axis.
    """

    metrics: Iterable[SeriesMetric]
    values: Mapping[str, float]
    series: Floats
    positions: Ints
    basis: Numbers


def series_intervals(
    metrics: Iterable[SeriesMetric], values: Mapping[str, float], series: Floats, positions: Ints, basis: Numbers
) -> dict[str, Interval]:
    """Interval of each metric of one series that has a value: bounds, or the reason why there are none."""
    return all_series_intervals([Observed(metrics, values, series, positions, basis)], basis.horizon)[0]


def all_series_intervals(observed: Sequence[Observed], horizon: int) -> list[dict[str, Interval]]:
    """`series_intervals` of many series of one horizon: their long-run variances are measured together."""
    plans = [_plan(one) for one in observed]
    blocks = [_influences(one, rules) for one, (_, rules) in zip(observed, plans, strict=True)]
    return [
        found | _analytic_bounds(one, rules, sums)
        for one, (found, rules), sums in zip(observed, plans, long_run_sums_of(blocks, horizon), strict=True)
    ]


def _plan(one: Observed) -> tuple[dict[str, Interval], Rules]:
    """Intervals that need no standard error, and the rules of those that do."""
    found: dict[str, Interval] = {}
    analytic: Rules = []
    for metric in one.metrics:
        match metric.interval:
            case Undefined() as word:
                found[metric.id] = word
            case Direct(bounds):
                found[metric.id] = bounds(one.series, one.basis)
            case Analytic() as rule:
                analytic.append((metric, rule))
    reason = _without_spread(one.series) if analytic else None
    return (found, analytic) if reason is None else (found | {metric.id: reason for metric, _ in analytic}, [])


def _without_spread(series: Floats) -> Undefined | None:
    if series.size < 2:
        return Undefined.TOO_FEW_OBSERVATIONS
    low, high = series.min(), series.max()
    return Undefined.ZERO_VARIANCE if high - low <= ZERO_TOLERANCE * max(-low, high) else None


def _influences(one: Observed, rules: Rules) -> Floats:
    """One row of influences per rule on the date axis."""
    psi = [rule.influence(one.series, one.basis) for _, rule in rules]
    return dense(np.array(psi), one.positions) if psi else np.zeros((0, 0))


def _analytic_bounds(one: Observed, rules: Rules, sums: Floats) -> dict[str, Interval]:
    """Student bounds from sqrt(long-run variance of the sum x n/(n-1)) / n per rule."""
    n = one.series.size
    if not rules:
        return {}
    errors = np.sqrt(np.maximum(sums, 0.0) * n / (n - 1.0)) / n
    critical = float(critical_values(np.array(n), one.basis.horizon))
    found: dict[str, Interval] = {}
    for (metric, rule), error in zip(rules, errors, strict=True):
        scaled = float(error) * (n if rule.total else 1.0)
        found[metric.id] = _bounds(rule, one.values[metric.id], critical * scaled)
    return found


def _bounds(rule: Analytic, value: float, half: float) -> Interval:
    if not half > 0.0:
        return Undefined.ZERO_VARIANCE
    middle = rule.forward(value)
    low, high = rule.back(middle - half), rule.back(middle + half)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else Undefined.OUT_OF_RANGE


def slice_ratio_intervals(
    metric: RatioMetric, values: Floats, numerator: Floats, denominator: Floats, horizon: int
) -> list[Interval]:
    """Intervals of one ratio in many slices, linearised and clustered by date (Cochran 1977, section 6.3).

    Parameters: values, shape (slices,); numerator and denominator, the daily sums, shape (slices, dates), zero on dates
    without observation.
    The influence of a date is numerator - ratio x denominator. Dates are independent clusters at h = 1; overlapping
    horizons add the rectangular lag h-1.
    """
    psi = metric.scale * numerator - values[:, None] * denominator
    variances = autocovariances(psi, 0)[0] if horizon == 1 else long_run_sums(psi, horizon)
    clusters, totals = np.count_nonzero(denominator, axis=1), denominator.sum(axis=1)
    known = (clusters >= 2) & (variances > 0.0)
    errors = np.sqrt(variances * clusters / np.maximum(clusters - 1.0, 1.0)) / np.where(known, totals, 1.0)
    halves = critical_values(clusters, horizon) * errors
    lows, highs = np.maximum(values - halves, metric.floor), np.minimum(values + halves, metric.ceiling)
    reasons = np.where(clusters < 2, Undefined.TOO_FEW_OBSERVATIONS, Undefined.ZERO_VARIANCE)
    return [
        (low, high) if defined else Undefined(reason)
        for defined, low, high, reason in zip(known.tolist(), lows.tolist(), highs.tolist(), reasons, strict=True)
    ]
