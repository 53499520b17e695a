"""The scheduler's tick on a real database: what it starts, once, and what it takes back."""

from __future__ import annotations

from collections.abc import Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kronos.core.backtests.attempts import AttemptOutcome
from kronos.core.changes.model import Experiment
from kronos.core.changes.request import KRONOS
from kronos.core.scheduling.policy import Need, Retries, RuntimePrior
from kronos.core.vocabulary import ExpectedOutcome, ExperimentStatus, ResourceClass
from kronos.services.attempts import hand_back
from kronos.services.backtest_queue import queue_status
from kronos.services.experiments import cancel, changing
from kronos.services.refresh import refresh_cells, refresh_facts
from kronos.services.scheduling import RunState, Scheduling, StateOf, Ticked, tick
from kronos.services.scheduling_snapshot import CountRuns, RunQueue
from kronos.store.backtests import RunningBacktest, end_attempt, renew, take_up
from kronos.store.clock import move_clock
from kronos.store.database import Database, Role
from kronos.store.experiments import move_experiment
from kronos.store.scheduler import KeptDecision, decisions_of
from kronos_tests.builders import decision, insert
from kronos_tests.services.backtest_world import (
    LAST_SESSION,
    NOW,
    PIECES,
    World,
    backtest_world,
    no_runs,
    policy,
    trading_job,
)

QUEUED, RUNNING, REJECTED = (
    ExperimentStatus.QUEUED_FOR_BACKTEST,
    ExperimentStatus.RUNNING_BACKTESTS,
    ExperimentStatus.REJECTED,
)


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    with backtest_world(database, tmp_path) as found:
        yield found


def ticked(world: World, state_of: StateOf = lambda _: None, count_runs: CountRuns = no_runs) -> Ticked:
    return tick(Scheduling(world.settings, world.workplace, world.pipeline, state_of, count_runs))


def last(world: World, experiment: Experiment) -> KeptDecision:
    with world.database.connect(Role.READER) as session:
        return decisions_of(session, experiment.experiment_id)[-1]


def lapse(world: World, experiment: Experiment) -> None:
    """The lease of a running experiment is over."""
    with world.database.connect(Role.OWNER) as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        statement = "UPDATE kronos.experiments SET leased_until = %s WHERE experiment_id = %s"
        session.execute(statement, [past, experiment.experiment_id])


def test_what_finds_room_is_started_and_asked_for(world: World) -> None:
    experiment = world.queued()
    done = ticked(world)
    (launch,) = done.launches
    assert launch.members == ((experiment.experiment_id, 1),) and launch.priority == 5
    now = world.now(experiment)
    assert now.status is RUNNING and now.leased_until is not None
    assert (last(world, experiment).action, last(world, experiment).reason) == ("ADMIT", "FREE")


def test_a_launch_is_asked_for_under_one_key_until_a_run_takes_it_up(world: World) -> None:
    """The tick that asked for it may have died before anyone heard."""
    experiment = world.queued()
    first, second = ticked(world), ticked(world)
    assert [one.key for one in first.launches] == [one.key for one in second.launches]
    with world.database.connect() as session:
        assert take_up(session, experiment.experiment_id, 1, "run")
    assert ticked(world).launches == ()


def test_two_schedulers_at_once_start_everything_once(world: World) -> None:
    experiments = [world.queued(lookback=40 + n, resource_class=ResourceClass.CPU_HEAVY) for n in range(3)]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            list(pool.map(lambda _: ticked(world), range(2)))
    assert [world.now(one).attempt for one in experiments] == [1, 1, 1]
    assert all(len(world.attempts(one.experiment_id)) == 1 for one in experiments)


def test_they_start_in_the_order_of_priority(world: World) -> None:
    later, first, middle = (world.queued(lookback=40 + p, priority=p) for p in (7, 1, 5))
    ticked(world)
    order = sorted((later, first, middle), key=lambda one: world.attempts(one.experiment_id)[0].admitted_at)
    assert [one.priority for one in order] == [1, 5, 7]


