"""The reports domain."""

import dagster as dg

from kronos.defs.partitions import Calendar
from kronos.defs.reports.assets import report_assets
from kronos.defs.reports.checks import report_checks
from kronos.defs.reports.comparisons import comparison_asset, comparison_checks


def definitions(calendar: Calendar) -> dg.Definitions:
    """Definitions over the calendar's days, weeks and months."""
    return dg.Definitions(
        assets=[*report_assets(calendar), comparison_asset(calendar)],
        asset_checks=[*report_checks(), *comparison_checks()],
    )
