"""Runs whose processes ended with the Dagster stack that had started them."""

import os

import dagster as dg

from kronos.services.dagster_home import prepare_dagster_home
from kronos.settings import Settings
from kronos.store.database import Database

_HAVE_PROCESSES = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def close_interrupted(settings: Settings, database: Database) -> None:
    """Tell the instance that they are over; to be called while no stack of the home is up.

    The code server that hears of a run's end went down with it. Dagster itself would wait for the run's longest time,
    and the run hold its slot of the queue until then.
    """
    os.environ.update(prepare_dagster_home(settings, database))
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        if instance.run_launcher.supports_check_run_worker_health:
            return  # its processes are elsewhere, and looked after by Dagster's run monitoring
        for run in instance.get_runs(dg.RunsFilter(statuses=_HAVE_PROCESSES)):
            if run.status is dg.DagsterRunStatus.CANCELING:
                instance.report_run_canceled(run, "its process was stopped")
            else:
                instance.report_run_failed(run, "the process that ran it was stopped")
