"""The scheduler's sensor and the backtest's job on a Dagster instance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
import yaml

from kronos.core.backtests.attempts import AttemptOutcome
from kronos.core.changes.model import Experiment
from kronos.core.scheduling.policy import CLASS_LIMITS, MOST_BACKTESTS
from kronos.core.vocabulary import ExperimentStatus, ResourceClass
from kronos.defs.assembly import assemble
from kronos.defs.experiments.partitions import EXPERIMENTS_NAME, LAUNCH_TAG, MEMBERS_TAG, members_of, members_tag
from kronos.defs.experiments.sensors import request, state_of
from kronos.defs.resources import Kronos
from kronos.errors import ChangeRefused, KronosError
from kronos.services.experiments import cancel
from kronos.services.judging import why_not_judge
from kronos.services.scheduling import Launch, RunState
from kronos.settings import Settings, dagster_root
from kronos.store.backtests import RunningBacktest, running_backtests
from kronos.store.database import Database, Role
from kronos.store.meta_runs import Claim, claim, claiming
from kronos_tests.builders import insert
from kronos_tests.databases import drop
from kronos_tests.defs.daemon import Daemon, daemon_over
from kronos_tests.defs.ticks import tick
from kronos_tests.services.backtest_world import NOW, PIECES, World, backtest_world, policy, trading_job

SCHEDULER = "backtest_scheduler"


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    terms = policy()
    path = tmp_path / "policy.json"
    path.write_text(terms.model_dump_json())
    with backtest_world(database, tmp_path, terms) as found:
        settings = Settings(home=tmp_path, database_url=database.url, policy=path)
        object.__setattr__(found, "settings", settings)
        yield found


@pytest.fixture
def kronos(world: World) -> Kronos:
    return Kronos(world.settings)


@pytest.fixture
def daemon(world: World) -> Iterator[Daemon]:
    with daemon_over(world.settings, world.database) as daemon:
        yield daemon
    drop(world.database.sibling(f"{world.database.name}_dagster"))


def launched(kronos: Kronos, instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    """The run of a request, as the daemon would start it."""
    for experiment_id, _ in members_of(request.tags):
        instance.add_dynamic_partitions(EXPERIMENTS_NAME, [str(experiment_id)])
    job = assemble(kronos).resolve_job_def("experiment_backtests")
    return job.execute_in_process(
        instance=instance, partition_key=request.partition_key, tags=dict(request.tags), raise_on_error=False
    )


def made(
    kronos: Kronos, instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus
) -> dg.DagsterRun:
    """The run of a request as far as a state."""
    job = assemble(kronos).resolve_job_def("experiment_backtests")
    return instance.create_run_for_job(job, tags=dict(request.tags), status=status)


def open_attempt(world: World) -> RunningBacktest:
    with world.database.connect(Role.READER) as session:
        (running,) = running_backtests(session)
    return running


def materialised(instance: dg.DagsterInstance, asset: str) -> set[str]:
    return set(instance.get_materialized_partitions(dg.AssetKey(asset)))


def now(world: World, experiment: Experiment) -> ExperimentStatus:
    return world.now(experiment).status


def test_a_queued_experiment_becomes_a_run_and_then_results(
    world: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    """Through the sandbox's own runner, in its child process."""
    experiment = world.queued()
    (request,) = tick(kronos, instance, SCHEDULER)
    assert request.tags["kronos/resource_class"] == "CPU_HEAVY" and request.tags["dagster/priority"] == "-5"
    result = launched(kronos, instance, request)
    assert result.success and now(world, experiment) is ExperimentStatus.AWAITING_REVIEW
    ids = {str(experiment.experiment_id)}
    for asset in ("experiment_backtest", "experiment_result", "experiment_verdict"):
        assert materialised(instance, asset) == ids


