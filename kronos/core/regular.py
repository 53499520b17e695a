"""Adding up decisions on which nothing was late, all horizons in one pass.

Such a decision was known on its date and each of its outcomes, where there is one, on its due date. A book has one due
date per horizon, so its dates need not be grouped by: one grouping serves every horizon.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Final

import polars as pl

from kronos.core import scores
from kronos.core.codes import LABELS
from kronos.core.contributions import VALUES
from kronos.core.conventions import DECISION_HORIZON
from kronos.core.facts import horizons_in
from kronos.core.fixed_point import to_fixed
from kronos.core.measures import row_measures, sums

_OF_DECISION: Final = {"weight", "is_decision", "is_due"}


def is_regular(horizons: list[int]) -> pl.Expr:
    """Whether nothing about a wide fact was late or early."""
    return pl.all_horizontal(
        pl.col("decision_known_date") == pl.col("as_of_date"),
        *(_on_time(horizon) for horizon in horizons),
    )


def regular_sums(facts: pl.DataFrame) -> pl.DataFrame:
    """Sums by book and all labels, `<measure>_h<h>` per horizon with its `due_date_h<h>`."""
    horizons = horizons_in(facts)
    counts = facts.count().to_dict(as_series=False)
    present = {h: frozenset(name for name in VALUES if counts[f"{name}_h{h}"] != [0]) for h in horizons}
    added = [expr for horizon in horizons for expr in _sums_of(horizon, present[horizon])]
    # hits are read three times: found once
    judged = facts.lazy().with_columns(scores.hit(partial(_column, h)).alias(f"hit_h{h}") for h in horizons)
    grouped = judged.group_by("book", "as_of_date", *LABELS).agg(
        pl.len().cast(pl.Int64).alias(f"decisions_h{DECISION_HORIZON}"),
        to_fixed(pl.col("weight")).sum(),
        *(pl.col(f"due_date_h{horizon}").max() for horizon in horizons),
        *added,
    )
    return (
        grouped.with_columns(expr for horizon in horizons for expr in _due(horizon))
        .drop("weight")
        .collect(engine="in-memory")
    )


def _due(horizon: int) -> list[pl.Expr]:
    """A config is due at a horizon with all its decisions or with none, so a book is too."""
    due = pl.col(f"due_date_h{horizon}").is_not_null()
    counted = pl.when(due).then(pl.col(f"decisions_h{DECISION_HORIZON}"))
    weighed = pl.when(due).then(pl.col("weight"))
    return [counted.alias(f"due_h{horizon}"), weighed.alias(f"weight_due_h{horizon}")]


def regular_cubes(joint: pl.DataFrame) -> list[list[pl.LazyFrame]]:
    """The joint sums by each label: a frame of cells per horizon, decisions first."""
    dues = [name for name in joint.columns if name.startswith("due_date_h")]
    held = [name for name in joint.columns if name not in (*dues, "book", "as_of_date", *LABELS)]
    dated = {DECISION_HORIZON: "as_of_date"} | {horizon: f"due_date_h{horizon}" for horizon in horizons_in(joint)}
    grouped = [
        joint.lazy()
        .group_by("book", "as_of_date", pl.col(label).alias("slice"))
        .agg(pl.col(dues).max(), pl.col(held).sum())
        for label in LABELS
    ]
    cubes = pl.collect_all(grouped, engine="in-memory")
    return [[_cells(cube, horizon, day) for horizon, day in dated.items()] for cube in cubes]


def _on_time(horizon: int) -> pl.Expr:
    due, valid = pl.col(f"due_date_h{horizon}"), pl.col(f"valid_h{horizon}")
    on_time = (pl.col(f"eval_date_h{horizon}") == due) & (pl.col(f"known_date_h{horizon}") == due)
    return on_time.fill_null(value=False) | ~valid.fill_null(value=False)


@cache
def _sums_of(horizon: int, present: frozenset[str]) -> list[pl.Expr]:
    """Sums of one horizon's outcomes under the horizon's names."""
    measures = row_measures(partial(_column, horizon), {"is_valid", *present}, judged=True)
    return [value.alias(f"{value.meta.output_name()}_h{horizon}") for value in sums(measures, signed=False)]


def _column(horizon: int, name: str) -> pl.Expr:
    if name in _OF_DECISION:
        return pl.col(name)
    return pl.col(f"valid_h{horizon}" if name == "is_valid" else f"{name}_h{horizon}")


def _cells(cube: pl.DataFrame, horizon: int, day: str) -> pl.LazyFrame:
    """One horizon's columns under the names of cells."""
    ending = f"_h{horizon}"
    held = [name for name in cube.columns if name.endswith(ending) and not name.startswith("due_date")]
    rows = cube.lazy().filter(pl.col(day).is_not_null())
    return rows.select(
        "book",
        pl.lit(horizon, dtype=pl.Int32).alias("horizon"),
        pl.col(day).alias("eval_date"),
        pl.col(day).alias("known_date"),
        "slice",
        *(pl.col(name).alias(name.removesuffix(ending)) for name in held),
    )
