"""When the whole history is looked over again."""

import dagster as dg

from kronos.defs.facts.checks import FACT_CHECKS

integrity_job = dg.define_asset_job(
    "integrity_recheck",
    selection=dg.AssetSelection.checks(*FACT_CHECKS),
    description="All checks of facts and cells over a sample of the whole history, another one each week.",
    tags={"kronos/tier": "2"},
)
integrity_weekly = dg.ScheduleDefinition(
    name="integrity_recheck_weekly",
    job=integrity_job,
    cron_schedule="0 10 * * 6",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="On Saturday, when no market is open and no engine works.",
)