def test_the_verdicts_record_is_the_page_and_its_check_passes(
    world: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    world.queued()
    (request,) = tick(kronos, instance, SCHEDULER)
    result = launched(kronos, instance, request)
    event = instance.get_latest_materialization_event(dg.AssetKey("experiment_verdict"))
    assert event is not None and event.asset_materialization is not None
    assert "What would change it" in str(event.asset_materialization.metadata["page"].value)
    checked = {one.check_name: one.passed for one in result.get_asset_check_evaluations()}
    assert checked["follows_from_its_gates"]


@pytest.fixture
def left_unjudged(
    world: World, kronos: Kronos, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> Experiment:
    """An experiment with results that the sensor need not leave alone any more; the scheduler has just planned."""
    from kronos.services import verdicts
    from kronos.services.backtest import run_backtest

    experiment = world.queued()
    tick(kronos, instance, SCHEDULER)
    run_backtest(world.bench(), experiment.experiment_id, 1, "run")
    monkeypatch.setattr(verdicts.unjudged_experiments, "__defaults__", (0.0,))
    return experiment


def judging(kronos: Kronos, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    return tick(kronos, instance, "unjudged_experiments")


def judged(kronos: Kronos, instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    """The run of a request for a verdict."""
    job = assemble(kronos).resolve_job_def("judge_experiments")
    return job.execute_in_process(
        instance=instance, partition_key=request.partition_key, tags=dict(request.tags), raise_on_error=False
    )


def test_what_its_run_did_not_judge_is_judged_by_the_sensor_once(
    left_unjudged: Experiment, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    (request,) = judging(kronos, instance)
    assert request.partition_key == str(left_unjudged.experiment_id)
    assert judged(kronos, instance, request).success
    assert materialised(instance, "experiment_verdict") == {str(left_unjudged.experiment_id)}
    assert judging(kronos, instance) == []


def test_while_trading_needs_the_machine_nothing_is_judged(
    world: World, left_unjudged: Experiment, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    """Neither asked for nor begun by a run that was; it is asked for again when trading is through."""
    (request,) = judging(kronos, instance)
    insert(world.database, job_executions=[trading_job()])
    tick(kronos, instance, SCHEDULER)
    assert judging(kronos, instance) == []
    assert judged(kronos, instance, request).success and materialised(instance, "experiment_verdict") == set()
    with world.database.connect(Role.OWNER) as session:
        session.execute("UPDATE source.job_executions SET status = 'SUCCESS', completed_at = started_at")
    tick(kronos, instance, SCHEDULER)
    (again,) = judging(kronos, instance)
    assert again.run_key != request.run_key and judged(kronos, instance, again).success
    assert materialised(instance, "experiment_verdict") == {str(left_unjudged.experiment_id)}


def test_a_verdict_that_failed_is_asked_for_again_after_a_pause_and_not_for_ever(
    left_unjudged: Experiment, kronos: Kronos, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a run key of its own: Dagster would take the first one's for done."""
    from kronos.services import verdicts

    def breaks(*_: object) -> None:
        raise KronosError("the database is gone")

    del left_unjudged
    with monkeypatch.context() as broken:
        broken.setattr(verdicts, "judge_experiment", breaks)
        (first,) = judging(kronos, instance)
        assert not judged(kronos, instance, first).success
    assert judging(kronos, instance) == []
    monkeypatch.setattr("kronos.defs.again.PAUSE", timedelta(0))
    (second,) = judging(kronos, instance)
    assert second.run_key != first.run_key
    monkeypatch.setattr("kronos.defs.again.ATTEMPTS", 1)
    assert judging(kronos, instance) == []


def test_what_code_changed_under_its_run_left_unjudged_is_asked_for_again(
    left_unjudged: Experiment, kronos: Kronos, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the code is what it was by then, and with it the key."""
    from kronos.services import verdicts

    def changed() -> None:
        raise ChangeRefused("the code on disk was changed")

    (first,) = judging(kronos, instance)
    with monkeypatch.context() as edited:
        edited.setattr(verdicts, "require_unchanged", changed)
        assert judged(kronos, instance, first).success and materialised(instance, "experiment_verdict") == set()
    (second,) = judging(kronos, instance)
    assert second.run_key != first.run_key and judged(kronos, instance, second).success
    assert materialised(instance, "experiment_verdict") == {str(left_unjudged.experiment_id)}


@pytest.mark.parametrize("cadence", ["weekly", "monthly"])
def test_a_weeks_or_months_run_asks_for_a_new_verdict_once(
    world: World, left_unjudged: Experiment, kronos: Kronos, instance: dg.DagsterInstance, cadence: str
) -> None:
    """Nothing has moved but the calendar of reports, so that the verdict that stands is found again."""
    from kronos.services.verdicts import verdict_history

    def reported(cadence: str, period: str) -> None:
        with claiming(world.database, cadence) as session:
            claim(session, cadence, f"{cadence}:{period}", [Claim(period, ())])

    (first,) = judging(kronos, instance)
    judged(kronos, instance, first)
    found = verdict_history(world.database, left_unjudged.experiment_id)
    reported("daily", "1997-01-01")
    assert judging(kronos, instance) == []
    reported(cadence, "1996-12-30")
    (request,) = judging(kronos, instance)
    assert judged(kronos, instance, request).success and judging(kronos, instance) == []
    assert verdict_history(world.database, left_unjudged.experiment_id) == found
    reported(cadence, "1997-01-06")
    assert [one.run_key == request.run_key for one in judging(kronos, instance)] == [False]


def test_nothing_is_judged_while_nobody_plans(
    world: World, left_unjudged: Experiment, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    del left_unjudged
    with world.database.connect(Role.OWNER) as session:
        session.execute("UPDATE kronos.scheduler_state SET planned_at = planned_at - interval '2 hours'")
    assert judging(kronos, instance) == []
    assert "has not planned since" in str(why_not_judge(world.database, world.pipeline.policy))
    tick(kronos, instance, SCHEDULER)
    assert len(judging(kronos, instance)) == 1


def test_other_code_judges_again_what_is_not_proven_and_not_controls_of_other_suites(
    world: World,
    left_unjudged: Experiment,
    kronos: Kronos,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under a run key of its own: Dagster would take the first one's for done."""
    from kronos.services import code_version
    from kronos.services.verdicts import judge_experiment

    (first,) = judging(kronos, instance)
    judge_experiment(world.workplace, world.pipeline, left_unjudged.experiment_id, NOW.date())
    keys = {first.run_key}
    for code in ("edited", "edited twice"):
        monkeypatch.setattr(code_version, "installed_code", lambda code=code: code)
        (request,) = judging(kronos, instance)
        keys.add(request.run_key)
    assert len(keys) == 3
    with world.database.connect(Role.OWNER) as session:
        session.execute("ALTER TABLE kronos.experiments DISABLE TRIGGER USER")
        session.execute(
            """UPDATE kronos.experiments SET metadata = metadata || '{"suite": {"code_version": "test"}}'"""
        )
        session.execute("ALTER TABLE kronos.experiments ENABLE TRIGGER USER")
    assert judging(kronos, instance) == []


def test_the_runs_record_shows_what_was_tested(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    experiment = world.queued()
    (request,) = tick(kronos, instance, SCHEDULER)
    launched(kronos, instance, request)
    event = instance.get_latest_materialization_event(dg.AssetKey("experiment_result"))
    assert event is not None and event.asset_materialization is not None
    shown = event.asset_materialization.metadata["whole"].value
    assert "proposed" in str(shown) and "base and incumbent" in str(shown)
    assert event.asset_materialization.partition == str(experiment.experiment_id)


def test_the_runs_steps_are_checkpoints(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    experiment = world.queued()
    (request,) = tick(kronos, instance, SCHEDULER)
    result = launched(kronos, instance, request)
    (attempt,) = world.attempts(experiment.experiment_id)
    assert (attempt.pieces, attempt.pieces_after, attempt.run_id) == (PIECES, PIECES, result.run_id)


def test_a_run_nobody_scheduled_is_refused(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    experiment = world.queued()
    request = dg.RunRequest(partition_key=str(experiment.experiment_id))
    instance.add_dynamic_partitions(EXPERIMENTS_NAME, [str(experiment.experiment_id)])
    assert not launched(kronos, instance, request).success
    assert now(world, experiment) is ExperimentStatus.QUEUED_FOR_BACKTEST


def test_a_run_whose_experiment_was_cancelled_ends_quietly(
    world: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    experiment = world.queued()
    (request,) = tick(kronos, instance, SCHEDULER)
    cancel(world.workplace, experiment.experiment_id, "ben", "not now")
    assert launched(kronos, instance, request).success
    assert materialised(instance, "experiment_backtest") == set()


def test_a_failing_member_does_not_take_the_others_along(
    world: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    """Here the first of a batch is not the run's any more."""
    good, bad = world.queued(), world.queued(lookback=42)
    tick(kronos, instance, SCHEDULER)
    members = [(bad.experiment_id, 2), (good.experiment_id, 1)]
    request = dg.RunRequest(
        partition_key=str(bad.experiment_id), tags={LAUNCH_TAG: "batch", MEMBERS_TAG: members_tag(members)}
    )
    launched(kronos, instance, request)
    assert now(world, good) is ExperimentStatus.AWAITING_REVIEW
    assert materialised(instance, "experiment_result") == {str(good.experiment_id)}


def test_a_run_is_over_when_dagster_has_seen_its_end(
    world: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    world.queued()
    (request,) = tick(kronos, instance, SCHEDULER)
    running = open_attempt(world)
    assert state_of(instance)(running) is None
    assert launched(kronos, instance, request).success
    assert state_of(instance)(running) is RunState.OVER


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (dg.DagsterRunStatus.NOT_STARTED, RunState.WAITING),
        (dg.DagsterRunStatus.STARTING, RunState.WAITING),
        (dg.DagsterRunStatus.STARTED, RunState.BEGUN),
        (dg.DagsterRunStatus.CANCELING, RunState.BEGUN),
        (dg.DagsterRunStatus.CANCELED, RunState.CANCELLED),
        (dg.DagsterRunStatus.FAILURE, RunState.OVER),
    ],
)
def test_the_state_of_a_run_is_what_dagster_says_of_it(
    world: World, kronos: Kronos, instance: dg.DagsterInstance, status: dg.DagsterRunStatus, state: RunState
) -> None:
    world.queued()
    (request,) = tick(kronos, instance, SCHEDULER)
    made(kronos, instance, request, status)
    assert state_of(instance)(open_attempt(world)) is state


def test_members_of_a_batch_find_its_run_whatever_their_attempts(
    world: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    world.queued()
    (request,) = tick(kronos, instance, SCHEDULER)
    made(kronos, instance, request, dg.DagsterRunStatus.STARTED)
    lead = open_attempt(world)
    member = replace(lead, attempt=replace(lead.attempt, experiment_id=uuid4(), attempt=5))
    assert state_of(instance)(member) is RunState.BEGUN


def test_a_run_whose_process_nobody_has_is_failed_when_it_is_taken_back(
    world: World, kronos: Kronos, tmp_path: Path
) -> None:
    """The launcher knows of none to end; the run would hold its slot of the queue."""
    experiment = world.queued()
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        (request,) = tick(kronos, instance, SCHEDULER)
        run = made(kronos, instance, request, dg.DagsterRunStatus.STARTED)
        with world.database.connect(Role.OWNER) as session:
            statement = "UPDATE kronos.experiments SET leased_until = now() WHERE experiment_id = %s"
            session.execute(statement, [experiment.experiment_id])
        tick(kronos, instance, SCHEDULER)
        found = instance.get_run_by_id(run.run_id)
    assert found is not None and found.status is dg.DagsterRunStatus.FAILURE


def test_a_config_the_engine_refuses_is_rejected_with_the_reason(
    world: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    """Registered past the door's check, as an upstream without schemas could."""
    object.__setattr__(world.workplace, "check_config", lambda *_: None)
    experiment = world.queued(proposed_config={"style": "astrology"})
    (request,) = tick(kronos, instance, SCHEDULER)
    assert not launched(kronos, instance, request).success
    found = world.now(experiment)
    assert found.status is ExperimentStatus.REJECTED and "astrology" in found.metadata["reason"]
    assert world.attempts(experiment.experiment_id)[0].outcome is AttemptOutcome.CRASHED


def test_a_run_that_is_asked_for_again_under_its_key_is_started_once(world: World, daemon: Daemon) -> None:
    """Asked for while it waits in the run queue, and once it has left it: nobody has taken the attempt up yet."""
    world.queued()
    daemon.sensors()
    daemon.sensors()
    (run,) = daemon.run_queue()
    daemon.sensors()
    assert daemon.run_queue() == []
    assert daemon.asked(SCHEDULER) == [[open_attempt(world).attempt.launch]] * 3
    assert [one.run_id for one in daemon.instance.get_runs()] == [run.run_id]
    assert (run.tags["kronos/tier"], run.tags["kronos/resource_class"]) == ("3", "CPU_HEAVY")


def test_members_are_told_by_a_tag() -> None:
    members = [(uuid4(), 3), (uuid4(), 1)]
    assert members_of({MEMBERS_TAG: members_tag(members)}) == members and members_of({}) == []


def enqueued(daemon: Daemon, kronos: Kronos, classes: Iterable[ResourceClass]) -> None:
    """Runs of backtests of these classes, each more important than the one before, wait in the run queue."""
    job = assemble(kronos).resolve_job_def("experiment_backtests")
    for place, name in enumerate(classes):
        lead = uuid4()
        launch = Launch(f"{lead}:1", "n", ((lead, 1),), -place, "PORTFOLIO", name.value)
        daemon.enqueue(job, request(launch))


def ended(daemon: Daemon, runs: Iterable[dg.DagsterRun]) -> None:
    for run in runs:
        daemon.instance.report_run_failed(run)


def classes_of(runs: Iterable[dg.DagsterRun]) -> list[str]:
    return [run.tags["kronos/resource_class"] for run in runs]


def test_the_run_queue_launches_no_more_of_a_class_than_its_cap_and_the_next_when_one_ends(
    kronos: Kronos, daemon: Daemon
) -> None:
    """Whoever put them there: each class alone, one more than its cap allows."""
    for name, limit in CLASS_LIMITS.items():
        enqueued(daemon, kronos, [name] * (limit + 1))
        launched = daemon.run_queue()
        assert classes_of(launched) == [name] * limit and daemon.run_queue() == []
        ended(daemon, launched[:1])
        last = daemon.run_queue()
        assert classes_of(last) == [name]
        ended(daemon, [*launched[1:], *last])


def test_the_run_queue_launches_no_more_of_all_classes_than_may_run_together(kronos: Kronos, daemon: Daemon) -> None:
    """Each class as often as its own cap allows: the most important go first."""
    every = [name for name, limit in CLASS_LIMITS.items() for _ in range(limit)]
    assert len(every) > MOST_BACKTESTS
    enqueued(daemon, kronos, every)
    launched = daemon.run_queue()
    assert Counter(classes_of(launched)) == Counter(every[-MOST_BACKTESTS:]) and daemon.run_queue() == []
    ended(daemon, launched[:1])
    assert len(daemon.run_queue()) == 1


def test_the_run_queue_holds_the_caps_the_scheduler_plans_with() -> None:
    limits: list[dict[str, Any]] = yaml.safe_load((dagster_root() / "dagster.yaml").read_text())["concurrency"]["runs"][
        "tag_concurrency_limits"
    ]
    by_class = {one["value"]: one["limit"] for one in limits if one["key"] == "kronos/resource_class"}
    assert by_class == {name.value: limit for name, limit in CLASS_LIMITS.items()}
    (tier,) = [one["limit"] for one in limits if (one["key"], str(one["value"])) == ("kronos/tier", "3")]
    assert tier == MOST_BACKTESTS
