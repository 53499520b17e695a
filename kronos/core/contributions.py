"""What facts and their superseded versions add to the cells, row by row, before any adding up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl

from kronos.core.facts import FactsBatch, facts_at, horizons_in
from kronos.core.frames import CELL_KEYS, DECISIONS, OUTCOME_VALUES, Schema

LABELS: Final[Schema] = {"regime": pl.String, "stability_bucket": pl.String, "fragility_bucket": pl.String}
_FORECAST: Final = ("weight", "probability", "classes", "class_probabilities", "label")

CONTRIBUTIONS: Final[Schema] = {
    **CELL_KEYS,
    **LABELS,
    "sign": pl.Int64,  # -1 takes a superseded claim back
    "is_decision": pl.Boolean,
    "is_due": pl.Boolean,
    "is_valid": pl.Boolean,
    **{name: DECISIONS[name] for name in _FORECAST},
    **OUTCOME_VALUES,  # null unless is_valid
}
"""One row per claim, a due one and its outcome sharing a row where they share dates."""


def contributions(batch: FactsBatch) -> Iterator[pl.DataFrame]:
    """Every contribution of a batch of facts, in frames small enough to hold: decisions, each horizon, superseded."""
    facts = batch.facts.lazy()
    yield _decisions(facts).collect()
    for horizon in horizons_in(facts):
        yield _horizon(facts_at(facts, horizon)).collect()
    if batch.superseded.height:
        yield _superseded(batch.superseded.lazy()).collect()


def _decisions(facts: pl.LazyFrame) -> pl.LazyFrame:
    rows = facts.with_columns(
        **_no_values(),
        horizon=pl.lit(0, dtype=pl.Int32),
        eval_date=pl.col("as_of_date"),
        known_date=pl.col("decision_known_date"),
    )
    return _flagged(rows, sign=pl.lit(1), is_decision=pl.lit(value=True))


def _horizon(long: pl.LazyFrame) -> pl.LazyFrame:
    """Due rows, carrying their valid outcome where it shares their dates, and the valid outcomes that do not."""
    due_known = pl.max_horizontal("due_date", "decision_known_date")
    valid = pl.col("valid").fill_null(value=False)
    together = valid & (pl.col("eval_date") == pl.col("due_date")) & (pl.col("known_date") == due_known)
    long = long.with_columns(_together=together, _valid=valid)
    values = [pl.when("_together").then(pl.col(name)).alias(name) for name in OUTCOME_VALUES]
    due = long.with_columns(*values, eval_date=pl.col("due_date"), known_date=due_known)
    apart = long.filter(pl.col("_valid") & ~pl.col("_together"))
    return pl.concat(
        [
            _flagged(due, sign=pl.lit(1), is_due=pl.lit(value=True), is_valid=pl.col("_together")),
            _flagged(apart, sign=pl.lit(1), is_valid=pl.lit(value=True)),
        ]
    )


def _superseded(claims: pl.LazyFrame) -> pl.LazyFrame:
    """Each superseded claim added from the day it was known and taken back the day it no longer was."""
    is_decision = pl.col("horizon") == 0
    # a superseded invalid outcome added nothing
    counted = claims.filter(is_decision | pl.col("due_date").is_not_null() | pl.col("valid"))
    dated = counted.with_columns(
        eval_date=pl.when(is_decision).then("as_of_date").otherwise(pl.coalesce("due_date", "eval_date"))
    )
    flags = {
        "is_decision": is_decision,
        "is_due": pl.col("due_date").is_not_null(),
        "is_valid": pl.col("valid").fill_null(value=False),
    }
    believed = _flagged(dated, sign=pl.lit(1), **flags)
    taken_back = _flagged(dated.with_columns(known_date=pl.col("superseded_date")), sign=pl.lit(-1), **flags)
    return pl.concat([believed, taken_back])


def _no_values() -> dict[str, pl.Expr]:
    return {name: pl.lit(None, dtype=dtype) for name, dtype in OUTCOME_VALUES.items()}


def _flagged(rows: pl.LazyFrame, sign: pl.Expr, **flags: pl.Expr) -> pl.LazyFrame:
    unset = {name: pl.lit(value=False) for name in ("is_decision", "is_due", "is_valid")}
    return rows.with_columns(sign=sign.cast(pl.Int64), **(unset | flags)).select(list(CONTRIBUTIONS))
