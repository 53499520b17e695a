"""Adding up decisions on which nothing was late, all horizons in one pass.

Such a decision was known on its date and each of its outcomes, where there is one, on its due date. A book has one due
date per horizon, so its dates need not be grouped by: one grouping serves every horizon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, partial
from typing import Final

import polars as pl

from kronos.core import scores
from kronos.core.calibration import EVENT, calibration_terms, probability_bin
from kronos.core.codes import LABELS, cube_of
from kronos.core.contributions import VALUES
from kronos.core.conventions import DECISION_HORIZON
from kronos.core.facts import horizons_in
from kronos.core.grouping import Groups, Integers, add_up, number_all, put_together, roll_up
from kronos.core.measures import forecast_measures, row_measures

_OF_DECISION: Final = {"weight", "probability", "is_decision", "is_due"}


def is_regular(horizons: list[int]) -> pl.Expr:
    """Whether nothing about a wide fact was late or early."""
    return pl.all_horizontal(
        pl.col("decision_known_date") == pl.col("as_of_date"),
        *(_on_time(horizon) for horizon in horizons),
    )


def regular_cells(facts: pl.DataFrame, *, fixed: bool) -> list[pl.LazyFrame]:
    """Measures by cube, CELL_CODES and slice, in fixed point if more is to be added: a frame per horizon."""
    horizons = horizons_in(facts)
    joint = number_all(*(_codes(facts[name]) for name in ("book", *LABELS)))
    sums = add_up(_row_values(facts), joint)
    forecasts = facts["probability"].is_not_null().arg_true()
    if len(forecasts):
        of_row = joint.of_row[forecasts.to_numpy()]
        sums += add_up(_forecast_values(facts, forecasts), Groups(of_row, joint.count))
    books = facts.select("book", "as_of_date", *_due_dates(horizons), *LABELS)[joint.a_row]
    cubes = [number_all(_codes(books["book"]), _codes(books[label])) for label in LABELS]
    keys = [
        books[cube.a_row].with_columns(pl.col(label).alias("slice"), cube_of(label)).drop(LABELS)
        for label, cube in zip(LABELS, cubes, strict=True)
    ]
    held = pl.concat(keys).hstack(put_together(roll_up(sums, cubes), fixed=fixed))
    held = held.with_columns(expr for horizon in horizons for expr in _due(horizon)).drop("weight")
    return [_at(held, horizon, ["cube", "slice"]) for horizon in (DECISION_HORIZON, *horizons)]


def regular_calibration(facts: pl.DataFrame, *, fixed: bool) -> list[pl.LazyFrame]:
    """Calibration measures of binary forecasts by CELL_CODES, regime and bin: a frame per horizon."""
    horizons = _forecast_horizons(facts)
    p = pl.col("probability")
    forecasts = (
        facts.lazy()
        .filter(p.is_not_null())
        .select("book", "regime", *_due_dates(horizons), *_calibration_terms(horizons), bin=probability_bin(p))
        .collect(engine="in-memory")
    )
    if forecasts.is_empty():
        return []
    keys = ("book", "regime", "bin")
    groups = number_all(*(_codes(forecasts[name]) for name in keys))
    terms = [name for name in forecasts.columns if name not in (*keys, *_due_dates(horizons))]
    sums = put_together(add_up(forecasts.select(terms), groups), fixed=fixed)
    held = forecasts.select(*keys, *_due_dates(horizons))[groups.a_row].hstack(sums)
    return [
        _at(held.filter(pl.col(f"n_h{horizon}") > 0), horizon, ["regime", "bin"]).with_columns(target=pl.lit(EVENT))
        for horizon in horizons
    ]


def _forecast_horizons(facts: pl.DataFrame) -> list[int]:
    return [horizon for horizon in horizons_in(facts) if facts[f"event_h{horizon}"].count()]


def _on_time(horizon: int) -> pl.Expr:
    due, valid = pl.col(f"due_date_h{horizon}"), pl.col(f"valid_h{horizon}")
    on_time = (pl.col(f"eval_date_h{horizon}") == due) & (pl.col(f"known_date_h{horizon}") == due)
    return on_time.fill_null(value=False) | ~valid.fill_null(value=False)


def _codes(column: pl.Series) -> Integers:
    return column.to_physical().cast(pl.Int64).to_numpy()


def _row_values(facts: pl.DataFrame) -> pl.DataFrame:
    """What each fact adds to the measures of each horizon, `<measure>_h<h>`; those without values are left out."""
    horizons = horizons_in(facts)
    counts = facts.count().to_dict(as_series=False)
    present = {h: frozenset(name for name in VALUES if counts[f"{name}_h{h}"] != [0]) for h in horizons}
    # hits are read three times: found once
    judged = facts.lazy().with_columns(scores.hit(partial(_column, h)).alias(f"hit_h{h}") for h in horizons)
    decided = pl.col("book").is_not_null().alias(f"decisions_h{DECISION_HORIZON}")
    values = [expr for horizon in horizons for expr in _measures_of(horizon, present[horizon])]
    return judged.select(decided, "weight", *values).collect(engine="in-memory")


@cache
def _measures_of(horizon: int, present: frozenset[str]) -> list[pl.Expr]:
    return _at_horizon(horizon, row_measures(partial(_column, horizon), {"is_valid", *present}, judged=True))


def _forecast_values(facts: pl.DataFrame, forecasts: pl.Series) -> pl.DataFrame:
    """What the rows with a binary forecast add to its measures."""
    horizons = _forecast_horizons(facts)
    rows = facts.select("probability", *(f"event_h{horizon}" for horizon in horizons))[forecasts]
    values = [expr for horizon in horizons for expr in _forecast_measures_of(horizon)]
    return rows.lazy().select(values).collect(engine="in-memory")


@cache
def _forecast_measures_of(horizon: int) -> list[pl.Expr]:
    return _at_horizon(horizon, forecast_measures(partial(_column, horizon)))


def _calibration_terms(horizons: Iterable[int]) -> list[pl.Expr]:
    return [expr for horizon in horizons for expr in _calibration_terms_of(horizon)]


@cache
def _calibration_terms_of(horizon: int) -> list[pl.Expr]:
    y = pl.col(f"event_h{horizon}")
    came = y.is_not_null()
    return _at_horizon(horizon, {"n": came, **calibration_terms(pl.when(came).then("probability"), y)})


def _at_horizon(horizon: int, measures: Mapping[str, pl.Expr]) -> list[pl.Expr]:
    return [value.alias(f"{name}_h{horizon}") for name, value in measures.items()]


def _column(horizon: int, name: str) -> pl.Expr:
    if name in _OF_DECISION:
        return pl.col(name)
    return pl.col(f"valid_h{horizon}" if name == "is_valid" else f"{name}_h{horizon}")


def _due(horizon: int) -> list[pl.Expr]:
    """A config is due at a horizon with all its decisions or with none, so a book is too."""
    due = pl.col(f"due_date_h{horizon}").is_not_null()
    counted = pl.when(due).then(pl.col(f"decisions_h{DECISION_HORIZON}"))
    weighed = pl.when(due).then(pl.col("weight"))
    return [counted.alias(f"due_h{horizon}"), weighed.alias(f"weight_due_h{horizon}")]


def _due_dates(horizons: Iterable[int]) -> list[str]:
    return [f"due_date_h{horizon}" for horizon in horizons]


def _at(held: pl.DataFrame, horizon: int, keys: list[str]) -> pl.LazyFrame:
    """One horizon's measures under the names of cells; evaluated and known on its due date."""
    ending = f"_h{horizon}"
    day = pl.col("as_of_date" if horizon == DECISION_HORIZON else f"due_date{ending}")
    measures = [name for name in held.columns if name.endswith(ending) and not name.startswith("due_date")]
    return (
        held.lazy()
        .filter(day.is_not_null())
        .select(
            "book",
            pl.lit(horizon, dtype=pl.Int32).alias("horizon"),
            day.alias("eval_date"),
            day.alias("known_date"),
            *keys,
            *(pl.col(name).alias(name.removesuffix(ending)) for name in measures),
        )
    )
