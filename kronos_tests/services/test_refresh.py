"""Facts and cells follow the source, month by month, from a real Postgres into a real lake."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from kronos.core.policy import ObservationPolicy
from kronos.errors import NotFound
from kronos.lake.tables import TABLES, Lake
from kronos.services import cell_builds
from kronos.services.pipeline import Pipeline
from kronos.services.recompute import recompute_month
from kronos.services.refresh import refresh_cells, refresh_facts
from kronos.services.staleness import stale_cell_months, stale_fact_months
from kronos.settings import Dialect, RecordedBy
from kronos.sources.quarantine import ORPHANS, quarantined
from kronos.sources.reader import SourceReader
from kronos.store.database import Database, Role
from kronos_tests import builders
from kronos_tests.builders import decision, insert, outcome

TODAY = date(2020, 6, 1)
MARCH, APRIL = date(2020, 3, 2), date(2020, 4, 1)


@pytest.fixture
def pipeline(database: Database, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline over an empty source and an empty lake."""
    policy = ObservationPolicy()
    with SourceReader(database.url, Dialect.SPEC, RecordedBy.RECORDED, policy) as source:
        yield Pipeline(source, Lake(str(tmp_path / "lake")), database, policy, RecordedBy.RECORDED)


def fill(pipeline: Pipeline) -> None:
    """Two months, a decision and an outcome each."""
    march, april = decision("m", MARCH), decision("a", APRIL)
    insert(
        pipeline.database,
        engine_decisions=[march, april],
        decision_outcomes=[outcome(march), outcome(april)],
        regimes=[builders.regime(MARCH), builders.regime(APRIL, "STORM")],
    )


def refresh(pipeline: Pipeline, today: date = TODAY) -> tuple[list[str], list[str]]:
    """Bring everything up to date; the months of facts and of cells that were rebuilt."""
    facts = stale_fact_months(pipeline, today)
    refresh_facts(pipeline, facts, today=today)
    cells = stale_cell_months(pipeline)
    refresh_cells(pipeline, cells)
    return facts, cells


def contents(pipeline: Pipeline) -> dict[str, pl.DataFrame]:
    """Every table's rows in file order by month."""
    return {table: pipeline.lake.scan(table).collect().sort("month", maintain_order=True) for table in TABLES}


def book(pipeline: Pipeline, as_of: date) -> tuple[int, int, float]:
    """due, valid and pnl of horizon 1 as of a date."""
    cells = pipeline.lake.scan("cells").filter(
        (pl.col("cube") == "regime") & (pl.col("horizon") == 1),
        pl.col("eval_date") <= as_of,
        pl.col("known_date") <= as_of,
    )
    row = cells.select(pl.col("due", "valid", "pnl").sum()).collect().row(0)
    return int(row[0]), int(row[1]), float(row[2])


def execute(pipeline: Pipeline, statement: str) -> None:
    """Change the source as upstream."""
    with pipeline.database.connect(Role.UPSTREAM) as connection:
        connection.execute(statement)


def test_empty_source_gives_an_empty_lake(pipeline: Pipeline) -> None:
    """Nothing is stale, nothing is written, scans are empty frames of their contract."""
    assert refresh(pipeline) == ([], [])
    assert pipeline.lake.scan("cells").collect().is_empty()


def test_first_refresh_builds_every_month_and_a_second_none(pipeline: Pipeline) -> None:
    """What is fresh is left alone."""
    fill(pipeline)
    assert refresh(pipeline) == (["2020-03", "2020-04"], ["2020-03", "2020-04"])
    assert book(pipeline, TODAY) == (2, 2, 20.0)
    assert refresh(pipeline) == ([], [])


def test_rebuilding_unchanged_months_changes_no_row(pipeline: Pipeline) -> None:
    """A rebuild is idempotent, to the order of rows."""
    fill(pipeline)
    refresh(pipeline)
    before = contents(pipeline)
    refresh_facts(pipeline, ["2020-03", "2020-04"], today=date(2020, 7, 1))
    refresh_cells(pipeline, ["2020-03", "2020-04"])
    for table, rows in contents(pipeline).items():
        assert_frame_equal(rows, before[table])


