"""The monitor on the sandbox: it sees what a database of that day would show, and a planted degradation once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from kronos.core.monitoring.model import MonitorState
from kronos.core.policy import MonitoringPolicy, ObservationPolicy
from kronos.core.scheduling.periods import Cadence, period_of
from kronos.lake.tables import Lake
from kronos.sandbox.load import load_history
from kronos.services.monitoring import monitor_days, watched_on
from kronos.services.performance import Performance
from kronos.services.pipeline import Pipeline
from kronos.services.refresh import refresh_cells, refresh_facts
from kronos.services.staleness import stale_cell_months, stale_fact_months
from kronos.settings import Dialect, RecordedBy
from kronos.sources.reader import SourceReader
from kronos.store.alerts import alerts
from kronos.store.database import Database, Role
from kronos.store.engine_configs import activations
from kronos_tests.flow.test_as_of import AS_OF as TRUNCATED_AT
from kronos_tests.flow.test_as_of import TRUNCATE

UNTIL, LIVE, AS_OF = date(1991, 10, 31), date(1991, 5, 1), date(1991, 9, 13)
POLICY = ObservationPolicy(monitoring=MonitoringPolicy(reference_least=250))
ENGINES = ("ASSESSMENT", "PORTFOLIO", "REGIME", "STABILITY", "UNIVERSE")

RESTATE = """
INSERT INTO source.decision_outcomes
SELECT o.decision_id, horizon_days, eval_date, pnl, "return" - 0.016, drawdown, risk_metrics, label,
    recorded_at + interval '1 second'
FROM source.decision_outcomes o JOIN source.engine_decisions d USING (decision_id)
WHERE d.config_id = %s AND d.as_of_date >= %s AND o."return" <> 'NaN'
"""
"""Upstream's own words for losing more: every outcome since the live start, corrected a second later."""


@pytest.fixture
def sandbox(database: Database) -> Database:
    """Two years of sandbox history."""
    load_history(database, UNTIL)
    return database


@contextmanager
def observed(database: Database, folder: Path, today: date) -> Iterator[tuple[Pipeline, Performance]]:
    """The observe flow over a lake built from the database as it is."""
    with SourceReader(database.url, Dialect.SPEC, RecordedBy.RECORDED, POLICY) as source:
        pipeline = Pipeline(source, Lake(str(folder)), database, POLICY, RecordedBy.RECORDED)
        refresh_facts(pipeline, stale_fact_months(pipeline, today), today=today)
        refresh_cells(pipeline, stale_cell_months(pipeline))
        yield pipeline, Performance(pipeline.lake, POLICY, RecordedBy.RECORDED)


def answers(database: Database, performance: Performance) -> dict[str, Any]:
    """What the monitor says of every engine as of the date."""
    with database.connect(Role.READER) as connection:
        history = {engine: activations(connection, engine) for engine in ENGINES}
    return {
        engine: performance.monitoring(engine, watched_on(history[engine], AS_OF, LIVE), AS_OF).to_json_dict()
        for engine in ENGINES
    }


def test_the_monitor_as_of_a_date_equals_that_of_a_database_that_ends_there(sandbox: Database, tmp_path: Path) -> None:
    with observed(sandbox, tmp_path / "whole", UNTIL) as (_, performance):
        whole = answers(sandbox, performance)
    with sandbox.connect(Role.OWNER) as connection:
        connection.execute(TRUNCATE.replace(str(TRUNCATED_AT), str(AS_OF)))
        connection.execute("DELETE FROM kronos.month_builds")
    with observed(sandbox, tmp_path / "truncated", AS_OF) as (_, performance):
        truncated = answers(sandbox, performance)
    assert whole == truncated
    judged = [found for answer in whole.values() for found in answer["findings"] if found["e"] is not None]
    assert len(judged) == 5


def test_a_planted_degradation_raises_exactly_one_alert(sandbox: Database, tmp_path: Path) -> None:
    """PORTFOLIO's active config loses 160 basis points more a decision since it is live; nobody else does."""
    with sandbox.connect(Role.READER) as connection:
        (active,) = (one.config_id for one in activations(connection, "PORTFOLIO"))
    with sandbox.connect(Role.UPSTREAM) as connection:
        connection.execute(RESTATE, [active, LIVE])
    days = [period_of(Cadence.DAILY, date(1991, 5 + month, 28)) for month in range(4)]
    with observed(sandbox, tmp_path / "lake", UNTIL) as (pipeline, performance):
        for _ in range(2):
            done = monitor_days(pipeline, performance, days, LIVE, datetime(1991, 11, 1, tzinfo=UTC))
    (alert,) = alerts(sandbox)
    assert (alert.engine_name, alert.config_id, alert.metric) == ("PORTFOLIO", active, "return")
    states = {one.engine_name: one.state for one in done.newest}
    assert states.pop("PORTFOLIO") is MonitorState.DEGRADING
    assert MonitorState.DEGRADING not in states.values()
