"""A plain description of the asset graph, small enough to read in a diff. Run as a module, it writes the snapshot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg

from kronos.defs.assembly import assemble
from kronos.defs.resources import Kronos
from kronos.settings import Settings

SNAPSHOT = Path(__file__).parent / "asset_graph.json"


def describe(definitions: dg.Definitions) -> dict[str, Any]:
    """Assets with dependencies, group, partitions and checks; jobs, schedules and sensors with what they start."""
    repository = definitions.get_repository_def()
    graph = repository.asset_graph
    return {
        "assets": {key.to_user_string(): _asset(graph.get(key), graph) for key in sorted(graph.get_all_asset_keys())},
        "jobs": {
            job.name: sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys)
            for job in repository.get_all_jobs()
            if not job.name.startswith("__")
        },
        "schedules": {schedule.name: schedule.cron_schedule for schedule in repository.schedule_defs},
        "sensors": {
            # a sensor that starts no run has no jobs, not even an empty list of them
            sensor.name: sorted(job.name for job in sensor.jobs) if sensor.has_jobs else []
            for sensor in repository.sensor_defs
        },
    }


def _asset(node: Any, graph: Any) -> dict[str, Any]:
    return {
        "deps": sorted(parent.to_user_string() for parent in node.parent_keys),
        "group": node.group_name,
        "partitions": _partitions(node.partitions_def) if node.partitions_def else None,
        "checks": sorted(key.name for key in node.check_keys),
    }


def _partitions(definition: dg.PartitionsDefinition) -> str:
    """A time partition by its first and last key; the dimensions of a multi-partition; a dynamic one by its name."""
    if isinstance(definition, dg.MultiPartitionsDefinition):
        return " x ".join(_partitions(dimension.partitions_def) for dimension in definition.partitions_defs)
    if isinstance(definition, dg.DynamicPartitionsDefinition):
        return f"dynamic {definition.name}"
    return f"{definition.get_first_partition_key()} .. {definition.get_last_partition_key()}"


def current() -> dict[str, Any]:
    """The graph under default settings."""
    return describe(assemble(Kronos(Settings(home=Path("/nowhere")))))


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(current(), indent=2, sort_keys=True) + "\n")
