"""Calibration of forecasts from reliability bins: CORP decomposition, expected calibration error, reliability curve.

References
----------
Dimitriadis, Gneiting & Jordan (2021), PNAS 118 e2016191118: recalibrate by isotonic regression (pool adjacent
violators); with the mean scores S of the forecast, C of the recalibrated and R of the constant forecast,
miscalibration = S - C, discrimination = R - C, uncertainty = R, and S = miscalibration - discrimination + uncertainty.
Broecker & Smith (2007), Weather and Forecasting 22: consistency bars, where the curve lies if the forecasts are right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import special
from scipy.optimize import isotonic_regression

from kronos.core.conventions import CALIBRATION_BINS, CONFIDENCE, ECE_BINS
from kronos.core.metrics.metric import CalibrationParts, Floats


@dataclass(frozen=True)
class ReliabilityPoint:
    """One pool of the isotonic fit: mean forecast, share of events, number of forecasts.

    consistent_low and consistent_high: where the share lies with 95 % probability (or more) if the forecasts are
    right and independent of each other; a share outside speaks against the forecasts.
    """

    forecast: float
    realised: float
    n: int
    consistent_low: float
    consistent_high: float


def calibration_parts(bins: pl.DataFrame, raw_score: float) -> CalibrationParts:
    """Decompose a mean Brier score over its targets (one for an event, one per class for many classes).

    Parameters: bins with columns target, bin, n, sum_p, sum_y, sum_y2, at least one row with n > 0; raw_score, the mean
    over forecasts of the squared error, summed over targets.
    Returns the parts; recalibration and climatology use the bins, so parts are approximate while their sum is exact.
    """
    # by numpy: a report asks for hundreds of these, each too small for a query
    targets = np.array(bins["target"].to_list())
    columns = np.array([bins[name].to_numpy() for name in ("bin", "n", "sum_p", "sum_y", "sum_y2")], dtype=float)
    order = np.lexsort((columns[0], targets))
    order = order[columns[1][order] > 0.0]
    edges = np.flatnonzero(targets[order][1:] != targets[order][:-1]) + 1
    recalibrated = climatology = gap = 0.0
    forecasts = 0
    for grid, n, sum_p, sum_y, sum_y2 in np.split(columns[:, order], edges, axis=1):
        fitted = isotonic_regression(sum_y / n, weights=n).x
        recalibrated += _squared_error(fitted, n, sum_y, sum_y2)
        climatology += _squared_error(np.full_like(n, sum_y.sum() / n.sum()), n, sum_y, sum_y2)
        gap += expected_calibration_error(grid, n, sum_p, sum_y)
        forecasts = max(forecasts, int(n.sum()))
    return CalibrationParts(
        miscalibration=raw_score - recalibrated,
        discrimination=climatology - recalibrated,
        uncertainty=climatology,
        ece=gap / (edges.size + 1),
        n=forecasts,
    )


def _squared_error(forecast: Floats, n: Floats, sum_y: Floats, sum_y2: Floats) -> float:
    """Mean of (forecast - y)^2 when each bin has one forecast."""
    return float((n * forecast**2 - 2.0 * forecast * sum_y + sum_y2).sum() / n.sum())


def expected_calibration_error(grid: Floats, n: Floats, sum_p: Floats, sum_y: Floats) -> float:
    """sum over merged bins of n_b/n |mean p - mean y| (Naeini et al. 2015, AAAI); the first and last hold 0 and 1."""
    merged = np.clip((grid.astype(int) - 1) * ECE_BINS // (CALIBRATION_BINS - 2), 0, ECE_BINS - 1)
    gaps = np.bincount(merged, weights=sum_p - sum_y, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / n.sum())


def reliability_curve(bins: pl.DataFrame) -> tuple[ReliabilityPoint, ...]:
    """CORP reliability diagram of one target with its consistency band: pools of the isotonic fit, forecasts rising."""
    target = bins.filter(pl.col("n") > 0).sort("bin")
    if target.is_empty():
        return ()
    n, sum_p, sum_y = (target[name].to_numpy().astype(float) for name in ("n", "sum_p", "sum_y"))
    fit = isotonic_regression(sum_y / n, weights=n)
    starts = fit.blocks[:-1]
    pooled_n = np.add.reduceat(n, starts)
    forecast = np.clip(np.add.reduceat(sum_p, starts) / pooled_n, 0.0, 1.0)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = (_binomial_quantile(level, pooled_n, forecast) / pooled_n for level in (tail, 1.0 - tail))
    points = zip(forecast, fit.x[starts], pooled_n.astype(int), low, high, strict=True)
    return tuple(ReliabilityPoint(float(p), float(y), int(count), *map(float, band)) for p, y, count, *band in points)


def _binomial_quantile(level: float, trials: Floats, chance: Floats) -> Floats:
    """Smallest k with P(X <= k) >= level for X ~ binomial(trials, chance); the chance may be 0 or 1."""
    certain = (chance == 0.0) | (chance == 1.0)
    k = np.ceil(special.bdtrik(level, trials, np.where(certain, 0.5, chance)))
    reached_before = (k > 0.0) & (special.bdtr(np.maximum(k - 1.0, 0.0), trials.astype(np.int64), chance) >= level)
    return np.where(certain, trials * chance, np.where(reached_before, k - 1.0, k))
