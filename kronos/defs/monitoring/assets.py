"""The degradation monitor, day by day."""

from collections.abc import Sequence

import dagster as dg
import polars as pl

from kronos.core.scheduling.periods import Cadence
from kronos.defs.facts.checks import CELLS
from kronos.defs.monitoring.plot import evidence_plot
from kronos.defs.partitions import Calendar, periods_of
from kronos.defs.presentation import table
from kronos.defs.reports.assets import GROUP, KINDS, OWN_WINDOW, OWNERS
from kronos.defs.resources import Kronos
from kronos.defs.sources.assets import source_deps
from kronos.services.monitoring import ASSET, MONITOR_VERSION, monitor_days, monitored_rows
from kronos.services.monitoring import TABLE as LAKE_TABLE
from kronos.store.alerts import Alert, alerts

_SHOWN = (
    "engine_name", "scope", "config_id", "metric", "score", "state", "cause", "e_value", "largest_e", "threshold",
    "monitored_from", "monitored_n", "reference_n",
)  # fmt: skip
_ALERT = ("alert_id", "engine_name", "scope", "config_id", "metric", "monitored_from", "raised_on", "state")


def monitor_asset(calendar: Calendar) -> dg.AssetsDefinition:
    """The monitor over the calendar's days."""

    @dg.asset(
        name=ASSET,
        description="One row per day, engine, scope and metric (return, calibration): is the active config degrading "
        "beside its own record from before it was watched? By an e-process, so that looking every day costs nothing. "
        "What degrades raises one alert, whatever is rerun.",
        group_name=GROUP,
        owners=OWNERS,
        kinds=KINDS,
        tags={"kronos/cadence": Cadence.DAILY.value},
        code_version=MONITOR_VERSION,
        deps=[dg.AssetDep(CELLS, partition_mapping=OWN_WINDOW), *source_deps("engine_configs")],
        metadata={"table": LAKE_TABLE},
        partitions_def=calendar.days,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def degradation_monitor(
        context: dg.AssetExecutionContext, kronos: dg.ResourceParam[Kronos]
    ) -> dg.MaterializeResult[None]:
        days, progress = periods_of(Cadence.DAILY, context.partition_keys), kronos.counted("degradation monitor")
        first = calendar.first_live_day
        with kronos.open() as opened:
            done = monitor_days(opened.pipeline, kronos.performance, days, first, opened.now, progress)
            rows = monitored_rows(opened.pipeline, max(days).key)
            waiting = alerts(opened.pipeline.database)
        return dg.MaterializeResult(
            metadata={
                "newest": table(rows.select(_SHOWN)),
                "evidence": evidence_plot(done.newest),
                "alerts_raised": done.raised,
                "alerts_waiting": table(_listed(waiting)),
            }
        )

    return degradation_monitor


def _listed(waiting: Sequence[Alert]) -> pl.DataFrame:
    rows = [[str(getattr(one, name)) for name in _ALERT] for one in waiting]
    return pl.DataFrame(rows, schema=list(_ALERT), orient="row")
