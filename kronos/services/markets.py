"""Markets in which engines decide, as the cells have it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import polars as pl

from kronos.core.conventions import DECISION_HORIZON
from kronos.core.scheduling.expectation import ACTIVE_FOR
from kronos.core.scheduling.periods import Cadence, periods_between
from kronos.core.vocabulary import UNKNOWN, Cube, Mode
from kronos.services.pipeline import Pipeline


def live_activity(pipeline: Pipeline, first: date, last: date) -> pl.DataFrame:
    """Engines, markets and dates with LIVE decisions."""
    months = [period.key for period in periods_between(Cadence.MONTHLY, first, last)]
    decided = pipeline.lake.scan("cells", months).filter(
        pl.col("horizon") == DECISION_HORIZON,
        pl.col("cube") == Cube.REGIME.value,
        pl.col("mode") == Mode.LIVE.value,
        pl.col("as_of_date").is_between(first, last),
    )
    return pipeline.lake.collect(decided.select("engine_name", "market_id", "as_of_date").unique())


def markets_in_use(pipeline: Pipeline, today: date, engine_name: str | None = None) -> list[str]:
    """Markets in which an engine (None: any) decided lately, sorted."""
    decided = live_activity(pipeline, today - ACTIVE_FOR, today)
    if engine_name is not None:
        decided = decided.filter(engine_name=engine_name)
    return sorted(decided["market_id"].unique())


def told_markets(markets: Iterable[str]) -> list[str]:
    """Sorted, without `UNKNOWN`, where decisions stand that name no market, unless it is the only one."""
    found = set(markets)
    return sorted(found - {UNKNOWN} or found)
