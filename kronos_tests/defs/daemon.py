"""Dagster's daemon turn by turn, over an instance as dagster.yaml has it; what its queue launches starts nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.launcher import LaunchRunContext, RunLauncher
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import freeze_time
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from kronos.settings import Settings
from kronos.store.database import Database
from kronos.store.open import ensure_databases
from kronos_tests.instances import dagster_of

_LOCATION = """
from pathlib import Path

import dagster as dg

from kronos.defs.experiments import definitions as experiments
from kronos.defs.resources import Kronos
from kronos.settings import Settings

settings = Settings(home=Path({home!r}), database_url={url!r}, policy=Path({policy!r}))
defs = dg.Definitions.merge(
    experiments.definitions(settings),
    dg.Definitions(resources={{"kronos": Kronos(settings)}}, executor=dg.in_process_executor),
)
"""
"""A code location with the experiments' domain alone: other domains' sensors have no turn."""


class Noting(RunLauncher, ConfigurableClass):
    """Starts nothing: a run that it is given stays as the queue left it."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self.launched: list[dg.DagsterRun] = []
        super().__init__()  # type: ignore[no-untyped-call]  # Dagster's

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: object) -> Noting:
        del config_value
        return cls(inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        self.launched.append(context.dagster_run)

    def terminate(self, run_id: str) -> bool:
        del run_id
        return False


class Daemon:
    """The daemon's parts that start runs, each when it is told to."""

    def __init__(self, workspace: WorkspaceProcessContext) -> None:
        self._workspace, self.instance, self._turns = workspace, workspace.instance, 0

    def sensors(self) -> None:
        """Every sensor has its turn, an hour after the last: none is too early."""
        with freeze_time(datetime.now(UTC) + timedelta(hours=self._turns)):
            self._turns += 1
            list(execute_sensor_iteration(self._workspace, logging.getLogger(__name__), None, None))

    def run_queue(self) -> list[dg.DagsterRun]:
        """What the run queue launches in one turn."""
        before = len(self._launcher.launched)
        with QueuedRunCoordinatorDaemon(interval_seconds=1) as daemon:
            list(daemon.run_iteration(self._workspace))
        return self._launcher.launched[before:]

    def enqueue(self, job: dg.JobDefinition, request: dg.RunRequest) -> None:
        """Puts the run of a request into the run queue, whoever may have asked for it."""
        (entry,) = self._workspace.create_request_context().get_code_location_entries().values()
        assert entry.code_location is not None, entry.load_error
        (repository,) = entry.code_location.get_repositories().values()
        known = repository.get_full_job(job.name)
        self.instance.create_run_for_job(
            job,
            tags={**known.run_tags, **request.tags},
            status=dg.DagsterRunStatus.QUEUED,
            remote_job_origin=known.get_remote_origin(),
        )

    def asked(self, sensor: str) -> list[list[str]]:
        """Run keys that each turn of a sensor asked for, oldest first."""
        (state,) = [one for one in self.instance.all_instigator_state() if one.instigator_name == sensor]
        ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id)
        return [list(tick.run_keys) for tick in reversed(ticks)]

    @property
    def _launcher(self) -> Noting:
        launcher = self.instance.run_launcher
        assert isinstance(launcher, Noting)
        return launcher


@contextmanager
def daemon_over(settings: Settings, database: Database) -> Iterator[Daemon]:
    """The daemon of a home; Dagster's database is made where it is missing."""
    ensure_databases(database)
    launcher = {"module": Noting.__module__, "class": Noting.__name__}
    with dagster_of(settings, database, run_launcher=launcher) as instance:
        location = settings.dagster_home / "location.py"
        location.write_text(_LOCATION.format(home=str(settings.home), url=database.url, policy=str(settings.policy)))
        origin = InProcessCodeLocationOrigin(LoadableTargetOrigin(python_file=str(location), attribute="defs"))
        with WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as workspace:
            yield Daemon(workspace)
