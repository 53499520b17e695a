"""Runs that a stack left behind are over when the next one starts."""

from __future__ import annotations

import dagster as dg
import pytest

from kronos.defs.interrupted import close_interrupted
from kronos.services.dagster_home import prepare_dagster_home
from kronos.store.open import ensure_databases
from kronos_tests.defs.world import World


@pytest.fixture
def home(world: World, kept_environment: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """Dagster's home and database."""
    ensure_databases(world.database)
    for name, value in prepare_dagster_home(world.settings, world.database).items():
        monkeypatch.setenv(name, value)
    return world


@dg.op
def nothing() -> None: ...


@dg.job
def some() -> None:
    nothing()


def after(world: World, *before: dg.DagsterRunStatus) -> list[dg.DagsterRunStatus]:
    """What becomes of runs in these states."""
    with dg.DagsterInstance.from_config(str(world.settings.dagster_home)) as instance:
        made = [instance.create_run_for_job(some, status=status).run_id for status in before]
    close_interrupted(world.settings, world.database)
    with dg.DagsterInstance.from_config(str(world.settings.dagster_home)) as instance:
        found = [instance.get_run_by_id(run_id) for run_id in made]
    return [run.status for run in found if run is not None]


def test_what_had_a_process_has_failed_or_is_cancelled(home: World) -> None:
    state = dg.DagsterRunStatus
    found = after(home, state.STARTING, state.STARTED, state.CANCELING)
    assert found == [state.FAILURE, state.FAILURE, state.CANCELED]


def test_what_waits_or_is_over_stays_as_it_is(home: World) -> None:
    states = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.SUCCESS]
    assert after(home, *states) == states
