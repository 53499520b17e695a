"""What the monitor found, as checks: one per family of engines. They warn; the alert is what a person answers."""

import dagster as dg

from kronos.core.monitoring.model import Watch
from kronos.defs.check_results import result
from kronos.defs.partitions import days_of_run
from kronos.defs.resources import Kronos
from kronos.services.monitoring import ASSET, degrading, monitored_days

_FAMILIES = {
    Watch.RETURN: ("earning_engines_hold", "No active config earns significantly less than its own evidence promised."),
    Watch.CALIBRATION: ("forecasting_engines_hold", "No active config forecasts significantly worse than it used to."),
}


def monitor_checks() -> list[dg.AssetChecksDefinition]:
    """Engines that earn and engines that forecast; an engine may do both, and its name is data."""
    return [_holds(metric) for metric in Watch]


def _holds(metric: Watch) -> dg.AssetChecksDefinition:
    name, promise = _FAMILIES[metric]

    @dg.asset_check(asset=dg.AssetKey(ASSET), name=name, description=promise)
    def holds(context: dg.AssetCheckExecutionContext, kronos: dg.ResourceParam[Kronos]) -> dg.AssetCheckResult:
        with kronos.open() as opened:
            days = days_of_run(context.run.tags, monitored_days(opened.pipeline))
            found = degrading(opened.pipeline, metric, days)
        day = max(days, default="no day")
        return result(
            found,
            f"Active configs that are degrading as of {day}; `kronos alerts` tells what was raised.",
            severity=dg.AssetCheckSeverity.WARN,
        )

    return holds
