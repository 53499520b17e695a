"""A report as of a date equals the report of a database that ends on that date, on the sandbox's own imperfections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from kronos.core.policy import ObservationPolicy
from kronos.lake.tables import Lake
from kronos.sandbox.load import load_history
from kronos.services.performance import Performance
from kronos.services.pipeline import Pipeline
from kronos.services.refresh import refresh_cells, refresh_facts
from kronos.services.staleness import stale_cell_months, stale_fact_months
from kronos.settings import Dialect, RecordedBy
from kronos.sources.reader import SourceReader
from kronos.store.database import Database, Role

UNTIL = date(1990, 12, 31)
AS_OF = date(1990, 9, 14)

TRUNCATE = f"""
DELETE FROM source.decision_outcomes WHERE recorded_at >= '{AS_OF}'::date + 1 OR eval_date > '{AS_OF}';
DELETE FROM source.decision_outcomes o USING source.engine_decisions d
    WHERE d.decision_id = o.decision_id AND d.timestamp >= '{AS_OF}'::date + 1;
DELETE FROM source.engine_decisions WHERE timestamp >= '{AS_OF}'::date + 1;
DELETE FROM source.regimes WHERE recorded_at >= '{AS_OF}'::date + 1;
DELETE FROM source.stability_vectors WHERE recorded_at >= '{AS_OF}'::date + 1;
DELETE FROM source.fragility_measures WHERE recorded_at >= '{AS_OF}'::date + 1;
DELETE FROM source.soft_target_classes WHERE recorded_at >= '{AS_OF}'::date + 1;
"""


@pytest.fixture
def sandbox(database: Database) -> Database:
    """A year of sandbox history, made dirtier than it comes: restated, invalid and late outcomes in every week."""
    load_history(database, UNTIL)
    with database.connect(Role.UPSTREAM) as connection:
        connection.execute(
            """
            INSERT INTO source.decision_outcomes
            SELECT decision_id, horizon_days, eval_date, pnl * 2, CASE WHEN n % 3 = 0 THEN 'NaN' ELSE "return" * 2 END,
                drawdown, risk_metrics, label, recorded_at + make_interval(days => (n % 40)::integer)
            FROM (SELECT *, row_number() OVER (ORDER BY decision_id, horizon_days) n FROM source.decision_outcomes) o
            WHERE n % 7 = 0 AND n % 40 > 0 AND recorded_at + make_interval(days => (n % 40)::integer) < '1991-01-01'
            """
        )
    return database


@contextmanager
def observed(database: Database, folder: Path, today: date) -> Iterator[Performance]:
    """Reports over a lake built from the database as it is."""
    policy = ObservationPolicy()
    with SourceReader(database.url, Dialect.SPEC, RecordedBy.RECORDED, policy) as source:
        lake = Lake(str(folder))
        pipeline = Pipeline(source, lake, database, policy, RecordedBy.RECORDED)
        refresh_facts(pipeline, stale_fact_months(pipeline, today), today=today)
        refresh_cells(pipeline, stale_cell_months(pipeline))
        yield Performance(lake, policy, RecordedBy.RECORDED)


def reports(performance: Performance) -> list[dict[str, Any]]:
    """Every config's report over the whole history as of the date."""
    found = performance.all_performance(date(1990, 1, 1), AS_OF, as_of=AS_OF)
    return [report.to_json_dict() for report in found]


def explained(performance: Performance) -> list[tuple[Any, ...]]:
    """Every part of every portfolio's attribution as of the date, whole and inside its drawdowns."""
    configs = performance.directory().configs("PORTFOLIO")
    found = [performance.attribution("PORTFOLIO", one, date(1990, 1, 1), AS_OF, as_of=AS_OF) for one in configs]
    assert all(one.adds_up for one in found)
    spans = [span for one in found for span in (one, *one.windows)]
    return [(span.total, *((by, cut.parts) for by, cut in span.cuts.items())) for span in spans]


def test_reports_as_of_a_date_equal_those_of_a_database_that_ends_there(sandbox: Database, tmp_path: Path) -> None:
    """What was recorded or evaluated later leaves no trace."""
    with observed(sandbox, tmp_path / "whole", UNTIL) as performance:
        whole, parts = reports(performance), explained(performance)
    with sandbox.connect(Role.OWNER) as connection:
        connection.execute(TRUNCATE)
        connection.execute("DELETE FROM kronos.month_builds")
    with observed(sandbox, tmp_path / "truncated", AS_OF) as performance:
        truncated, truncated_parts = reports(performance), explained(performance)
    assert len(whole) >= 15
    assert whole == truncated
    assert parts == truncated_parts
