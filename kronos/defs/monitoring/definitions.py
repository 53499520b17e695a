"""The monitoring domain."""

import dagster as dg

from kronos.defs.monitoring.assets import monitor_asset
from kronos.defs.monitoring.checks import monitor_checks
from kronos.defs.partitions import Calendar


def definitions(calendar: Calendar) -> dg.Definitions:
    """Definitions over the calendar's days."""
    return dg.Definitions(assets=[monitor_asset(calendar)], asset_checks=monitor_checks())
