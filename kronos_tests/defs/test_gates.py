"""Suites of controls as assets: started and told by a sensor, checked by family, in front of the candidates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import dagster as dg
import pytest

from kronos.core.controls.catalogue import ControlFamily
from kronos.core.gates.model import Gate, GateVerdict
from kronos.core.vocabulary import ExperimentStatus
from kronos.defs.assembly import assemble
from kronos.defs.resources import Kronos
from kronos.services.backtest import run_backtest
from kronos.services.code_version import code_version
from kronos.services.controls import recorded_suites, start_suites, suites_under_way
from kronos.services.experiments import cancel, list_experiments, requeue
from kronos.settings import Settings
from kronos.store.control_suites import promotable_experiments
from kronos.store.database import Database, Role
from kronos.store.latch import close_latch
from kronos_tests.defs.ticks import launch, tick
from kronos_tests.services.backtest_world import NOW, World
from kronos_tests.services.control_world import control_world, judge_suite, judged
from kronos_tests.store.changes import begin

SENSOR = "control_suites_sensor"
MONDAY = "1996-12-30"
"""Of the ISO week of the world's clock."""


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    """PORTFOLIO alone has an active config."""
    with control_world(database, tmp_path) as found:
        with database.connect(Role.OWNER) as session:
            for table in ("config_activations", "engine_configs"):
                session.execute(f"ALTER TABLE kronos.{table} DISABLE TRIGGER USER")
            session.execute("DELETE FROM kronos.config_activations WHERE engine_name <> 'PORTFOLIO'")
            session.execute("UPDATE kronos.engine_configs SET status = 'REGISTERED' WHERE engine_name <> 'PORTFOLIO'")
            for table in ("config_activations", "engine_configs"):
                session.execute(f"ALTER TABLE kronos.{table} ENABLE TRIGGER USER")
        object.__setattr__(found, "settings", Settings(home=tmp_path, database_url=database.url))
        object.__setattr__(found.workplace, "code_version", code_version())
        yield found


@pytest.fixture
def kronos(world: World) -> Kronos:
    return Kronos(world.settings)


def start(world: World) -> None:
    start_suites(world.workplace, world.pipeline.lake, NOW)


def asked(kronos: Kronos, instance: dg.DagsterInstance) -> dict[str, dg.RunRequest]:
    """Requests of a tick by job."""
    return {one.job_name or "": one for one in tick(kronos, instance, SENSOR)}


def told(kronos: Kronos, instance: dg.DagsterInstance) -> Any:
    """The run of the week's suites."""
    request = asked(kronos, instance)["control_suites"]
    assert request.partition_key == MONDAY
    job = assemble(kronos).resolve_job_def("control_suites")
    return job.execute_in_process(instance=instance, partition_key=MONDAY, raise_on_error=False)


def checks(done: Any) -> dict[str, dg.AssetCheckEvaluation]:
    return {one.check_name: one for one in done.get_asset_check_evaluations()}


def materialised(done: Any) -> set[str]:
    return {event.asset_key.to_user_string() for event in done.get_asset_materialization_events()}


