"""Reports by day, week and month: rows in the lake, computed from cells alone."""

from collections.abc import Sequence

import dagster as dg

from kronos.defs.facts.checks import CELLS
from kronos.defs.partitions import Calendar, engine_months, periods_of
from kronos.defs.presentation import sparklines, table
from kronos.defs.resources import Kronos
from kronos.defs.sources.assets import source_deps
from kronos.services.summaries import (
    ALL_ENGINES,
    DAILY_SUMMARY,
    ENGINE_REPORT,
    MONTHLY_BREAKDOWNS,
    REPORTS_VERSION,
    WEEKLY_BREAKDOWNS,
    Report,
    recent_history,
    write_report,
)
from kronos.store.meta_runs import start

GROUP = "reports"
OWNERS = ["team:research-platform"]
KINDS = {"polars", "deltalake"}
REQUEST_TAG = "kronos/request"
# a week may end in a month that has no partition yet
OWN_WINDOW = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)

GRAINS = {
    DAILY_SUMMARY.name: "One row per day, engine, config, market (or whole book) and metric: the day's decisions, and "
    "those of the 13 weeks up to it.",
    ENGINE_REPORT.name: "One row per month, engine, config, slice and metric, over every dimension: the month's "
    "decisions, and those of the 12 months up to it.",
}


def _grain(report: Report) -> str:
    if report.name in GRAINS:
        return GRAINS[report.name]
    (dimension,) = report.dimensions
    cadence = {"weekly": ("week", "13 weeks"), "monthly": ("month", "12 months")}[report.cadence]
    return (
        f"One row per {cadence[0]}, engine, config, {dimension} slice and metric: the {cadence[0]}'s decisions, and "
        f"those of the {cadence[1]} up to it."
    )


def report_assets(calendar: Calendar) -> list[dg.AssetsDefinition]:
    """All reports over the calendar's days, weeks and months."""
    runs = source_deps("engine_runs")
    own_window = [dg.AssetDep(CELLS, partition_mapping=OWN_WINDOW), *runs]
    return [
        _report_asset(DAILY_SUMMARY, calendar.days, own_window),
        *(_report_asset(report, calendar.weeks, own_window) for report in WEEKLY_BREAKDOWNS),
        *(_report_asset(report, calendar.months, own_window) for report in MONTHLY_BREAKDOWNS),
        _report_asset(ENGINE_REPORT, calendar.engine_months, [dg.AssetDep(CELLS), *runs]),
    ]


def _report_asset(
    report: Report, partitions: dg.PartitionsDefinition[str], deps: Sequence[dg.AssetDep]
) -> dg.AssetsDefinition:
    @dg.asset(
        name=report.name,
        description=f"{_grain(report)} The label says which regions were missing.",
        group_name=GROUP,
        owners=OWNERS,
        kinds=KINDS,
        tags={"kronos/cadence": report.cadence.value},
        code_version=REPORTS_VERSION,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=deps,
        metadata={"table": report.table},
    )
    def written(context: dg.AssetExecutionContext, kronos: dg.ResourceParam[Kronos]) -> dg.MaterializeResult[None]:
        engines, keys = _asked_for(report, context.partition_keys)
        periods = periods_of(report.cadence, keys)
        with kronos.open() as opened:
            start(opened.pipeline.database, report.cadence, keys, context.run.run_id)
            progress = kronos.counted(report.name)
            done = write_report(
                opened.pipeline, opened.performance, report, periods, opened.now, engines=engines, progress=progress
            )
            history = recent_history(opened.pipeline, report, "sharpe")
        for key in context.partition_keys:
            context.add_asset_metadata({"label": done.labels[key.rpartition("|")[2]]}, partition_key=key)
        return dg.MaterializeResult(
            metadata={"rows": sum(done.rows.values()), "headline": table(done.headline), "sharpe": sparklines(history)}
        )

    return written


def _asked_for(report: Report, keys: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Engines and periods of a run's partition keys."""
    return engine_months(keys) if report.by_engine else ((ALL_ENGINES,), keys)
