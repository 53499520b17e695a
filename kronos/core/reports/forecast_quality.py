"""Calibration numbers, reliability curve and confusion table of a report, from the calibration and confusion cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from kronos.core.fixed_point import from_fixed, to_fixed
from kronos.core.metrics.calibration import ReliabilityPoint, calibration_parts, reliability_curve
from kronos.core.metrics.registry import CALIBRATION
from kronos.core.reports.axis import Window
from kronos.core.reports.evidence import Evidence
from kronos.core.reports.groups import CUTS, GROUP, Grouping, Slice
from kronos.core.reports.measure import Figures
from kronos.core.vocabulary import Cube, Dimension, Undefined

Bins = dict[tuple[Slice, str], pl.DataFrame]
"""Bins of a slice by family of targets: `event` or `class:`."""

_RAW = {"event": "brier", "class:": "brier_multi"}
"""The score that the bins of these targets decompose."""
_SUMS = ("sum_p", "sum_y", "sum_y2")


def _totals() -> list[pl.Expr]:
    """Sums that do not depend on the order of rows."""
    return [pl.col("n").sum(), *(from_fixed(to_fixed(pl.col(name)).sum()).alias(name) for name in _SUMS)]


def target_bins(held: Evidence, grouping: Grouping, window: Window, dimensions: Iterable[Dimension]) -> Bins:
    """Bins known by the window's as-of date, per slice and family; calibration is held by regime and market only."""
    if held.calibration.is_empty():
        return {}
    known = held.calibration.lazy().filter(window.known(held.newest), window.chosen())
    wanted = known.filter(~pl.col("target").str.starts_with("threshold:"))
    keys = ("config_id", "slice", "market_id", "target", "bin")
    coarse = wanted.group_by(keys).agg(*_totals()).collect().lazy()
    family = pl.when(pl.col("target") == "event").then(pl.lit("event")).otherwise(pl.lit("class:")).alias("family")
    parts = [
        coarse.group_by(grouping.code(dimension), family, "target", "bin").agg(*_totals())
        for dimension in dimensions
        if CUTS[dimension].cube is Cube.REGIME
    ]
    bins = pl.concat(parts).filter(pl.col("n") > 0).collect() if parts else pl.DataFrame()
    if bins.is_empty():
        return {}
    split = bins.partition_by(GROUP, "family", as_dict=True)
    return {(grouping.slice_of(int(key[0])), str(key[1])): part for key, part in split.items()}


def measure_calibration(found: Mapping[Slice, Figures], bins: Bins) -> None:
    """Add the calibration metrics to each slice, or the reasons why there are none."""
    for key, figures in found.items():
        held = CUTS[key.dimension].cube is Cube.REGIME
        for targets, raw in _RAW.items():
            score = figures.values.get(raw)
            reason = Undefined.NO_FORECASTS if held or score is None else Undefined.NOT_HELD_BY_SLICE
            _put(figures, targets, bins.get((key, targets)), score, reason)


def _put(figures: Figures, targets: str, bins: pl.DataFrame | None, score: float | None, reason: Undefined) -> None:
    metrics = [metric for metric in CALIBRATION if metric.targets == targets]
    if bins is None or score is None:
        for metric in metrics:
            figures.put(metric.id, 0, None, reason)
        return
    parts = calibration_parts(bins, score)
    for metric in metrics:
        figures.put(metric.id, parts.n, float(getattr(parts, metric.part)), reason)
        figures.put_interval(metric.id, Undefined.NO_ANALYTIC_INTERVAL)


def event_reliability(bins: Bins, overall: Slice) -> tuple[ReliabilityPoint, ...]:
    """Reliability curve of a book's event forecasts; empty without any."""
    events = bins.get((overall, "event"))
    return () if events is None else reliability_curve(events)


def confusion_table(held: Evidence, window: Window) -> dict[str, dict[str, int]]:
    """Predicted class -> realised class -> outcomes, over all configs of the evidence."""
    known = held.confusion.filter(window.known(held.newest), window.chosen())
    counted = known.group_by("predicted", "realised").agg(pl.col("n").sum()).filter(pl.col("n") > 0)
    table: dict[str, dict[str, int]] = {}
    for predicted, realised, n in counted.sort("predicted", "realised").rows():
        table.setdefault(predicted, {})[realised] = n
    return table
