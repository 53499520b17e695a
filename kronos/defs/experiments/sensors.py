"""The backtest scheduler: a tick every few seconds plans, applies, and asks for the runs."""

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import dagster as dg

from kronos.defs.experiments.partitions import EXPERIMENTS_NAME, LAUNCH_TAG, MEMBERS_TAG, members_tag
from kronos.defs.resources import Kronos
from kronos.services.scheduling import Launch, RunState, Scheduling, tick
from kronos.services.scheduling_snapshot import CountRuns, RunQueue
from kronos.services.workplace import workplace_over
from kronos.store.backtests import RunningBacktest

_WAITING = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING]
_QUEUED = [dg.DagsterRunStatus.QUEUED]
_UNDER_WAY = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_OVER = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]

experiment_job = dg.define_asset_job(
    "experiment_backtests",
    selection=dg.AssetSelection.assets("experiment_backtest", "experiment_result", "experiment_verdict"),
    description="Backtests and verdict of one experiment, or of a batch of controls. Started by the scheduler alone.",
    # what crashed comes back through the queue, with its checkpoint
    tags={"kronos/tier": "3", "dagster/max_retries": "0"},
)


def scheduler_sensor(seconds_between: int) -> dg.SensorDefinition:
    """The scheduler with so many seconds between two plans."""

    @dg.sensor(
        name="backtest_scheduler",
        job=experiment_job,
        minimum_interval_seconds=seconds_between,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Decides which experiments may start their backtests without ever disturbing trading, tells others "
        "to leave, and takes back those whose worker is gone. Why each waits: `kronos experiment queue`.",
    )
    def backtest_scheduler(
        context: dg.SensorEvaluationContext, kronos: dg.ResourceParam[Kronos]
    ) -> dg.SensorResult | dg.SkipReason:
        instance = context.instance
        with kronos.open() as opened:
            workplace = workplace_over(kronos.settings, opened.pipeline.database, opened.pipeline.policy)
            runs = state_of(instance), count_runs(instance)
            done = tick(Scheduling(kronos.settings, workplace, opened.pipeline, *runs))
        for one in done.stopped:
            _stop(instance, one)
        if not done.launches:
            return dg.SkipReason(done.note)
        keys = [str(experiment_id) for launch in done.launches for experiment_id, _ in launch.members]
        instance.add_dynamic_partitions(EXPERIMENTS_NAME, keys)
        return dg.SensorResult(run_requests=[request(launch) for launch in done.launches])

    return backtest_scheduler


def request(launch: Launch) -> dg.RunRequest:
    """The run of a launch; however often it is asked for, Dagster starts one for its key."""
    lead = str(launch.members[0][0])
    return dg.RunRequest(
        run_key=launch.key,
        partition_key=lead,
        tags={
            LAUNCH_TAG: launch.key,
            MEMBERS_TAG: members_tag(launch.members),
            "kronos/experiment": lead,
            "kronos/engine": launch.engine_name,
            "kronos/resource_class": launch.resource_class,
            "kronos/node": launch.node,
            # Dagster's larger number goes first
            "dagster/priority": str(-launch.priority),
        },
    )


def state_of(instance: dg.DagsterInstance) -> Callable[[RunningBacktest], RunState | None]:
    """How far the run of an attempt is, as the instance knows it."""

    def ask(one: RunningBacktest) -> RunState | None:
        run = _run_of(instance, one)
        if run is None:
            return None
        if run.status in _WAITING:
            return RunState.WAITING
        if run.status is dg.DagsterRunStatus.CANCELED:
            return RunState.CANCELLED
        return RunState.OVER if run.status in _OVER else RunState.BEGUN

    return ask


def count_runs(instance: dg.DagsterInstance) -> CountRuns:
    """The instance's runs that are not over, and how many it starts at once."""

    def count(launches: Set[str]) -> RunQueue:
        def of(statuses: Sequence[dg.DagsterRunStatus], tags: Mapping[str, Any]) -> int:
            return instance.get_runs_count(dg.RunsFilter(statuses=statuses, tags=tags))

        queued, under_way = of(_QUEUED, {}), of(_UNDER_WAY, {})
        ours = of([*_QUEUED, *_UNDER_WAY], {LAUNCH_TAG: sorted(launches)}) if launches else 0
        config = instance.get_concurrency_config().run_queue_config
        # -1 is Dagster's word for any number; without a queue every run begins at once
        limit = config.max_concurrent_runs if config is not None and config.max_concurrent_runs >= 0 else None
        return RunQueue(under_way, queued, max(0, queued + under_way - ours), limit)

    return count


def _run_of(instance: dg.DagsterInstance, one: RunningBacktest) -> dg.DagsterRun | None:
    if one.attempt.run_id is not None:
        return instance.get_run_by_id(one.attempt.run_id)
    found = instance.get_runs(dg.RunsFilter(tags={LAUNCH_TAG: one.attempt.launch}), limit=1)
    return found[0] if found else None


def _stop(instance: dg.DagsterInstance, one: RunningBacktest) -> None:
    """End a run that had to be gone by now, if it is there and does not end by itself."""
    run = _run_of(instance, one)
    if run is None or run.is_finished or run.status is dg.DagsterRunStatus.CANCELING:
        return
    if not instance.run_coordinator.cancel_run(run.run_id):
        # nobody has its process: left as it is it would hold a slot of the queue until its longest time is over
        instance.report_run_failed(run, "its worker is gone")
