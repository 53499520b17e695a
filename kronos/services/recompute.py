"""Compare cells with their recomputation by DuckDB from the same facts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from kronos.core.cells import CellsBatch
from kronos.core.conventions import RECOMPUTATION_TOLERANCE
from kronos.core.facts import FactsBatch, long_facts
from kronos.core.frames import CALIBRATION_CELLS, CELLS, CONFUSION_CELLS, FACT_KEYS, Schema
from kronos.core.policy import ObservationPolicy
from kronos.errors import NotFound
from kronos.lake import duck
from kronos.services.held_facts import HeldFacts
from kronos.services.pipeline import CELL_TABLES, Pipeline
from kronos.services.staleness import facts_marks
from kronos.store.database import Role
from kronos.store.month_builds import Stage, builds

_MEASURES: Final = (pl.Float64, pl.Int64)
_ORDERS: Final[Schema] = {"engine_name": pl.String, "class": pl.String, "rank": pl.Int64}


@dataclass(frozen=True)
class Agreement:
    """How far a table of cells and its recomputation are apart."""

    table: str
    rows: int
    missing: int
    """Cells that only one of the two has."""
    worst: float
    """Largest difference of any measure, relative to its size where that is above 1."""
    worst_measure: str | None

    @property
    def agrees(self) -> bool:
        """Whether both hold the same cells within RECOMPUTATION_TOLERANCE."""
        return self.missing == 0 and self.worst <= RECOMPUTATION_TOLERANCE


def recompute_month(pipeline: Pipeline, month: str) -> list[Agreement]:
    """Recompute a month's cells in the lake from the very facts they were added up from."""
    with pipeline.database.connect(Role.READER) as connection:
        built = builds(connection, Stage.CELLS).get(month)
    if built is None:
        raise NotFound("month with cells", month)
    facts = HeldFacts(pipeline.lake).read([replace(built, lake=facts_marks(built))])
    cells, calibration, confusion = (
        pipeline.lake.scan(table, [month], mark=built.lake[table]).collect() for table in CELL_TABLES
    )
    return recompute(facts, CellsBatch(cells, calibration, confusion), pipeline.policy)


def recompute(facts: FactsBatch, cells: CellsBatch, policy: ObservationPolicy) -> list[Agreement]:
    """Recompute every kind of cells from the facts in SQL and compare."""
    claims = duck.run(
        "claims",
        facts=facts.facts.select(list(FACT_KEYS)),
        long_facts=long_facts(facts.facts.lazy()).collect(),
        superseded=facts.superseded,
    )
    orders = _class_orders(policy)
    return [
        compare("cells", cells.cells, duck.run("cells", claims=claims, class_orders=orders), CELLS),
        compare(
            "calibration_cells",
            cells.calibration,
            duck.run("calibration_cells", claims=claims, class_orders=orders),
            CALIBRATION_CELLS,
        ),
        compare("confusion_cells", cells.confusion, duck.run("confusion_cells", claims=claims), CONFUSION_CELLS),
    ]


def compare(table: str, held: pl.DataFrame, recomputed: pl.DataFrame, schema: Schema) -> Agreement:
    """Match two tables of cells by key and measure the largest difference; null counts as zero."""
    keys = [name for name, dtype in schema.items() if dtype not in _MEASURES and name != "month"]
    measures = [name for name, dtype in schema.items() if dtype in _MEASURES]
    typed = recomputed.select(pl.col(name).cast(schema[name]) for name in (*keys, *measures))
    both = held.join(typed, on=keys, how="full", suffix="_again", nulls_equal=True)
    matched = both.filter(pl.col(keys[0]).is_not_null() & pl.col(f"{keys[0]}_again").is_not_null())
    differences = matched.select(_difference(name).alias(name) for name in measures).fill_nan(float("inf")).max()
    worst = {name: value or 0.0 for name, value in differences.row(0, named=True).items()}
    name = max(worst, key=lambda key: worst[key])
    return Agreement(table, held.height, both.height - matched.height, worst[name], name if worst[name] > 0 else None)


def _difference(name: str) -> pl.Expr:
    ours = pl.col(name).cast(pl.Float64).fill_null(0.0)
    theirs = pl.col(f"{name}_again").cast(pl.Float64).fill_null(0.0)
    return (ours - theirs).abs() / pl.max_horizontal(ours.abs(), theirs.abs(), 1.0)


def _class_orders(policy: ObservationPolicy) -> pl.DataFrame:
    rows = [
        (engine, name, rank)
        for engine, order in policy.ordered_classes.items()
        for rank, name in enumerate(order, start=1)
    ]
    return pl.DataFrame(rows, schema=_ORDERS, orient="row")