def test_caps_hold_and_who_waits_is_told_why(world: World) -> None:
    many = [world.queued(lookback=40 + n) for n in range(5)]
    ticked(world)
    running = [one for one in many if world.now(one).status is RUNNING]
    assert len(running) == 3
    waits = last(world, next(one for one in many if one not in running))
    assert (waits.action, waits.reason) == ("WAIT", "CLASS_LIMIT") and waits.expected_start is not None


def test_what_others_take_of_the_run_queue_is_not_given_away(world: World) -> None:
    """Of four runs at once others have three: one backtest begins, and its own run is none of the others."""
    many = [world.queued(lookback=40 + n) for n in range(2)]
    asked: list[Set[str]] = []

    def count(launches: Set[str]) -> RunQueue:
        asked.append(launches)
        return RunQueue(under_way=2, queued=1 + len(launches), others=3, limit=4)

    launched = {one.key for one in ticked(world, count_runs=count).launches}
    ticked(world, count_runs=count)
    assert asked == [set(), launched]
    assert sorted(world.now(one).attempt for one in many) == [0, 1]
    waits = last(world, next(one for one in many if world.now(one).attempt == 0))
    assert (waits.action, waits.reason, waits.blocker) == ("WAIT", "RUN_LIMIT", "run queue")


def test_decisions_that_name_no_market_have_weekdays_protected_and_hold_nothing_up_beyond(world: World) -> None:
    insert(world.database, engine_decisions=[decision("lost", LAST_SESSION, context_id="none", market_id=None)])
    refresh_facts(world.pipeline, ["1996-12"], today=NOW.date())
    refresh_cells(world.pipeline, ["1996-12"])
    experiment = world.queued()
    ticked(world)
    assert last(world, experiment).reason == "PROTECTED_WINDOW"
    saturday = datetime(1997, 1, 4, 12, tzinfo=UTC)
    with world.database.connect(Role.ORCHESTRATOR) as session:
        assert move_clock(session, LAST_SESSION, saturday.date(), saturday)
    ticked(world)
    assert last(world, experiment).action == "ADMIT"


def test_a_wait_that_lasts_is_one_row(world: World) -> None:
    many = [world.queued(lookback=40 + n) for n in range(4)]
    ticked(world)
    ticked(world)
    (waiting,) = [one for one in many if world.now(one).status is QUEUED]
    with world.database.connect(Role.READER) as session:
        (kept,) = decisions_of(session, waiting.experiment_id)
    assert kept.last_at > kept.first_at


def test_a_worker_that_fell_silent_loses_the_experiment_to_the_queue(world: World) -> None:
    experiment = world.queued()
    ticked(world)
    with world.database.connect() as session:
        take_up(session, experiment.experiment_id, 1, "run")
    lapse(world, experiment)
    done = ticked(world, lambda _: RunState.BEGUN)
    assert [one.experiment.experiment_id for one in done.stopped] == [experiment.experiment_id]
    (lost,) = world.attempts(experiment.experiment_id)
    assert lost.outcome is AttemptOutcome.LOST and world.now(experiment).status is QUEUED
    with world.database.connect() as session:
        assert renew(session, experiment.experiment_id, 1, 60) is None
    assert last(world, experiment).reason == "NOT_BEFORE"


def test_a_run_that_dagster_says_is_over_is_taken_back_at_once(world: World) -> None:
    experiment = world.queued()
    ticked(world)
    with world.database.connect() as session:
        take_up(session, experiment.experiment_id, 1, "run")
    ticked(world, lambda _: RunState.OVER)
    assert world.attempts(experiment.experiment_id)[0].outcome is AttemptOutcome.LOST


def test_a_run_that_ends_before_it_takes_its_attempt_up_comes_back_after_a_pause(world: World) -> None:
    """As where its process cannot be started: it would end like that again, tick after tick."""
    experiment = world.queued()
    ticked(world)
    done = ticked(world, lambda _: RunState.OVER)
    (ended,) = world.attempts(experiment.experiment_id)
    assert (ended.outcome, ended.why) == (AttemptOutcome.CRASHED, "its run ended and never took it up")
    assert done.launches == () and world.now(experiment).status is QUEUED
    assert last(world, experiment).reason == "NOT_BEFORE"


