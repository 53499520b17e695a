"""Rebuilds follow the source: a changed fingerprint marks a month, and only the marked months are built again."""

from collections.abc import Sequence

import dagster as dg

from kronos.defs.again import IN_FLIGHT, why_wait
from kronos.defs.facts.assets import LAKE_TAGS
from kronos.defs.facts.checks import CELLS, FACTS
from kronos.defs.partitions import Calendar, range_tags
from kronos.defs.resources import Kronos
from kronos.services.changes import Rebuild, rebuilds

STATE_TAG = "kronos/source_state"

observe_job = dg.define_asset_job(
    "observe",
    selection=dg.AssetSelection.assets(FACTS, CELLS),
    description="Decision facts and cells of the months that changed.",
    tags=LAKE_TAGS,
)


def source_changes_sensor(calendar: Calendar) -> dg.SensorDefinition:
    """The sensor over the calendar's months."""

    @dg.sensor(
        name="source_changes",
        job=observe_job,
        minimum_interval_seconds=120,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="New, late and restated rows change a month's fingerprint: rebuilds exactly those months.",
    )
    def source_changes(
        context: dg.SensorEvaluationContext, kronos: dg.ResourceParam[Kronos]
    ) -> dg.SensorResult | dg.SkipReason:
        instance = context.instance
        flying = instance.get_runs_count(dg.RunsFilter(job_name=observe_job.name, statuses=IN_FLIGHT))
        if flying:
            return dg.SkipReason(f"{flying} rebuild(s) under way")
        with kronos.open() as opened:
            wanted = rebuilds(opened.pipeline, opened.now.date(), calendar.months.get_partition_keys())
        requests, waits = _sorted_out(instance, wanted)
        if not requests:
            return dg.SkipReason("; ".join(waits) or "every month is fresh")
        return dg.SensorResult(run_requests=requests)

    return source_changes


def _sorted_out(instance: dg.DagsterInstance, wanted: Sequence[Rebuild]) -> tuple[list[dg.RunRequest], list[str]]:
    """Run requests for the rebuilds that may start now, and why the others wait."""
    requests, waits = [], []
    for rebuild in wanted:
        earlier = instance.get_run_records(dg.RunsFilter(tags={STATE_TAG: rebuild.key}))
        wait = why_wait(earlier)
        if wait is None:
            tags = {STATE_TAG: rebuild.key, **range_tags(rebuild.months[0], rebuild.months[-1])}
            requests.append(dg.RunRequest(run_key=f"{rebuild.key}:{len(earlier)}", tags=tags))
        else:
            waits.append(f"{rebuild.key}: {wait}")
    return requests, waits
