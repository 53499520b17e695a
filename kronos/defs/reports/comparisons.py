"""The month's comparison of every engine's configs: one asset, its checks, its pictures."""

from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from kronos.defs.check_results import result
from kronos.defs.facts.checks import CELLS
from kronos.defs.heat_map import Square, heat_map, pictures
from kronos.defs.partitions import Calendar, months_of_run, periods_of
from kronos.defs.presentation import table
from kronos.defs.resources import Kronos
from kronos.defs.sources.assets import source_deps
from kronos.services.config_comparisons import (
    CONFIG_COMPARISON,
    compare_months,
    judged_configs,
    sound_comparisons,
)
from kronos.services.summaries import REPORTS_VERSION
from kronos.store.meta_runs import start

if TYPE_CHECKING:
    from kronos.core.reports.comparison_model import Cell, ConfigComparison

LEGEND = (
    "Difference to the incumbent, positive is better; the colour is the difference in standard errors. `*`: its "
    "simultaneous interval excludes zero. `~`: too few observations to detect what the policy asks for."
)
_STRONG = 4.0
"""Standard errors at which the colour is full."""


def comparison_asset(calendar: Calendar) -> dg.AssetsDefinition:
    """config_comparison over the calendar's months."""

    @dg.asset(
        name=CONFIG_COMPARISON.name,
        partitions_def=calendar.months,
        deps=[dg.AssetDep(CELLS), *source_deps("engine_runs")],
        group_name="reports",
        owners=["team:research-platform"],
        kinds={"polars", "deltalake"},
        tags={"kronos/cadence": CONFIG_COMPARISON.cadence.value},
        code_version=REPORTS_VERSION,
        backfill_policy=dg.BackfillPolicy.single_run(),
        metadata={"table": CONFIG_COMPARISON.table},
        description="One row per month, engine, config and slice: the config against the one active at the month's end "
        "over all decisions until then, as known then, and what that makes it.",
    )
    def config_comparison(
        context: dg.AssetExecutionContext, kronos: dg.ResourceParam[Kronos]
    ) -> dg.MaterializeResult[None]:
        cadence, progress = CONFIG_COMPARISON.cadence, kronos.counted("config comparison")
        months = periods_of(cadence, context.partition_keys)
        with kronos.open() as opened:
            start(opened.pipeline.database, cadence, context.partition_keys, context.run.run_id)
            done = compare_months(opened.pipeline, kronos.performance, months, opened.now, progress)
        for key in context.partition_keys:
            context.add_asset_metadata({"label": done.labels[key]}, partition_key=key)
        newest = {"classes": table(_classes(done.newest)), "heat map": pictures(_maps(done.newest), LEGEND)}
        return dg.MaterializeResult(metadata=newest)

    return config_comparison


def comparison_checks() -> list[dg.AssetChecksDefinition]:
    """What stands in the table must fit together, and leave nobody out."""

    @dg.asset_check(
        asset=dg.AssetKey(CONFIG_COMPARISON.name),
        name="classes_are_sound",
        description="A config has one class and one row per slice, with either a difference or the reason for none.",
    )
    def classes_are_sound(
        context: dg.AssetCheckExecutionContext, kronos: dg.ResourceParam[Kronos]
    ) -> dg.AssetCheckResult:
        with kronos.open() as opened:
            months = _months(context, opened.pipeline.lake.months(CONFIG_COMPARISON.table))
            found = sound_comparisons(opened.pipeline, months)
        return result(found, "Configs whose rows contradict each other.", months=months)

    @dg.asset_check(
        asset=dg.AssetKey(CONFIG_COMPARISON.name),
        name="every_config_is_judged",
        description="Whoever had decided by the month's end has a class in it, beside one incumbent per engine.",
    )
    def every_config_is_judged(
        context: dg.AssetCheckExecutionContext, kronos: dg.ResourceParam[Kronos]
    ) -> dg.AssetCheckResult:
        with kronos.open() as opened:
            months = _months(context, opened.pipeline.lake.months(CONFIG_COMPARISON.table))
            found = judged_configs(opened.pipeline, kronos.performance, months)
        return result(found, "Configs without a class, or with one they cannot have.", months=months)

    return [classes_are_sound, every_config_is_judged]


def _months(context: dg.AssetCheckExecutionContext, known: list[str]) -> list[str]:
    return months_of_run(context.run.tags, known)


def _classes(found: "list[ConfigComparison]") -> pl.DataFrame:
    """One row per engine and config."""
    rows = [
        (
            one.engine_name,
            verdict.config_id,
            verdict.label.value,
            str(verdict.reason or ""),
            ", ".join(verdict.niches),
            own.get(verdict.config_id),
            one.trials.total if one.trials else None,
            "; ".join(one.notes),
        )
        for one in found
        for own in [{deflated.config_id: deflated.dsr for deflated in one.deflated}]
        for verdict in one.verdicts
    ]
    names = ["engine_name", "config_id", "class", "reason", "niches", "deflated sharpe", "trials", "notes"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


def _maps(found: "list[ConfigComparison]") -> list[str]:
    """One picture per engine that could be compared: slices down, configs across."""
    return [
        heat_map(
            f"{one.engine_name}: difference in {one.metric} to {one.incumbent}, as of {one.as_of}",
            one.slices,
            sorted({cell.config_id for cell in one.cells}),
            {(cell.slice, cell.config_id): _square(cell) for cell in one.cells},
        )
        for one in found
        if one.cells
    ]


def _square(cell: "Cell") -> Square:
    if cell.difference is None or cell.standard_error is None or cell.low is None or cell.high is None:
        return Square(str(cell.reason).replace("_", " ").lower(), None)
    marks = ("*" if cell.low > 0.0 or cell.high < 0.0 else "") + ("" if cell.eligible else "~")
    return Square(f"{cell.difference:+.3f}{marks}", cell.difference / cell.standard_error / _STRONG)
