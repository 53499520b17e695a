"""The backtest scheduler: a tick every few seconds plans, applies, and asks for the runs."""

from collections.abc import Callable

import dagster as dg

from kronos.defs.experiments.partitions import EXPERIMENTS_NAME, LAUNCH_TAG, MEMBERS_TAG, members_tag
from kronos.defs.resources import Kronos
from kronos.services.scheduling import Launch, Scheduling, tick
from kronos.services.workplace import workplace_over
from kronos.store.backtests import RunningBacktest

_OVER = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]

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
            done = tick(Scheduling(kronos.settings, workplace, opened.pipeline, is_alive(instance)))
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


def is_alive(instance: dg.DagsterInstance) -> Callable[[RunningBacktest], bool | None]:
    """Whether the run of an attempt may still be at work, as the instance knows it."""

    def ask(one: RunningBacktest) -> bool | None:
        run = _run_of(instance, one)
        return None if run is None else run.status not in _OVER

    return ask


def _run_of(instance: dg.DagsterInstance, one: RunningBacktest) -> dg.DagsterRun | None:
    if one.attempt.run_id is not None:
        return instance.get_run_by_id(one.attempt.run_id)
    key = f"{one.attempt.batch}:{one.attempt.attempt}"
    found = instance.get_runs(dg.RunsFilter(tags={LAUNCH_TAG: key}), limit=1)
    return found[0] if found else None


def _stop(instance: dg.DagsterInstance, one: RunningBacktest) -> None:
    """End a run that had to be gone by now, if it is there and does not end by itself."""
    run = _run_of(instance, one)
    if run is not None and run.status not in _OVER and run.status is not dg.DagsterRunStatus.CANCELING:
        instance.run_coordinator.cancel_run(run.run_id)
