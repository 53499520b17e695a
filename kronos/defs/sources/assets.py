"""Upstream's tables: outside Dagster, only observed."""

from collections.abc import Iterator

import dagster as dg

from kronos.defs.resources import Kronos
from kronos.services.source_state import source_state

GROUP = "sources"

GRAINS = {
    "engine_decisions": "One row per decision of an engine.",
    "decision_outcomes": "One row per decision, horizon and, where the source keeps them, revision.",
    "engine_configs": "One row per config, an immutable version of an engine's parameters; kept in Kronos's database.",
    "models": "One row per model.",
    "regimes": "One row per region and date: the regime label as it was said.",
    "stability_vectors": "One row per entity and date: 0 unstable to 1 stable.",
    "fragility_measures": "One row per entity and date.",
    "soft_target_classes": "One row per entity and date.",
    "portfolio_risk_reports": "One row per portfolio and date.",
    "engine_runs": "One row per regional engine run: the barrier in front of the meta jobs reads its phase.",
    "job_executions": "One row per attempt of an upstream job.",
}


def source_key(table: str) -> dg.AssetKey:
    """Asset key of an upstream table."""
    return dg.AssetKey(["source", table])


def source_deps(*tables: str) -> list[dg.AssetDep]:
    """Dependencies on upstream tables."""
    return [dg.AssetDep(source_key(table)) for table in tables]


def _spec(table: str, grain: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        source_key(table),
        description=f"{grain} Upstream's table; Kronos only reads it.",
        group_name=GROUP,
        owners=["team:trading-platform"],
        kinds={"postgres", "table"},
        tags={"kronos/side": "upstream"},
    )


@dg.multi_observable_source_asset(  # type: ignore[untyped-decorator] # dagster leaves this one untyped
    specs=[_spec(table, grain) for table, grain in GRAINS.items()], name="observe_source_tables", can_subset=True
)
def source_tables(context: dg.AssetExecutionContext, kronos: dg.ResourceParam[Kronos]) -> Iterator[dg.ObserveResult]:
    """Rows and newest day of every upstream table; a table the source does not have is not observed."""
    with kronos.open() as opened:
        states = source_state(opened.pipeline)
    for state in states:
        if source_key(state.table) in context.selected_asset_keys:
            yield dg.ObserveResult(
                source_key(state.table),
                metadata={"rows": state.rows, "newest": str(state.newest), "seen_at": opened.now.isoformat()},
                data_version=dg.DataVersion(f"{state.rows}:{state.newest}"),
            )