def test_runs_that_never_take_their_attempt_up_are_given_up(database: Database, tmp_path: Path) -> None:
    terms = policy(retries=Retries(first_after=timedelta(milliseconds=1), longest=timedelta(milliseconds=1)))
    with backtest_world(database, tmp_path, terms) as world:
        experiment = world.queued()
        for _ in range(20):
            ticked(world, lambda _: RunState.OVER)
        found = world.now(experiment)
        assert len(world.attempts(experiment.experiment_id)) == terms.scheduler.retries.attempts
        assert found.status is REJECTED and found.metadata["reason"] == "CRASHED: its run ended and never took it up"


def test_a_run_that_somebody_cancelled_before_it_began_did_not_crash(world: World) -> None:
    experiment = world.queued()
    ticked(world)
    ticked(world, lambda _: RunState.CANCELLED)
    ended = world.attempts(experiment.experiment_id)[0]
    assert (ended.outcome, ended.why) == (AttemptOutcome.LOST, "its run was cancelled")


def test_a_run_that_waits_in_dagsters_queue_keeps_the_experiment(world: World) -> None:
    experiment = world.queued()
    ticked(world)
    lapse(world, experiment)
    ticked(world, lambda _: RunState.WAITING)
    now = world.now(experiment)
    assert now.status is RUNNING and now.leased_until is not None and now.leased_until > datetime.now(UTC)


def test_a_run_that_began_and_never_took_its_attempt_up_loses_it(world: World) -> None:
    """Its process was killed in between, together with whoever would have told Dagster."""
    experiment = world.queued()
    ticked(world)
    assert ticked(world, lambda _: RunState.BEGUN).stopped == ()
    lapse(world, experiment)
    done = ticked(world, lambda _: RunState.BEGUN)
    assert [one.attempt.attempt for one in done.stopped] == [1]
    lost, again = world.attempts(experiment.experiment_id)
    assert (lost.outcome, lost.why) == (AttemptOutcome.LOST, "its run began and never took it up")
    assert again.outcome is None


def test_who_waits_has_a_whole_lease_left_when_its_run_begins(world: World) -> None:
    experiment = world.queued()
    ticked(world)
    before = world.now(experiment).leased_until
    ticked(world, lambda _: RunState.WAITING)
    after = world.now(experiment).leased_until
    assert before is not None and after is not None and after > before


def test_a_run_that_never_began_does_not_count_as_a_crash(world: World) -> None:
    experiment = world.queued()
    ticked(world)
    lapse(world, experiment)
    ticked(world)
    assert world.now(experiment).status is RUNNING
    assert [one.outcome for one in world.attempts(experiment.experiment_id)] == [AttemptOutcome.LOST, None]


def test_tier_1_at_work_starts_nothing_and_makes_runs_leave(world: World) -> None:
    running = world.queued()
    ticked(world)
    insert(world.database, job_executions=[trading_job()])
    waiting = world.queued(lookback=42)
    ticked(world)
    assert (last(world, waiting).reason, last(world, waiting).blocker) == ("TIER1_RUNNING", "US_EQ")
    assert last(world, running).action == "PREEMPT"
    assert world.attempts(running.experiment_id)[0].told_why == "TIER1_RUNNING US_EQ"


@pytest.mark.parametrize("job_type", ["meta_daily", "RUN_BACKTEST"])
def test_a_job_of_a_lower_tier_holds_nothing_up_and_makes_nothing_leave(world: World, job_type: str) -> None:
    """Upstream's job may be the running experiment's own backtest."""
    running = world.queued()
    ticked(world)
    insert(world.database, job_executions=[trading_job(job_type=job_type)])
    started = world.queued(lookback=42)
    ticked(world)
    assert last(world, started).action == "ADMIT"
    assert world.attempts(running.experiment_id)[0].told_at is None


def test_a_job_of_a_type_that_nobody_knows_is_the_blocker_in_the_queue(world: World) -> None:
    experiment = world.queued()
    insert(world.database, job_executions=[trading_job(job_type="replay_archive")])
    ticked(world)
    (waiting,) = queue_status(world.database, world.pipeline.policy.scheduler).waiting
    assert waiting.experiment.experiment_id == experiment.experiment_id and waiting.decision is not None
    assert (waiting.decision.reason, waiting.decision.blocker) == ("TIER1_RUNNING", "US_EQ")