def test_a_due_suite_is_started_by_a_run(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    request = asked(kronos, instance)["start_control_suites"]
    assert launch(kronos, instance, request).success
    (suite,) = suites_under_way(world.database, NOW)
    assert suite.key.engine_name == "PORTFOLIO"
    assert "start_control_suites" not in asked(kronos, instance)


def test_a_due_suite_is_asked_for_under_one_key(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    """Dagster starts one run of it."""
    keys = {asked(kronos, instance)["start_control_suites"].run_key for _ in range(2)}
    assert len(keys) == 1


def test_nothing_is_told_of_a_suite_that_runs(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    start(world)
    assert asked(kronos, instance) == {}


def test_a_judged_suite_is_recorded_and_every_family_checked(
    world: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    start(world)
    judge_suite(world)
    done = told(kronos, instance)
    assert done.success
    assert len(recorded_suites(world.database)) == 1
    assert {name for name in checks(done) if name.endswith("_controls")} == {
        f"{family.lower()}_controls" for family in ControlFamily
    }
    assert all(one.passed for one in checks(done).values())
    assert materialised(done) == {"control_suite", "promotion_candidates"}


def test_a_control_let_through_blocks_the_candidates(
    world: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    start(world)
    judge_suite(world, {"inverted_signal": {}})
    done = told(kronos, instance)
    failed = {name: one for name, one in checks(done).items() if not one.passed}
    assert set(failed) == {"improvement_controls"}
    assert failed["improvement_controls"].severity is dg.AssetCheckSeverity.ERROR
    assert materialised(done) == {"control_suite"}


def test_the_check_shows_control_gate_and_trend(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    start(world)
    judge_suite(world)
    shown = checks(told(kronos, instance))["improvement_controls"].metadata
    assert "decides the opposite of the incumbent" in str(shown["controls"].value)
    assert "IMPROVEMENT" in str(shown["refused_by"].value)
    assert "by week" in str(shown["trend"].value)


def test_a_missed_positive_alerts_and_does_not_block(
    world: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    start(world)
    judge_suite(world, {"positive_edge": {Gate.EVIDENCE: GateVerdict.INCONCLUSIVE}})
    done = told(kronos, instance)
    missed = checks(done)["positive_controls"]
    assert (missed.passed, missed.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "promotion_candidates" in materialised(done)


def test_a_broken_suite_is_told_and_blocks(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    start(world)
    for one in list_experiments(world.database):
        cancel(world.workplace, one.experiment_id, "ann", "in the way")
    done = told(kronos, instance)
    assert not any(one.passed for name, one in checks(done).items() if name.endswith("_controls"))
    assert materialised(done) == {"control_suite"}


def candidate(world: World) -> str:
    experiment = world.queued()
    judged(world, experiment.experiment_id)
    assert world.now(experiment).status is ExperimentStatus.AWAITING_REVIEW
    return str(experiment.experiment_id)


def shown(kronos: Kronos, instance: dg.DagsterInstance) -> dict[str, Any]:
    """The candidates materialised alone, past every blocking check."""
    done = launch(kronos, instance, dg.RunRequest(job_name="promotion_candidates_alone"))
    assert done.success
    assert checks(done)["promotable_by_the_tables"].passed
    (event,) = done.asset_materializations_for_node("promotion_candidates")
    return {name: value.value for name, value in event.metadata.items()}


def test_without_a_suite_no_candidate_is_promotable_whoever_asks(
    world: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    """A blocking check guards its own run only."""
    experiment_id = candidate(world)
    found = shown(kronos, instance)
    assert found["promotable"] == 0
    assert experiment_id in found["experiments"] and "is closed: NO_SUITE" in found["experiments"]


def test_what_passed_is_promotable_once_the_gates_are_proven(
    world: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    start(world)
    judge_suite(world)
    assert told(kronos, instance).success
    candidate(world)
    assert shown(kronos, instance)["promotable"] == 1
    with world.database.connect(Role.CHANGE_MANAGER) as session:
        begin(session, "ann")
        close_latch(session, "PORTFOLIO", "SUSPECT", {"why": "a look is needed"})
    found = shown(kronos, instance)
    assert found["promotable"] == 0 and "the promotion latch of PORTFOLIO is closed: SUSPECT" in found["experiments"]
    assert promotable(world) == []


def test_results_of_a_later_attempt_are_not_what_was_judged(
    world: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    start(world)
    judge_suite(world)
    assert told(kronos, instance).success
    experiment_id = candidate(world)
    assert promotable(world) == [UUID(experiment_id)]
    experiment = requeue(world.workplace, UUID(experiment_id), "ann", "more data")
    assert run_backtest(world.bench(), experiment.experiment_id, world.admitted(experiment), "again") is not None
    found = shown(kronos, instance)
    assert found["promotable"] == 0 and "is of an earlier attempt: expected PASS" in found["experiments"]
    assert promotable(world) == []


def promotable(world: World) -> list[UUID]:
    """What the tables alone let through."""
    with world.database.connect(Role.READER) as session:
        return promotable_experiments(session)


def test_a_verdict_asks_for_the_candidates_anew(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    start(world)
    assert "promotion_candidates_alone" not in asked(kronos, instance)
    candidate(world)
    assert "promotion_candidates_alone" in asked(kronos, instance)
