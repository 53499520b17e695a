"""Bring the lake up to date with the source, month by month: facts from the source, cells from the facts.

Lake first, record second: a build that dies is built again, and gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import polars as pl

from kronos.core.backtests.spec import experiments_of
from kronos.core.facts import FactsBatch, build_facts
from kronos.core.frames import FACT_KEYS, INSTANT, REVISIONS, empty
from kronos.core.revisions import first_seen_outcomes, merge_revisions
from kronos.core.vocabulary import Mode
from kronos.services.cell_builds import cell_builder
from kronos.services.config_imports import import_configs
from kronos.services.held_facts import HeldFacts
from kronos.services.pipeline import CELL_TABLES, FACT_TABLES, Pipeline
from kronos.services.sessions import market_sessions
from kronos.services.sightings import contexts_seen, look
from kronos.services.staleness import due_horizons, facts_mark, source_fingerprints
from kronos.settings import RecordedBy
from kronos.sources.quarantine import replace_months, replace_orphans
from kronos.store.backtests import neighbours_among
from kronos.store.month_builds import MonthBuild, Session, Stage, builds, lock_months, save_builds
from kronos.store.trials import enter_observed

CHUNK_MONTHS: Final = 12
"""Months built at a time: bounds memory, however long the history."""

_OURS: Final = {"engine_name": pl.String, "experiment": pl.String, "config_id": pl.String}
_NOTHING: Final = FactsBatch(empty(FACT_KEYS), empty(REVISIONS))

Progress = Callable[[int, int], None]
"""Told the number of months done and their total."""


@dataclass(frozen=True)
class Refreshed:
    """What a refresh wrote: months, and rows per table."""

    months: Sequence[str]
    rows: Mapping[str, int]


def refresh_facts(
    pipeline: Pipeline,
    months: Sequence[str],
    *,
    today: date,
    seen_at: datetime | None = None,
    progress: Progress | None = None,
) -> Refreshed:
    """Rebuild the facts of these months from the source, keeping what upstream overwrote, and import its configs.

    seen_at: now, the end of today by default; for sources whose rows count from when they were first seen, and for
    configs of which nobody says when they were made.
    """
    instant = seen_at or datetime.combine(today, time.max, UTC)
    sight = _sight(pipeline, instant)
    # read before the rows: what changes meanwhile leaves the month stale
    fingerprints, horizons = source_fingerprints(pipeline, today), pipeline.source.horizons()
    due = due_horizons(horizons)

    def build(session: Session, chunk: Sequence[str]) -> dict[str, int]:
        batch = _read_facts(pipeline, session, chunk, horizons, today, sight)
        facts = _merged(pipeline, session, chunk, batch.facts, today, sight)
        # marks, not the newest versions, say what belongs together: a build that dies in between never happened
        marks = {
            "superseded_facts": pipeline.lake.write_months("superseded_facts", facts.superseded, chunk),
            "decision_facts": pipeline.lake.write_months("decision_facts", facts.facts, chunk),
        }
        replace_months(pipeline.database, chunk, batch.quarantine)
        configs = _configs(facts.facts)
        enter_observed(session, _first_seen(session, facts.facts))
        save_builds(
            session,
            Stage.FACTS,
            [
                MonthBuild(
                    month,
                    fingerprints.get(month, ""),
                    pipeline.facts_definition,
                    marks,
                    {config: due.get(config, []) for config in configs.get(month, ())},
                )
                for month in chunk
            ],
        )
        tables = (facts.facts, facts.superseded, batch.quarantine)
        return {name: df.height for name, df in zip((*FACT_TABLES, "quarantine"), tables, strict=True)}

    # before the decisions, so that a config seen in them is the trial it was registered as
    misfits = import_configs(pipeline, today, instant)
    replace_orphans(pipeline.database, pl.concat([pipeline.source.orphans(today), misfits]))
    return _refresh(pipeline, Stage.FACTS, months, build, progress)


def refresh_cells(pipeline: Pipeline, months: Sequence[str], *, progress: Progress | None = None) -> Refreshed:
    """Add the facts of these months up into cells again; a month without built facts is left alone."""
    with cell_builder(pipeline.lake, pipeline.policy, _decisions(pipeline, months)) as builder:

        def build(session: Session, chunk: Sequence[str]) -> dict[str, int]:
            known = builds(session, Stage.FACTS)
            facts = [known[month] for month in chunk if month in known]
            if not facts:
                return dict.fromkeys(CELL_TABLES, 0)
            written, definition = builder.build(facts), pipeline.cells_definition
            built = [MonthBuild(record.month, facts_mark(record), definition, written.marks) for record in facts]
            save_builds(session, Stage.CELLS, built)
            return dict(written.rows)

        return _refresh(pipeline, Stage.CELLS, months, build, progress, at_once=builder.at_once)


def _decisions(pipeline: Pipeline, months: Sequence[str]) -> int:
    """About how many decisions the lake holds of these months."""
    mark = pipeline.lake.mark("decision_facts")
    held = pipeline.lake.row_counts("decision_facts", mark=mark) if mark else {}
    return sum(held.get(month, 0) for month in months)


def _refresh(
    pipeline: Pipeline,
    stage: Stage,
    months: Sequence[str],
    build: Callable[[Session, Sequence[str]], dict[str, int]],
    progress: Progress | None,
    *,
    at_once: int = 1,
) -> Refreshed:
    """Build chunk by chunk, each in one transaction that keeps other builders of its months waiting."""

    def one(chunk: Sequence[str]) -> dict[str, int]:
        with pipeline.database.connect() as connection:
            lock_months(connection, stage, chunk)
            return build(connection, chunk)

    wanted, rows, done = sorted(set(months)), dict[str, int](), 0
    chunks = list(month_chunks(wanted))
    with ThreadPoolExecutor(at_once) as threads:
        each = map(one, chunks) if at_once == 1 else threads.map(one, chunks)
        for chunk, written in zip(chunks, each, strict=True):
            rows = {table: rows.get(table, 0) + count for table, count in written.items()}
            done += len(chunk)
            if progress is not None:
                progress(done, len(wanted))
    return Refreshed(wanted, rows)


def month_chunks(months: Sequence[str]) -> Iterator[list[str]]:
    """Runs of consecutive months, none longer than CHUNK_MONTHS."""
    chunk: list[str] = []
    for month in months:
        if chunk and (len(chunk) == CHUNK_MONTHS or first_day(month) != _after(chunk[-1])):
            yield chunk
            chunk = []
        chunk.append(month)
    if chunk:
        yield chunk


def first_day(month: str) -> date:
    """First day of a YYYY-MM month."""
    return date.fromisoformat(f"{month}-01")


def _after(month: str) -> date:
    """First day of the following month."""
    return (first_day(month) + timedelta(days=31)).replace(day=1)


@dataclass(frozen=True)
class _Read:
    facts: FactsBatch
    quarantine: pl.DataFrame


@dataclass(frozen=True)
class _Sight:
    """A look at a source whose rows count from when they were first seen; begun: it was not the first look."""

    seen_at: datetime
    begun: bool


def _sight(pipeline: Pipeline, seen_at: datetime) -> _Sight | None:
    """The look of a refresh; None where first sight does not count."""
    if pipeline.recorded_by is not RecordedBy.FIRST_SEEN:
        return None
    return _Sight(seen_at, look(pipeline, seen_at))


def _read_facts(
    pipeline: Pipeline,
    session: Session,
    chunk: Sequence[str],
    horizons: pl.DataFrame,
    today: date,
    sight: _Sight | None,
) -> _Read:
    """Facts as the source tells them now."""
    start, end = first_day(chunk[0]), _after(chunk[-1]) - timedelta(days=1)
    batch = pipeline.source.read(start, end, today=today)
    longest = max([0, *horizons["horizon"], *batch.outcomes["horizon"].unique()])
    if sight is None:
        outcomes, contexts = batch.outcomes, pipeline.source.contexts(start, end)
    else:
        # whatever times upstream gives its outcomes, those they were seen at count
        outcomes = batch.outcomes.with_columns(recorded_at=pl.lit(None, dtype=INSTANT))
        contexts = contexts_seen(pipeline, session, start, end, sight.seen_at)
    facts = build_facts(
        batch.decisions,
        outcomes,
        contexts,
        market_sessions(pipeline.policy, batch.decisions["market_id"].unique(), start, end, longest),
        horizons,
        pipeline.policy,
        recorded=pipeline.recorded_by is not RecordedBy.AS_OF_DATE,
    )
    return _Read(facts, batch.quarantine)


def _merged(
    pipeline: Pipeline, session: Session, chunk: Sequence[str], facts: FactsBatch, today: date, sight: _Sight | None
) -> FactsBatch:
    """The facts with what the lake held of them and the source no longer tells."""
    known = builds(session, Stage.FACTS)
    previous = [known[month] for month in chunk if month in known]
    before = HeldFacts(pipeline.lake).read(previous) if previous else _NOTHING
    if sight is not None and sight.begun:
        facts = first_seen_outcomes(before, facts, today)
    if not previous:
        return facts
    redefined = any(build.definition != pipeline.facts_definition for build in previous)
    return merge_revisions(before, facts, today, redefined=redefined)


def _first_seen(session: Session, facts: pl.DataFrame) -> list[tuple[str, str, datetime]]:
    """Engine and config of every decision that tries one, with the day of the first.

    A neighbour in a backtest of ours, which upstream ran, tries nothing: it says where the proposed config stands, and
    is never chosen. Where anybody else decides by it, it is a config as any other.
    """
    streams = facts.group_by("engine_name", "config_id", "mode", "experiment_id").agg(pl.col("as_of_date").min())
    played = streams["config_id"].filter(streams["mode"] == Mode.BACKTEST.value).unique().to_list()
    ours = pl.DataFrame(neighbours_among(session, played), schema=_OURS, orient="row").with_columns(
        mode=pl.lit(Mode.BACKTEST.value)
    )
    tried = streams.with_columns(experiment=experiments_of("experiment_id")).join(ours, on=ours.columns, how="anti")
    first = tried.group_by("engine_name", "config_id").agg(pl.col("as_of_date").min()).sort("engine_name", "config_id")
    return [(engine, config, datetime.combine(day, time(), UTC)) for engine, config, day in first.iter_rows()]


def _configs(facts: pl.DataFrame) -> dict[str, list[str]]:
    """Configs of each month, as `engine/config`."""
    pairs = facts.select("month", config=pl.concat_str("engine_name", "config_id", separator="/")).unique()
    return {month: sorted(configs) for month, configs in pairs.group_by("month").agg("config").iter_rows()}
