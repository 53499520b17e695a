"""Evaluate sensors and run what they ask for, in this process, the way the daemon would."""

from __future__ import annotations

from typing import Any

import dagster as dg
from dagster._core.definitions.partitions.context import partition_loading_context

from kronos.defs.assembly import assemble
from kronos.defs.resources import Kronos


def tick(kronos: Kronos, instance: dg.DagsterInstance, sensor: str = "source_changes") -> list[dg.RunRequest]:
    """What one evaluation of a sensor asks for."""
    repository = assemble(kronos).get_repository_def()
    definition = repository.get_sensor_def(sensor)
    context = dg.build_sensor_context(instance=instance, repository_def=repository, resources={"kronos": kronos})
    # the daemon shows its instance's dynamic partitions, here somebody else has to
    with partition_loading_context(dynamic_partitions_store=instance):
        return list(definition.evaluate_tick(context).run_requests or [])


def launch(kronos: Kronos, instance: dg.DagsterInstance, request: dg.RunRequest) -> Any:
    """Run a request."""
    definition = assemble(kronos).resolve_job_def(request.job_name or "observe")
    return definition.execute_in_process(instance=instance, tags=dict(request.tags))


def observe(kronos: Kronos, instance: dg.DagsterInstance) -> None:
    """Run whatever the source asks for."""
    for request in tick(kronos, instance):
        assert launch(kronos, instance, request).success
