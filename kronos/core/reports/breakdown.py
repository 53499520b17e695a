"""A dimension's slices of all configs as rows: what the breakdown assets hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from kronos.core.frames import Schema
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.axis import Window
from kronos.core.reports.evidence import Evidence
from kronos.core.reports.groups import Slice
from kronos.core.reports.measure import Figures
from kronos.core.reports.performance import examine
from kronos.core.vocabulary import Dimension

BREAKDOWN: Final[Schema] = {
    "engine_name": pl.String,
    "config_id": pl.String,
    "mode": pl.String,
    "horizon": pl.Int32,
    "dimension": pl.String,
    "slice": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n": pl.Int64,
    "undefined": pl.String,
    "interval_undefined": pl.String,
}
"""One row per engine, config, slice and metric; value is null exactly where `undefined` has a reason."""


def breakdown(held: Evidence, policy: ObservationPolicy, window: Window, *dimensions: Dimension) -> pl.DataFrame:
    """Every metric of every slice of every config, as BREAKDOWN rows by config, dimension, slice, metric."""
    found = examine(held, policy, window, dimensions=dimensions).measured
    rows = [row for key, figures in found.items() for row in _rows(held, key, figures)]
    order = ("engine_name", "config_id", "dimension", "slice", "metric")
    return pl.DataFrame(rows, schema=BREAKDOWN, orient="row").sort(order)


def _rows(held: Evidence, key: Slice, figures: Figures) -> Iterator[tuple[Any, ...]]:
    for metric_id, n in figures.observations.items():
        low, high = figures.intervals.get(metric_id, (None, None))
        yield (
            held.engine_name,
            key.book,
            held.mode,
            held.horizon,
            key.dimension.value,
            key.label,
            metric_id,
            figures.values.get(metric_id),
            low,
            high,
            n,
            figures.undefined.get(metric_id),
            figures.interval_undefined.get(metric_id),
        )
