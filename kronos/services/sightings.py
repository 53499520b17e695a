"""Keep when Kronos first saw what the source says of the world, and label decisions by that."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final

import polars as pl

from kronos.core.conventions import EARLIEST_DATE
from kronos.core.frames import Contexts
from kronos.core.sightings import new_sightings, sighted_contexts, told_now
from kronos.lake.tables import Lake
from kronos.services.pipeline import Pipeline
from kronos.settings import RecordedBy
from kronos.store.month_builds import Session, Stage, lock_months

TABLE: Final = "context_sightings"
RECENT: Final = timedelta(days=45)
"""How far back every look goes; older rows are looked at when their month is built again."""


def look(pipeline: Pipeline, seen_at: datetime) -> bool:
    """See the newest context rows, at the first look all of them; whether it was not the first."""
    with pipeline.database.connect() as session:
        begun = pipeline.lake.version(TABLE) is not None
        first_day = seen_at.date() - RECENT if begun else EARLIEST_DATE
        _see(pipeline, session, first_day, seen_at.date(), seen_at if begun else None)
    return begun


def contexts_seen(pipeline: Pipeline, session: Session, start: date, end: date, seen_at: datetime) -> Contexts:
    """See what can matter to decisions of these days, and tell all that was seen of it."""
    _see(pipeline, session, start, end, seen_at)
    return label_contexts(pipeline, start, end)


def label_contexts(pipeline: Pipeline, start: date, end: date) -> Contexts:
    """What decisions of these days are labelled by: as sighted, or as the source tells it."""
    if pipeline.recorded_by is not RecordedBy.FIRST_SEEN:
        return pipeline.source.contexts(start, end)
    return sighted_contexts(pipeline.lake.scan(TABLE).filter(pl.col("as_of_date") <= end).collect())


def _see(pipeline: Pipeline, session: Session, start: date, end: date, seen_at: datetime | None) -> None:
    # one at a time: the table's months are read and written again
    lock_months(session, Stage.FACTS, [TABLE])
    _write(pipeline.lake, told_now(pipeline.source.contexts(start, end)), end, seen_at)


def _write(lake: Lake, told: pl.DataFrame, end: date, seen_at: datetime | None) -> None:
    months = told["as_of_date"].dt.strftime("%Y-%m").unique().to_list()
    known = lake.scan(TABLE, months).collect()
    fresh = new_sightings(known, told, seen_at)
    touched = fresh["month"].unique().to_list()
    if touched or lake.version(TABLE) is None:
        kept = known.filter(pl.col("month").is_in(touched))
        lake.write_months(TABLE, pl.concat([kept, fresh]), touched or [f"{end:%Y-%m}"])
