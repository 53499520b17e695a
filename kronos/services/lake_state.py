"""What the lake's tables hold."""

from __future__ import annotations

import polars as pl

from kronos.services.pipeline import Pipeline


def rows_by_month(pipeline: Pipeline, table: str) -> tuple[list[str], list[float]]:
    """Months of a table and their row counts, rising."""
    counts = pipeline.lake.scan(table).group_by("month").len().sort("month").collect()
    return counts["month"].to_list(), counts["len"].cast(pl.Float64).to_list()
