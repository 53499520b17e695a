"""When upstream's tables are looked at."""

import dagster as dg

from kronos.defs.sources.assets import GRAINS, source_key

observe_job = dg.define_asset_job(
    "observe_sources",
    selection=[source_key(table) for table in GRAINS],
    description="Count upstream's rows and note their newest day.",
    tags={"kronos/tier": "2"},
)
observe_hourly = dg.ScheduleDefinition(
    name="observe_sources_hourly",
    job=observe_job,
    cron_schedule="5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Keeps the row counts of the lineage's left edge current; rebuilds follow fingerprints, not this.",
)
