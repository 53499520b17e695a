"""New evidence is mined once: after each comparison and each day of the monitor."""

import dagster as dg

from kronos.defs.proposals.assets import ASSET
from kronos.defs.resources import Kronos
from kronos.lake.tables import Lake
from kronos.services.self_evidence import evidence_mark

propose_job = dg.define_asset_job(
    "propose",
    selection=dg.AssetSelection.assets(ASSET),
    description="What Kronos proposes by itself on the newest evidence.",
    tags={"kronos/tier": "2"},
)


@dg.sensor(
    name="new_evidence",
    job=propose_job,
    minimum_interval_seconds=120,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="When a comparison or the monitor was written: looks once for configs to propose.",
)
def new_evidence(kronos: dg.ResourceParam[Kronos]) -> dg.RunRequest | dg.SkipReason:
    """The run key names the evidence, so that none is mined twice."""
    mark = evidence_mark(Lake(kronos.settings.lake))
    if mark is None:
        return dg.SkipReason("no comparison is stored yet")
    return dg.RunRequest(run_key=f"{propose_job.name}:{mark}")
