"""Reports by day, week and month: rows in the lake, computed from cells alone."""

from collections.abc import Iterator, Sequence

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
    headline,
    recent_history,
    write_reports,
)
from kronos.store.meta_runs import start

GROUP = "reports"
OWNERS = ["team:research-platform"]
KINDS = {"polars", "deltalake"}
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
    """All reports over the calendar's days, weeks and months; those of one table are measured together."""
    runs = source_deps("engine_runs")
    own_window = [dg.AssetDep(CELLS, partition_mapping=OWN_WINDOW), *runs]
    return [
        _report_assets("daily_reports", [DAILY_SUMMARY], calendar.days, own_window),
        _report_assets("weekly_reports", WEEKLY_BREAKDOWNS, calendar.weeks, own_window),
        _report_assets("monthly_reports", MONTHLY_BREAKDOWNS, calendar.months, own_window),
        _report_assets("engine_reports", [ENGINE_REPORT], calendar.engine_months, [dg.AssetDep(CELLS), *runs]),
    ]


def _spec(report: Report, deps: Sequence[dg.AssetDep]) -> dg.AssetSpec:
    return dg.AssetSpec(
        report.name,
        description=f"{_grain(report)} The label says which regions were missing.",
        group_name=GROUP,
        owners=OWNERS,
        kinds=KINDS,
        tags={"kronos/cadence": report.cadence.value},
        code_version=REPORTS_VERSION,
        deps=deps,
        metadata={"table": report.table},
    )


def _report_assets(
    name: str, reports: Sequence[Report], partitions: dg.PartitionsDefinition[str], deps: Sequence[dg.AssetDep]
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=name,
        specs=[_spec(report, deps) for report in reports],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
    )
    def written(
        context: dg.AssetExecutionContext, kronos: dg.ResourceParam[Kronos]
    ) -> Iterator[dg.MaterializeResult[None]]:
        chosen = [report for report in reports if dg.AssetKey(report.name) in context.selected_asset_keys]
        engines, keys = _asked_for(chosen[0], context.partition_keys)
        periods, progress = periods_of(chosen[0].cadence, keys), kronos.counted(name.replace("_", " "))
        with kronos.open() as opened:
            start(opened.pipeline.database, chosen[0].cadence, keys, context.run.run_id)
            performance = kronos.performance
            done = write_reports(
                opened.pipeline, performance, chosen, periods, opened.now, engines=engines, progress=progress
            )
            histories = [recent_history(opened.pipeline, report, "sharpe") for report in chosen]
        for report, history in zip(chosen, histories, strict=True):
            for key in context.partition_keys:
                label = {"label": done.labels[key.rpartition("|")[2]]}
                context.add_asset_metadata(label, asset_key=report.name, partition_key=key)
            newest = {"newest": table(headline(done.newest, report)), "sharpe": sparklines(history)}
            yield dg.MaterializeResult(asset_key=report.name, metadata=newest)

    return written


def _asked_for(report: Report, keys: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Engines and periods of a run's partition keys."""
    return engine_months(keys) if report.by_engine else ((ALL_ENGINES,), keys)
