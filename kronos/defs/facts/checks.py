"""Integrity of facts and cells. A run checks the months it built, of many a sample; alone, a check samples all."""

from collections.abc import Sequence
from datetime import datetime

import dagster as dg
import polars as pl

from kronos.core.quality import DRIFT_ERRORS, DRIFT_MARGIN, Finding
from kronos.defs.check_results import result, span
from kronos.defs.partitions import months_of_run
from kronos.defs.presentation import table
from kronos.defs.resources import Kronos, Opened
from kronos.services import quality

FACTS, CELLS = dg.AssetKey("decision_facts"), dg.AssetKey("cells")
WARN = dg.AssetCheckSeverity.WARN


def _of_run(context: dg.AssetCheckExecutionContext, opened: Opened) -> list[str]:
    return months_of_run(context.run.tags, quality.built_months(opened.pipeline))


def _sample(context: dg.AssetCheckExecutionContext, opened: Opened) -> list[str]:
    """Expensive checks look at twelve months; which ones moves on from week to week."""
    return quality.sampled(_of_run(context, opened), turn=_week(opened.now))


def _week(now: datetime) -> int:
    return now.date().toordinal() // 7


@dg.asset_check(asset=FACTS, description="Source rows that break the contract are in quarantine, none is dropped.")
def quarantine_is_empty(kronos: dg.ResourceParam[Kronos]) -> dg.AssetCheckResult:
    with kronos.open() as opened:
        rows = quality.quarantined_rows(opened.pipeline)
    return dg.AssetCheckResult(
        passed=rows.is_empty(),
        severity=WARN,
        description="Rows in quarantine, by source table and the rule they break.",
        metadata={"rows": int(rows["rows"].sum()), "by_rule": table(rows)},
    )


@dg.asset_check(asset=FACTS, description="A decision stands in the facts once.")
def decisions_are_unique(
    context: dg.AssetCheckExecutionContext, kronos: dg.ResourceParam[Kronos]
) -> dg.AssetCheckResult:
    with kronos.open() as opened:
        months = _of_run(context, opened)
        return result(quality.unique_facts(opened.pipeline, months), "Decision ids that stand twice.", months=months)


@dg.asset_check(asset=FACTS, description="No label was recorded after the decision it is attached to.")
def labels_are_point_in_time(
    context: dg.AssetCheckExecutionContext, kronos: dg.ResourceParam[Kronos]
) -> dg.AssetCheckResult:
    with kronos.open() as opened:
        months = _sample(context, opened)
        found = quality.point_in_time(opened.pipeline, months)
    return result(found, "Labels that nothing known at the decision supports.", months=months)


@dg.asset_check(asset=FACTS, description="Every active market decided on the last session whose deadline has passed.")
def decisions_are_fresh(kronos: dg.ResourceParam[Kronos]) -> dg.AssetCheckResult:
    with kronos.open() as opened:
        found = quality.fresh_markets(opened.pipeline, opened.now)
    description = f"Markets without a decision for their last due session, at {opened.now:%Y-%m-%d %H:%M} UTC."
    return result(found, description, severity=WARN)


@dg.asset_check(asset=CELLS, description="A cell stands once.")
def cells_are_unique(context: dg.AssetCheckExecutionContext, kronos: dg.ResourceParam[Kronos]) -> dg.AssetCheckResult:
    with kronos.open() as opened:
        months = _of_run(context, opened)
        return result(quality.unique_cells(opened.pipeline, months), "Cells that stand twice.", months=months)


@dg.asset_check(asset=CELLS, description="The slices of every cube add up to the same book, measure by measure.")
def slices_add_up(context: dg.AssetCheckExecutionContext, kronos: dg.ResourceParam[Kronos]) -> dg.AssetCheckResult:
    with kronos.open() as opened:
        months = _sample(context, opened)
        found = quality.slices_add_up(opened.pipeline, months)
    return result(found, "Keys at which a cube is not the book.", months=months)


@dg.asset_check(asset=CELLS, description="DuckDB's SQL recomputes the same cells from the facts, to 1e-9.")
def recomputation_agrees(
    context: dg.AssetCheckExecutionContext, kronos: dg.ResourceParam[Kronos]
) -> dg.AssetCheckResult:
    with kronos.open() as opened:
        months = _sample(context, opened)
        answers = quality.recomputed(opened.pipeline, months)
    apart = [(month, a.table, a.rows, a.missing, a.worst, a.worst_measure) for month, a in answers if not a.agrees]
    broken = pl.DataFrame(apart, schema=["month", "table", "rows", "missing", "worst", "measure"], orient="row")
    found = Finding(sum(answer.rows for _, answer in answers), broken)
    return result(found, f"Cells that differ from their recomputation, in {span(months)}.", months=months)


@dg.asset_check(asset=CELLS, description="Forecasts err in the newest 12 months as they did before.")
def calibration_is_steady(kronos: dg.ResourceParam[Kronos]) -> dg.AssetCheckResult:
    with kronos.open() as opened:
        found = quality.calibration_drift(opened.pipeline)
    return result(
        found,
        f"Mean forecast error that moved by more than {DRIFT_MARGIN} and {DRIFT_ERRORS:g} standard errors (by month).",
        severity=WARN,
    )


FACT_CHECKS: Sequence[dg.AssetChecksDefinition] = (
    quarantine_is_empty,
    decisions_are_unique,
    labels_are_point_in_time,
    decisions_are_fresh,
    cells_are_unique,
    slices_add_up,
    recomputation_agrees,
    calibration_is_steady,
)