def test_policy_says_which_types_are_of_a_lower_tier(database: Database, tmp_path: Path) -> None:
    with backtest_world(database, tmp_path, policy(lower_tiers=("replay_archive",))) as world:
        experiment = world.queued()
        insert(world.database, job_executions=[trading_job(job_type="replay_archive")])
        ticked(world)
        assert last(world, experiment).action == "ADMIT"


def test_without_a_market_in_use_nothing_is_started(world: World) -> None:
    """Nobody knows whose windows to protect."""
    world.pipeline.lake.write_months("cells", world.pipeline.lake.scan("cells").clear().collect(), ["1996-12"])
    experiment = world.queued()
    ticked(world)
    assert last(world, experiment).reason == "NO_CALENDAR"


def test_a_market_of_which_tier_1_says_nothing_starts_nothing(world: World) -> None:
    with world.database.connect(Role.UPSTREAM) as session:
        session.execute("DELETE FROM source.engine_runs")
    experiment = world.queued()
    ticked(world)
    assert (last(world, experiment).reason, last(world, experiment).blocker) == ("TIER1_UNKNOWN", "US_EQ")


def test_a_machine_without_room_is_the_blocker(database: Database, tmp_path: Path) -> None:
    huge = policy(needs=dict.fromkeys(ResourceClass, Need(cpu=0.01, memory_mb=10**9, io=0.0)))
    with backtest_world(database, tmp_path, huge) as world:
        experiment = world.queued()
        ticked(world)
        assert last(world, experiment).reason == "NO_SUCH_NODE"


def test_controls_share_a_run(database: Database, tmp_path: Path) -> None:
    short = RuntimePrior(median=timedelta(minutes=1), p95=timedelta(minutes=2))
    terms = policy(control_batch=2, prior=short)
    with backtest_world(database, tmp_path, terms) as world:
        controls = [world.queued(lookback=40 + n, expected_outcome=ExpectedOutcome.NEGATIVE_CONTROL) for n in range(2)]
        (launch,) = ticked(world).launches
        assert {experiment_id for experiment_id, _ in launch.members} == {one.experiment_id for one in controls}
        assert {one.batch for c in controls for one in world.attempts(c.experiment_id)} == {launch.members[0][0]}


def test_a_batch_is_one_run_to_its_end_whichever_of_its_members_are_over(database: Database, tmp_path: Path) -> None:
    short = RuntimePrior(median=timedelta(minutes=1), p95=timedelta(minutes=2))
    with backtest_world(database, tmp_path, policy(control_batch=3, prior=short)) as world:
        for n in range(3):
            world.queued(lookback=40 + n, expected_outcome=ExpectedOutcome.NEGATIVE_CONTROL)
        (launch,) = ticked(world).launches
        assert len(launch.members) == 3 and launch.key == f"{launch.members[0][0]}:1"
        for experiment_id, attempt in launch.members:
            with world.database.connect() as session:
                assert take_up(session, experiment_id, attempt, "run")
            assert ticked(world, lambda _: RunState.BEGUN).launches == ()
            with changing(world.workplace, KRONOS, "done") as session:
                end_attempt(session, experiment_id, AttemptOutcome.COMPLETED)
                move_experiment(session, experiment_id, [RUNNING], ExperimentStatus.AWAITING_REVIEW)
            assert ticked(world, lambda _: RunState.BEGUN).launches == ()


def test_a_run_that_ends_before_its_turn_at_a_member_is_no_failure_of_that_one(
    database: Database, tmp_path: Path
) -> None:
    short = RuntimePrior(median=timedelta(minutes=1), p95=timedelta(minutes=2))
    with backtest_world(database, tmp_path, policy(control_batch=2, prior=short)) as world:
        for n in range(2):
            world.queued(lookback=40 + n, expected_outcome=ExpectedOutcome.NEGATIVE_CONTROL)
        (launch,) = ticked(world).launches
        (lead, _), (other, _) = launch.members
        with world.database.connect() as session:
            assert take_up(session, lead, 1, "run")
        ticked(world, lambda _: RunState.OVER)
        assert world.attempts(other)[0].outcome is AttemptOutcome.LOST


