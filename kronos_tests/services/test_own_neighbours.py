"""What upstream wrote for our neighbours is no config that anybody tried; everything else it wrote is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from kronos.core.backtests.spec import Subject, SubjectRole
from kronos.core.policy import ObservationPolicy
from kronos.lake.tables import Lake
from kronos.services.pipeline import Pipeline
from kronos.services.refresh import refresh_facts
from kronos.settings import Dialect, RecordedBy
from kronos.sources.reader import SourceReader
from kronos.store.backtests import save_spec
from kronos.store.database import Database, Role
from kronos.store.trials import list_trials
from kronos_tests.builders import decision, insert
from kronos_tests.store.attempts import QUEUED, spec_of
from kronos_tests.store.changes import at_status

NEAR = "new~lookback=18"
DAY, LATER, TODAY = date(2020, 3, 2), date(2020, 3, 9), date(2020, 6, 1)


@pytest.fixture
def pipeline(database: Database, tmp_path: Path) -> Iterator[Pipeline]:
    policy = ObservationPolicy()
    with SourceReader(database.url, Dialect.SPEC, RecordedBy.RECORDED, policy) as source:
        yield Pipeline(source, Lake(str(tmp_path / "lake")), database, policy, RecordedBy.RECORDED)


def backtested(database: Database, near: str = NEAR) -> UUID:
    """An experiment of REGIME whose backtest runs the neighbour."""
    experiment = at_status(database, QUEUED)
    subjects = (
        Subject(config_id="new", config_body={"lookback": 20}, roles=(SubjectRole.PROPOSED,)),
        Subject(config_id=near, config_body={"lookback": 18}, roles=(SubjectRole.NEIGHBOUR,)),
    )
    with database.connect(Role.ORCHESTRATOR) as session:
        save_spec(session, experiment.experiment_id, spec_of(experiment, engine_name="REGIME", subjects=subjects))
    return experiment.experiment_id


def seen(pipeline: Pipeline, *rows: dict[str, Any]) -> dict[str | None, datetime]:
    """The trials that an observation of these rows enters, with when they were first seen."""
    insert(pipeline.database, engine_decisions=[decision(n, **row) for n, row in enumerate(rows)])
    with pipeline.database.connect(Role.READER) as session:
        before = list_trials(session)
    refresh_facts(pipeline, ["2020-03"], today=TODAY)
    with pipeline.database.connect(Role.READER) as session:
        return {one.config_id: one.first_seen for one in list_trials(session) if one not in before}


def row(experiment: object, **changes: Any) -> dict[str, Any]:
    """A decision of the neighbour in a job of the experiment."""
    stream = f"{experiment}/0123456789abcdef"
    usual = {"engine_name": "REGIME", "config_id": NEAR, "mode": "BACKTEST", "experiment_id": stream, "day": DAY}
    return usual | changes


def test_a_neighbour_in_its_own_experiment_is_no_trial(pipeline: Pipeline) -> None:
    """But every config is that ran beside it."""
    mine = backtested(pipeline.database)
    again = row(mine, experiment_id=str(mine), day=LATER)
    assert set(seen(pipeline, row(mine), again, row(mine, config_id="other"))) == {"other"}


@pytest.mark.parametrize(
    "changes",
    [
        {"config_id": "new~lookback=22"},
        {"config_id": "new"},
        {"mode": "LIVE"},
        {"mode": "SHADOW"},
        {"engine_name": "PORTFOLIO"},
        {"experiment_id": f"{uuid4()}/0123456789abcdef"},
        {"experiment_id": NEAR},
        {"experiment_id": None},
    ],
)
def test_whatever_else_looks_like_one_is_a_trial(pipeline: Pipeline, changes: dict[str, Any]) -> None:
    rows = row(backtested(pipeline.database), **changes)
    assert set(seen(pipeline, rows)) == {rows["config_id"]}


def test_a_neighbour_of_another_experiment_is_a_trial(pipeline: Pipeline) -> None:
    other, mine = backtested(pipeline.database), backtested(pipeline.database, near="new~lookback=22")
    assert set(seen(pipeline, row(mine))) == {NEAR} and other != mine


def test_a_neighbour_that_also_trades_is_a_trial_from_then_on(pipeline: Pipeline) -> None:
    mine = backtested(pipeline.database)
    live = row(mine, mode="LIVE", experiment_id=None, day=LATER)
    assert seen(pipeline, row(mine), live) == {NEAR: datetime.combine(LATER, datetime.min.time(), UTC)}
