"""The facts domain: from source rows to additive cells."""

import dagster as dg

from kronos.defs.facts.assets import fact_assets
from kronos.defs.facts.checks import FACT_CHECKS
from kronos.defs.facts.schedules import integrity_job, integrity_weekly
from kronos.defs.facts.sensors import observe_job, source_changes_sensor
from kronos.defs.partitions import Calendar


def definitions(calendar: Calendar) -> dg.Definitions:
    """Definitions over the calendar's months."""
    return dg.Definitions(
        assets=fact_assets(calendar),
        asset_checks=FACT_CHECKS,
        jobs=[observe_job, integrity_job],
        schedules=[integrity_weekly],
        sensors=[source_changes_sensor(calendar)],
    )
