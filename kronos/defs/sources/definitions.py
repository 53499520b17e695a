"""The sources domain."""

import dagster as dg

from kronos.defs.sources.assets import source_tables
from kronos.defs.sources.schedules import observe_hourly, observe_job

definitions = dg.Definitions(assets=[source_tables], jobs=[observe_job], schedules=[observe_hourly])
