"""What the scheduler is told of the instance's runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

from kronos.defs.experiments.partitions import LAUNCH_TAG
from kronos.defs.experiments.sensors import count_runs
from kronos.services.scheduling_snapshot import RunQueue

Status = dg.DagsterRunStatus


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance whose queue starts five runs at once."""
    queue = {"module": "dagster._core.run_coordinator.queued_run_coordinator", "class": "QueuedRunCoordinator"}
    overrides = {"run_coordinator": queue, "concurrency": {"runs": {"max_concurrent_runs": 5}}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
        yield instance


ORIGIN = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("kronos"), "repository").get_job_origin("some")
"""Dagster queues no run without saying where its job is from."""


def runs(instance: dg.DagsterInstance, *statuses: Status, launch: str | None = None) -> None:
    @dg.job
    def some() -> None: ...

    for status in statuses:
        tags = {} if launch is None else {LAUNCH_TAG: launch}
        instance.create_run_for_job(some, status=status, tags=tags, remote_job_origin=ORIGIN)


def test_others_take_slots_and_runs_of_open_attempts_do_not(limited: dg.DagsterInstance) -> None:
    runs(limited, Status.STARTED, Status.CANCELING, Status.QUEUED)
    runs(limited, Status.STARTING, launch="open")
    runs(limited, Status.QUEUED, launch="taken back")
    found = count_runs(limited)({"open", "not launched yet"})
    assert found == RunQueue(under_way=3, queued=2, others=4, limit=5)
    assert found.slots == 1


def test_runs_that_are_over_or_were_never_asked_for_take_no_slot(limited: dg.DagsterInstance) -> None:
    runs(limited, Status.SUCCESS, Status.FAILURE, Status.CANCELED, Status.NOT_STARTED)
    assert count_runs(limited)(set()) == RunQueue(under_way=0, queued=0, others=0, limit=5)


def test_a_queue_that_is_more_than_full_leaves_no_slot(limited: dg.DagsterInstance) -> None:
    runs(limited, *[Status.QUEUED] * 7)
    assert count_runs(limited)(set()).slots == 0


def test_an_instance_without_a_queue_or_a_limit_leaves_any_number(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert count_runs(instance)(set()).slots is None
    queue = {"module": "dagster._core.run_coordinator.queued_run_coordinator", "class": "QueuedRunCoordinator"}
    overrides = {"run_coordinator": queue, "concurrency": {"runs": {"max_concurrent_runs": -1}}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
        assert count_runs(instance)(set()).slots is None
