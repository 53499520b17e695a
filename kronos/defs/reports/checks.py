"""Integrity of report rows, report by report."""

import dagster as dg

from kronos.defs.check_results import result
from kronos.defs.partitions import months_of_run
from kronos.defs.resources import Kronos
from kronos.services import quality
from kronos.services.summaries import ENGINE_REPORT, REPORTS, Report


def report_checks() -> list[dg.AssetChecksDefinition]:
    """Every report's rows are unique and say a number or a reason; the whole report's slices add up."""
    return [*(_rows_are_sound(report) for report in REPORTS), _slices_add_up(ENGINE_REPORT)]


def _rows_are_sound(report: Report) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(report.name),
        name="rows_are_sound",
        description="A row stands once, and holds either a number or the reason why there is none.",
    )
    def rows_are_sound(context: dg.AssetCheckExecutionContext, kronos: dg.ResourceParam[Kronos]) -> dg.AssetCheckResult:
        with kronos.open() as opened:
            months = months_of_run(context.run.tags, opened.pipeline.lake.months(report.table))
            found = quality.sound_report_rows(opened.pipeline, report, months)
        return result(found, "Rows that stand twice, or hold neither or both of number and reason.", months=months)

    return rows_are_sound


def _slices_add_up(report: Report) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(report.name),
        name="slices_add_up",
        description="P&L and decisions of every dimension's slices add up to the whole book.",
    )
    def slices_add_up(context: dg.AssetCheckExecutionContext, kronos: dg.ResourceParam[Kronos]) -> dg.AssetCheckResult:
        with kronos.open() as opened:
            months = months_of_run(context.run.tags, opened.pipeline.lake.months(report.table))
            found = quality.report_adds_up(opened.pipeline, report, months)
        return result(found, "Dimensions whose slices are not the book.", months=months)

    return slices_add_up
