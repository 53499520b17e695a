"""When suites start, when they are told, and when the promotion candidates are looked at anew."""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256

import dagster as dg

from kronos.defs.gates.assets import CANDIDATES, SUITE, start_controls
from kronos.defs.gates.partitions import key_of
from kronos.defs.resources import Kronos
from kronos.services.code_version import installed_code
from kronos.services.workplace import workplace_over

TAGS = {"kronos/tier": "2", "dagster/max_retries": "2"}

gates_job = dg.define_asset_job(
    "control_suites",
    selection=dg.AssetSelection.assets(SUITE, CANDIDATES),
    description="Records the suites of a week whose controls are all judged; behind their checks, who may be promoted.",
    tags=TAGS,
)
candidates_job = dg.define_asset_job(
    "promotion_candidates_alone",
    selection=dg.AssetSelection.assets(CANDIDATES),
    description="Who may be promoted, after a verdict or a change of policy.",
    tags=TAGS,
)


@dg.job(name="start_control_suites", description="Queues the suites of controls that are due.", tags=TAGS)
def start_job() -> None:
    """One step."""
    start_controls()


@dg.sensor(
    name="control_suites_sensor",
    jobs=[start_job, gates_job, candidates_job],
    minimum_interval_seconds=120,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts each engine's suite of the data's week, under every new gate policy and code; records a week's "
    "suites when all are judged, or without those that take too long; looks at the candidates when a verdict came.",
)
def control_suites(kronos: dg.ResourceParam[Kronos]) -> list[dg.RunRequest] | dg.SkipReason:
    """Run keys name the suites and verdicts, so nothing is asked for twice."""
    from kronos.services.controls import suites_due, suites_ready
    from kronos.services.gate_standing import candidates_mark

    with kronos.open() as opened:
        workplace = workplace_over(kronos.settings, opened.pipeline.database, opened.pipeline.policy)
        # the code of the runs to be, which may be newer than this process
        workplace = replace(workplace, code_version=installed_code())
        due = suites_due(workplace, opened.now)
        ready = suites_ready(workplace.database, opened.now)
        mark = candidates_mark(workplace.database)
    requests = []
    if due:
        key = _key(str(one.suite_id) for one in due)
        requests.append(dg.RunRequest(run_key=f"{start_job.name}:{key}", job_name=start_job.name))
    for week, suites in ready.items():
        key = _key(f"{one.key.suite_id} {one.state}" for one in suites)
        run_key = f"{gates_job.name}:{week}:{key}"
        requests.append(dg.RunRequest(run_key=run_key, job_name=gates_job.name, partition_key=key_of(week)))
    if mark is not None:
        requests.append(dg.RunRequest(run_key=f"{candidates_job.name}:{_key([mark])}", job_name=candidates_job.name))
    return requests or dg.SkipReason("no suite is due or judged, and no experiment has a verdict")


def _key(parts: Iterable[str]) -> str:
    return sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]
