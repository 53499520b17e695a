"""Decision facts and cells: month partitions, each of them one partition of the lake."""

import dagster as dg

from kronos.defs.partitions import Calendar, register_engines
from kronos.defs.presentation import plot
from kronos.defs.resources import Kronos
from kronos.defs.sources.assets import source_deps
from kronos.services.lake_state import rows_by_month
from kronos.services.pipeline import CELLS_VERSION, FACTS_VERSION
from kronos.services.refresh import refresh_cells, refresh_facts
from kronos.services.source_state import engine_names

GROUP = "facts"
OWNERS = ["team:research-platform"]
KINDS = {"polars", "deltalake"}
LAKE_TAGS = {"kronos/tier": "2", "kronos/lake": "observe"}

_FACT_SOURCES = (
    "engine_decisions",
    "decision_outcomes",
    "regimes",
    "stability_vectors",
    "fragility_measures",
    "soft_target_classes",
)


def fact_assets(calendar: Calendar) -> list[dg.AssetsDefinition]:
    """decision_facts and cells over the calendar's months."""

    @dg.asset(
        description="One row per decision, its outcomes as columns by horizon, labelled with what was known when it "
        "was made. Superseded outcomes stand beside it in superseded_facts.",
        group_name=GROUP,
        owners=OWNERS,
        kinds=KINDS,
        code_version=FACTS_VERSION,
        partitions_def=calendar.months,
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=source_deps(*_FACT_SOURCES),
        metadata={"table": "decision_facts", "partitioned_by": "month of as_of_date"},
    )
    def decision_facts(context: dg.AssetExecutionContext, kronos: dg.ResourceParam[Kronos]) -> dg.MaterializeResult:  # type: ignore[type-arg] # dagster annotates results plainly
        with kronos.open() as opened:
            done = refresh_facts(
                opened.pipeline,
                context.partition_keys,
                today=opened.now.date(),
                seen_at=opened.now,
                progress=kronos.counted("facts"),
            )
            held = rows_by_month(opened.pipeline, "decision_facts")
        return dg.MaterializeResult(
            metadata={**done.rows, "months": len(done.months), "history": plot("decisions by month", *held)}
        )

    @dg.asset(
        description="One row per cube, key (as-of, evaluation and known date, engine, config, market, horizon, mode, "
        "experiment) and slice. Everything in it may be added; a restatement appends negative rows.",
        group_name=GROUP,
        owners=OWNERS,
        kinds=KINDS,
        code_version=CELLS_VERSION,
        partitions_def=calendar.months,
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[decision_facts],
        metadata={"table": "cells", "beside": "calibration_cells, confusion_cells"},
    )
    def cells(context: dg.AssetExecutionContext, kronos: dg.ResourceParam[Kronos]) -> dg.MaterializeResult:  # type: ignore[type-arg] # as above
        with kronos.open() as opened:
            done = refresh_cells(opened.pipeline, context.partition_keys, progress=kronos.counted("cells"))
            held = rows_by_month(opened.pipeline, "cells")
            register_engines(context.instance, engine_names(opened.pipeline))
        return dg.MaterializeResult(
            metadata={**done.rows, "months": len(done.months), "history": plot("cells by month", *held)}
        )

    return [decision_facts, cells]
