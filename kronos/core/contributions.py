"""What facts and their superseded versions add to the cells, row by row, before any adding up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from kronos.core.codes import BOOK, LABELS
from kronos.core.facts import horizons_in
from kronos.core.frames import OUTCOME_VALUES, REVISIONS

CELL_CODES: Final = ("book", "horizon", "eval_date", "known_date")
"""frames.CELL_KEYS, the book as its code."""

VALUES: Final = tuple(name for name in OUTCOME_VALUES if name not in {"drawdown", "benchmark_return", "realised_vol"})
"""Outcome values that the cells hold."""

_OF_DECISION: Final = (
    *("engine_name", "decision_known_date", "weight"),
    *("probability", "classes", "class_probabilities", "label", *LABELS),
)
_OF_HORIZON: Final = ("due_date", "eval_date", "known_date", "valid", *VALUES)
_CONTRIBUTION: Final = (*CELL_CODES, "sign", "is_decision", "is_due", "is_valid", *_OF_DECISION, *VALUES)


def columns_needed(horizons: Sequence[int]) -> list[str]:
    """Columns of wide facts with these horizons that contributions reads."""
    return [*dict.fromkeys([*BOOK, *_OF_DECISION]), *(f"{name}_h{h}" for h in horizons for name in _OF_HORIZON)]


def contributions(facts: pl.DataFrame, superseded: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Every contribution of encoded facts: decisions, each horizon, superseded claims; only the last may share cells.

    A due decision and its outcome share a row where they share dates. `sign` is -1 where a superseded claim is taken
    back. Values are null unless is_valid.
    """
    if facts.height:
        yield _decisions(facts.lazy()).collect(engine="in-memory")
    yield from outcome_contributions(facts, superseded)


def outcome_contributions(facts: pl.DataFrame, superseded: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The contributions of each horizon and of superseded claims."""
    for horizon in horizons_in(facts) if facts.height else ():
        yield _horizon(_due(facts.lazy(), horizon)).collect(engine="in-memory")
    if superseded.height:
        yield _superseded(superseded.lazy()).collect(engine="in-memory")


def _decisions(facts: pl.LazyFrame) -> pl.LazyFrame:
    dates = {"eval_date": pl.col("as_of_date"), "known_date": pl.col("decision_known_date")}
    return _flagged(facts.with_columns(_nothing(), horizon=pl.lit(0, dtype=pl.Int32), **dates), is_decision=True)


def _due(facts: pl.LazyFrame, horizon: int) -> pl.LazyFrame:
    """Rows due at the horizon, with `due_known` and whether a valid outcome shares the due row's dates."""
    values = [pl.col(f"{name}_h{horizon}").alias(name) for name in _OF_HORIZON]
    due_known = pl.max_horizontal("due_date", "decision_known_date")
    shares = (pl.col("eval_date") == pl.col("due_date")) & (pl.col("known_date") == due_known)
    rows = facts.select("book", *_OF_DECISION, *values).filter(pl.col("due_date").is_not_null())
    return rows.with_columns(
        pl.col("valid").fill_null(value=False),
        horizon=pl.lit(horizon, dtype=pl.Int32),
        due_known=due_known,
        together=(pl.col("valid") & shares).fill_null(value=False),
    )


def _horizon(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The due rows, carrying their outcome where they share dates, and the valid outcomes that do not."""
    dates = {"eval_date": pl.col("due_date"), "known_date": pl.col("due_known")}
    values = [pl.when("together").then(pl.col(name)).alias(name) for name in VALUES]
    due = _flagged(rows.with_columns(*values, **dates), is_due=True, is_valid=pl.col("together"))
    alone = rows.filter(pl.col("valid") & ~pl.col("together"))
    return pl.concat([due, _flagged(alone, is_valid=True)])


def _superseded(claims: pl.LazyFrame) -> pl.LazyFrame:
    """Each superseded claim added from the day it was known and taken back the day it no longer was."""
    is_decision, is_due = pl.col("horizon") == 0, pl.col("due_date").is_not_null()
    # a superseded invalid outcome added nothing
    counted = claims.filter(is_decision | is_due | pl.col("valid"))
    dated = counted.with_columns(
        eval_date=pl.when(is_decision).then("as_of_date").otherwise(pl.coalesce("due_date", "eval_date"))
    )
    is_valid = pl.col("valid").fill_null(value=False)

    def signed(rows: pl.LazyFrame, sign: int) -> pl.LazyFrame:
        return _flagged(rows, sign=sign, is_decision=is_decision, is_due=is_due, is_valid=is_valid)

    taken_back = dated.with_columns(known_date=pl.col("superseded_date"))
    return pl.concat([signed(dated, 1), signed(taken_back, -1)])


def _nothing() -> list[pl.Expr]:
    return [pl.lit(None, dtype=REVISIONS[name]).alias(name) for name in VALUES]


def _flagged(
    rows: pl.LazyFrame,
    *,
    sign: int = 1,
    is_decision: pl.Expr | bool = False,
    is_due: pl.Expr | bool = False,
    is_valid: pl.Expr | bool = False,
) -> pl.LazyFrame:
    flags = {"is_decision": is_decision, "is_due": is_due, "is_valid": is_valid}
    literal = {name: pl.lit(flag) if isinstance(flag, bool) else flag for name, flag in flags.items()}
    return rows.with_columns(sign=pl.lit(sign, dtype=pl.Int64), **literal).select(_CONTRIBUTION)
