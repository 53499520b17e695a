"""Read what the decision facts of a period claimed, for an attribution."""

from __future__ import annotations

from datetime import date

import polars as pl

from kronos.core.reports.axis import Window
from kronos.core.reports.believed import believed
from kronos.core.reports.evidence import Evidence
from kronos.lake.backtests import Record


def read_claims(
    lake: Record, held: Evidence, window: Window, config_id: str | None, experiment_id: str = ""
) -> pl.DataFrame:
    """Claims (believed.BELIEVED) of one config (None: all) of the evidence's record; reads the window's months only."""
    months = _months(window.start, window.end)
    record = [
        pl.col("engine_name") == held.engine_name,
        pl.col("mode") == held.mode,
        pl.col("experiment_id") == experiment_id,
        *([] if config_id is None else [pl.col("config_id") == config_id]),
    ]
    facts, superseded = (lake.scan(table, months).filter(record) for table in ("decision_facts", "superseded_facts"))
    return believed(facts, superseded, held, window).collect()


def _months(start: date, end: date) -> list[str]:
    """YYYY-MM of every month from start to end; none when they are in the wrong order."""
    first, last = start.year * 12 + start.month - 1, end.year * 12 + end.month - 1
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(first, last + 1)]