def test_members_in_different_attempts_are_of_the_one_run_that_was_asked_for(
    database: Database, tmp_path: Path
) -> None:
    short = RuntimePrior(median=timedelta(minutes=1), p95=timedelta(minutes=2))
    with backtest_world(database, tmp_path, policy(control_batch=2, prior=short)) as world:
        first = world.queued(expected_outcome=ExpectedOutcome.NEGATIVE_CONTROL)
        assert hand_back(world.workplace, first.experiment_id, world.admitted(first), AttemptOutcome.LOST, "silent")
        world.queued(lookback=42, expected_outcome=ExpectedOutcome.NEGATIVE_CONTROL)
        (launch,) = ticked(world).launches
        assert sorted(attempt for _, attempt in launch.members) == [1, 2]
        asked = list[str]()

        def waiting(one: RunningBacktest) -> RunState:
            asked.append(one.attempt.launch)
            return RunState.WAITING

        assert [one.key for one in ticked(world, waiting).launches] == [launch.key]
        assert asked == [launch.key] * 2


def test_the_members_of_a_batch_wait_while_its_run_is_at_another(database: Database, tmp_path: Path) -> None:
    short = RuntimePrior(median=timedelta(minutes=1), p95=timedelta(minutes=2))
    with backtest_world(database, tmp_path, policy(control_batch=2, prior=short)) as world:
        lead, other = (
            world.queued(lookback=40 + n, expected_outcome=ExpectedOutcome.NEGATIVE_CONTROL) for n in range(2)
        )
        ticked(world)
        with world.database.connect() as session:
            take_up(session, lead.experiment_id, 1, "run")
        lapse(world, other)
        assert ticked(world, lambda _: RunState.BEGUN).stopped == ()
        for one in (lead, other):
            lapse(world, one)
        assert len(ticked(world, lambda _: RunState.BEGUN).stopped) == 2


def test_cancelling_what_waits_to_be_launched_ends_its_attempt(world: World) -> None:
    experiment = world.queued()
    ticked(world)
    cancel(world.workplace, experiment.experiment_id, "ben", "not now")
    assert ticked(world).launches == () and world.now(experiment).status is REJECTED


def test_the_queue_page_tells_what_is_true(world: World) -> None:
    many = [world.queued(lookback=40 + n, priority=n) for n in range(4)]
    before = queue_status(world.database, world.pipeline.policy.scheduler)
    assert before.silent and [one.experiment.priority for one in before.waiting] == [0, 1, 2, 3]
    assert all(one.decision is None for one in before.waiting)
    ticked(world)
    after = queue_status(world.database, world.pipeline.policy.scheduler)
    assert not after.silent and len(after.running) == 3
    (waiting,) = after.waiting
    assert waiting.experiment.experiment_id == many[3].experiment_id and waiting.decision is not None
    told = after.to_json_dict()
    assert told["running"][0]["pieces"] == PIECES and told["waiting"][0]["reason"] == "CLASS_LIMIT"


def test_a_tick_at_the_same_time_as_another_says_so(world: World) -> None:
    world.queued()
    with world.database.connect() as session:
        session.execute("SELECT pg_advisory_xact_lock(hashtextextended('kronos backtest scheduler', 0))")
        assert ticked(world).note == "another scheduler is planning"
    assert len(ticked(world).launches) == 1


def test_an_alive_worker_is_left_alone(world: World) -> None:
    experiment = world.queued()
    ticked(world)
    with world.database.connect() as session:
        take_up(session, experiment.experiment_id, 1, "run")
    asked: list[RunningBacktest] = []

    def alive(one: RunningBacktest) -> RunState:
        asked.append(one)
        return RunState.BEGUN

    assert ticked(world, alive).stopped == () and asked[0].attempt.run_id == "run"
    assert world.now(experiment).status is RUNNING
