"""The barrier in front of the meta jobs: they follow the engines, not the clock."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from kronos.core.scheduling.periods import Cadence
from kronos.defs.meta.jobs import reports_of
from kronos.defs.partitions import Calendar, engine_month_range, range_tags, registered_engines
from kronos.defs.resources import Kronos
from kronos.services.barrier import Request, claim_requests, open_periods, waiting
from kronos.services.changes import stale_months
from kronos.services.pipeline import Pipeline
from kronos.services.summaries import ALL_ENGINES, refresh_start

REQUEST_TAG, LABEL_TAG = "kronos/request", "kronos/label"


def meta_barrier(
    cadence: Cadence, jobs: Sequence[UnresolvedAssetJobDefinition], calendar: Calendar
) -> dg.SensorDefinition:
    """The cadence's barrier sensor; the first job covers its reports by time, a second those by engine and time."""
    job = jobs[0]

    @dg.sensor(
        name=f"{job.name}_barrier",
        jobs=jobs,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Starts {job.name} when every region whose markets had the session completed its engine run; past "
        "the deadline without the missing ones, labelled PARTIAL, and again when they arrive.",
    )
    def barrier(
        context: dg.SensorEvaluationContext, kronos: dg.ResourceParam[Kronos]
    ) -> list[dg.RunRequest] | dg.SkipReason:
        engines = registered_engines(context.instance)
        with kronos.open() as opened:
            pipeline = opened.pipeline
            judged = open_periods(pipeline, cadence, calendar.first_live_day, opened.now)
            requests = claim_requests(pipeline, cadence, judged, lambda: stale_months(pipeline, opened.now.date()))
            launches = [launch for request in requests for launch in launches_of(pipeline, request, jobs, engines)]
        return launches or dg.SkipReason(waiting(judged))

    return barrier


def launches_of(
    pipeline: Pipeline, request: Request, jobs: Sequence[UnresolvedAssetJobDefinition], engines: Sequence[str]
) -> list[dg.RunRequest]:
    """The runs of a request: one for the reports by time alone, one for those by engine and time."""
    last = request.periods[-1].key
    since = _since(pipeline, request, [ALL_ENGINES], by_engine=False)
    launches = [_launch(request, jobs[0], range_tags(since, last))]
    if len(jobs) > 1 and engines:
        since = _since(pipeline, request, engines, by_engine=True)
        launches.append(_launch(request, jobs[1], engine_month_range(engines, since, last)))
    return launches


def _since(pipeline: Pipeline, request: Request, engines: Sequence[str], *, by_engine: bool) -> str:
    """Weekly and monthly runs also refresh what was rebuilt since; a day's summary stays as it was known that day."""
    first = request.periods[0]
    if request.cadence is Cadence.DAILY:
        return first.key
    reports = reports_of(request.cadence, by_engine=by_engine)
    return min(refresh_start(pipeline, report, first, engines) for report in reports).key


def _launch(request: Request, job: UnresolvedAssetJobDefinition, tags: dict[str, str]) -> dg.RunRequest:
    label = ", ".join(sorted(set(request.labels)))
    return dg.RunRequest(
        run_key=f"{job.name}:{request.key}",
        job_name=job.name,
        tags={**tags, REQUEST_TAG: request.key, LABEL_TAG: label},
    )