def test_chunks_built_at_once_by_processes_give_the_same(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Months that are no neighbours are chunks of their own; each is recorded with its own marks."""
    fill(pipeline)
    june = decision("j", date(2020, 6, 1))
    insert(pipeline.database, engine_decisions=[june], regimes=[builders.regime(date(2020, 6, 1))])
    refresh(pipeline)
    before, shown = contents(pipeline), list[tuple[int, int]]()
    monkeypatch.setattr(cell_builds, "MANY_DECISIONS", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    done = refresh_cells(pipeline, ["2020-03", "2020-04", "2020-06"], progress=lambda *counts: shown.append(counts))
    assert shown == [(2, 3), (3, 3)]
    assert done.rows["cells"] == before["cells"].height
    for table, rows in contents(pipeline).items():
        assert_frame_equal(rows, before[table])
    assert refresh(pipeline) == ([], [])


def test_late_outcome_rebuilds_only_its_month(pipeline: Pipeline) -> None:
    """A row for April leaves March's files alone."""
    fill(pipeline)
    refresh(pipeline)
    late = outcome(decision("a", APRIL), recorded_at=builders.at(date(2020, 4, 9)), pnl=11.0)
    insert(pipeline.database, decision_outcomes=[late])
    assert refresh(pipeline) == (["2020-04"], ["2020-04"])


def test_restatement_is_seen_from_its_recording_on(pipeline: Pipeline) -> None:
    """As of the day before, the old value; as of the day, the new one; due once throughout."""
    made = decision("m", MARCH)
    restated = outcome(made, pnl=25.0, recorded_at=builders.at(date(2020, 3, 20)))
    insert(pipeline.database, engine_decisions=[made], decision_outcomes=[outcome(made), restated])
    refresh(pipeline)
    assert book(pipeline, date(2020, 3, 19)) == (1, 1, 10.0)
    assert book(pipeline, date(2020, 3, 20)) == (1, 1, 25.0)


def test_overwritten_outcome_is_kept_until_the_day_it_was_seen(pipeline: Pipeline) -> None:
    """Upstream changes history in place: the lake keeps what was believed, through further rebuilds."""
    fill(pipeline)
    refresh(pipeline)
    execute(pipeline, "UPDATE source.decision_outcomes SET pnl = 99 WHERE eval_date < '2020-04-01'")
    assert refresh(pipeline)[0] == ["2020-03"]
    assert (book(pipeline, date(2020, 5, 31)), book(pipeline, TODAY)) == ((2, 2, 20.0), (2, 2, 109.0))
    before = contents(pipeline)
    refresh_facts(pipeline, ["2020-03"], today=date(2020, 9, 1))
    assert_frame_equal(contents(pipeline)["superseded_facts"], before["superseded_facts"])
    assert_frame_equal(contents(pipeline)["decision_facts"], before["decision_facts"])


def test_vanished_decision_is_counted_until_the_day_it_was_missed(pipeline: Pipeline) -> None:
    """Deleting history upstream empties the month from today on, not before."""
    fill(pipeline)
    refresh(pipeline)
    execute(pipeline, "DELETE FROM source.decision_outcomes WHERE eval_date < '2020-04-01'")
    execute(pipeline, "DELETE FROM source.engine_decisions WHERE as_of_date < '2020-04-01'")
    assert refresh(pipeline)[0] == ["2020-03"]
    assert (book(pipeline, date(2020, 5, 31)), book(pipeline, TODAY)) == ((2, 2, 20.0), (1, 1, 10.0))


def test_new_horizon_makes_older_months_due(pipeline: Pipeline) -> None:
    """April's first five-day outcome gives March's decision a missing one."""
    fill(pipeline)
    refresh(pipeline)
    insert(pipeline.database, decision_outcomes=[outcome(decision("a", APRIL), 5)])
    assert refresh(pipeline)[0] == ["2020-03", "2020-04"]
    facts = pipeline.lake.scan("decision_facts").sort("as_of_date").collect()
    assert facts["due_date_h5"].to_list() == [date(2020, 3, 9), date(2020, 4, 8)]
    assert facts["valid_h5"].to_list() == [None, True]


def test_policy_change_rebuilds_without_restating(pipeline: Pipeline) -> None:
    """New cut points relabel the whole history; what was believed about outcomes stays."""
    fill(pipeline)
    insert(pipeline.database, stability_vectors=[builders.stability(MARCH, 0.4)])
    refresh(pipeline)
    execute(pipeline, "UPDATE source.decision_outcomes SET pnl = 99 WHERE eval_date < '2020-04-01'")
    refresh(pipeline)
    policy = ObservationPolicy(stability_cuts=(0.1, 0.2, 0.3))
    changed = Pipeline(pipeline.source, pipeline.lake, pipeline.database, policy, RecordedBy.RECORDED)
    assert refresh(changed, date(2020, 9, 1))[0] == ["2020-03", "2020-04"]
    assert (book(changed, date(2020, 5, 31)), book(changed, TODAY)) == ((2, 2, 20.0), (2, 2, 109.0))
    assert changed.lake.scan("superseded_facts").collect()["stability_bucket"].to_list() == ["HIGH"]


def test_removed_lake_is_built_again(pipeline: Pipeline, tmp_path: Path) -> None:
    """Build records of a lake that is gone count for nothing."""
    fill(pipeline)
    refresh(pipeline)
    (tmp_path / "lake").rename(tmp_path / "gone")
    assert refresh(pipeline) == (["2020-03", "2020-04"], ["2020-03", "2020-04"])
    assert book(pipeline, TODAY) == (2, 2, 20.0)


def test_progress_counts_months(pipeline: Pipeline) -> None:
    """Chunks tell months done and total."""
    fill(pipeline)
    told: list[tuple[int, int]] = []
    months = ["2020-03", "2020-04"]
    refresh_facts(pipeline, months, today=TODAY, progress=lambda done, total: told.append((done, total)))
    assert told == [(2, 2)]


def test_outcomes_without_a_decision_are_kept_with_their_reason(pipeline: Pipeline) -> None:
    """They belong to no month, so they are looked for with every refresh."""
    fill(pipeline)
    insert(pipeline.database, decision_outcomes=[outcome(decision("nobody", MARCH))])
    refresh(pipeline)
    assert quarantined(pipeline.database, ORPHANS)["rule"].to_list() == ["ORPHAN_OUTCOME"]


def test_a_refresh_quarantines_what_breaks_the_contract_in_tables_no_month_is_made_of(pipeline: Pipeline) -> None:
    fill(pipeline)
    insert(pipeline.database, models=[{"model_id": "m", "engine_name": ""}], job_executions=[{"execution_id": "e"}])
    insert(pipeline.database, portfolio_risk_reports=[{"portfolio_id": "", "as_of_date": MARCH}])
    refresh(pipeline)
    tables = quarantined(pipeline.database, ORPHANS)["source_table"].unique().sort().to_list()
    assert tables == ["job_executions", "models", "portfolio_risk_reports"]


def test_recomputation_starts_from_the_facts_the_cells_were_added_up_from(pipeline: Pipeline) -> None:
    """Facts rebuilt since, and not yet added up, are no disagreement."""
    fill(pipeline)
    refresh(pipeline)
    execute(pipeline, "UPDATE source.decision_outcomes SET pnl = 99 WHERE eval_date < '2020-04-01'")
    refresh_facts(pipeline, ["2020-03"], today=TODAY)
    assert all(answer.agrees for answer in recompute_month(pipeline, "2020-03"))


def test_month_without_cells_cannot_be_recomputed(pipeline: Pipeline) -> None:
    """The month is named."""
    with pytest.raises(NotFound, match="1999-01"):
        recompute_month(pipeline, "1999-01")
