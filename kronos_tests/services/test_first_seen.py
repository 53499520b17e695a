"""A source without recording times: labels and outcomes count from when Kronos first saw them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from kronos.core.policy import ObservationPolicy
from kronos.core.reports.axis import Window
from kronos.lake.tables import Lake
from kronos.services.pipeline import Pipeline
from kronos.services.quality import point_in_time
from kronos.services.refresh import refresh_cells, refresh_facts
from kronos.services.staleness import stale_cell_months, stale_fact_months
from kronos.settings import Dialect, RecordedBy
from kronos.sources.reader import SourceReader
from kronos.store.database import Database, Role
from kronos_tests.builders import at
from kronos_tests.sources.foreign import (
    Foreign,
    foreign_database,
    foreign_decision,
    foreign_outcome,
    foreign_regime,
)

MONDAY = date(2020, 3, 2)
TUESDAY, WEDNESDAY, THURSDAY = (MONDAY + timedelta(days=n) for n in (1, 2, 3))


@pytest.fixture
def upstream(empty_database: Database) -> Iterator[Foreign]:
    """A decision on Monday, labelled calm that day, before Kronos looks for the first time."""
    with foreign_database(empty_database) as found:
        play(found, MONDAY, "CALM")
        yield found


@pytest.fixture
def pipeline(upstream: Foreign, database: Database, tmp_path: Path) -> Iterator[Pipeline]:
    policy, seen = ObservationPolicy(), RecordedBy.FIRST_SEEN
    with SourceReader(upstream.url, Dialect.PROMETHEUS_V2, seen, policy) as source:
        yield Pipeline(source, Lake(str(tmp_path / "lake")), database, policy, seen)


def play(upstream: Foreign, day: date, label: str) -> None:
    """A decision at 21:00 with its outcome, and the day's regime."""
    made = foreign_decision(f"d{day}", day, created_at=at(day))
    upstream.insert(
        engine_decisions=[made], decision_outcomes=[foreign_outcome(made)], regimes=[foreign_regime(day, label)]
    )


def look(pipeline: Pipeline, now: datetime) -> dict[date, tuple[str, date | None]]:
    """Observe what is stale; (regime, known date of the outcome) by decision date."""
    refresh_facts(pipeline, stale_fact_months(pipeline, now.date()), today=now.date(), seen_at=now)
    refresh_cells(pipeline, stale_cell_months(pipeline))
    facts = pipeline.lake.scan("decision_facts").select("as_of_date", "regime", "known_date_h1").collect()
    return {day: (regime, known) for day, regime, known in facts.iter_rows()}


def overwrite(upstream: Foreign, statement: str) -> None:
    with upstream.owner.connect(Role.OWNER) as connection:
        connection.execute(statement)


def test_what_was_there_at_the_first_look_counts_by_its_date(pipeline: Pipeline) -> None:
    assert look(pipeline, at(THURSDAY)) == {MONDAY: ("CALM", TUESDAY)}


def test_label_seen_after_the_decision_is_not_known_to_it(pipeline: Pipeline, upstream: Foreign) -> None:
    """Tuesday's storm is seen on Wednesday morning: Tuesday's decision still has Monday's label."""
    look(pipeline, at(MONDAY, 23))
    play(upstream, TUESDAY, "STORM")
    look(pipeline, at(WEDNESDAY, 6))
    play(upstream, WEDNESDAY, "CALM")
    found = look(pipeline, at(THURSDAY, 6))
    assert {day: regime for day, (regime, _) in found.items()} == {
        MONDAY: "CALM",
        TUESDAY: "CALM",
        WEDNESDAY: "STORM",
    }
    assert point_in_time(pipeline, ["2020-03"]).broken.is_empty()


def test_overwritten_label_changes_no_earlier_decision(pipeline: Pipeline, upstream: Foreign) -> None:
    look(pipeline, at(MONDAY, 23))
    overwrite(upstream, "UPDATE regimes SET regime_label = 'STORM'")
    assert look(pipeline, at(WEDNESDAY, 6))[MONDAY][0] == "CALM"


def test_late_outcome_is_known_from_the_day_it_was_seen(pipeline: Pipeline, upstream: Foreign) -> None:
    """Also after later rebuilds of its month."""
    look(pipeline, at(MONDAY, 23))
    play(upstream, TUESDAY, "CALM")
    assert look(pipeline, at(MONDAY + timedelta(days=7)))[TUESDAY][1] == date(2020, 3, 9)
    play(upstream, WEDNESDAY, "CALM")
    assert look(pipeline, at(MONDAY + timedelta(days=9)))[TUESDAY][1] == date(2020, 3, 9)
    known = pl.col("due") == 1, Window(MONDAY, WEDNESDAY, date(2020, 3, 8)).known(WEDNESDAY)
    cells = pipeline.lake.scan("cells").filter(*known, pl.col("cube") == "regime").collect()
    assert cells["valid"].sum() == 1


def test_overwritten_outcome_is_kept_as_it_was_seen(pipeline: Pipeline, upstream: Foreign) -> None:
    look(pipeline, at(TUESDAY, 23))
    overwrite(upstream, "UPDATE decision_outcomes SET realized_return = 0.5")
    assert look(pipeline, at(THURSDAY, 6))[MONDAY][1] == THURSDAY
    before = pipeline.lake.scan("superseded_facts").select("known_date", "superseded_date").collect()
    assert before.rows() == [(TUESDAY, THURSDAY)]


def test_rebuilding_everything_changes_nothing(pipeline: Pipeline, upstream: Foreign) -> None:
    look(pipeline, at(MONDAY, 23))
    play(upstream, TUESDAY, "STORM")
    found = look(pipeline, at(WEDNESDAY, 6))
    refresh_facts(pipeline, ["2020-03"], today=THURSDAY, seen_at=at(THURSDAY))
    assert look(pipeline, at(THURSDAY)) == found
