"""One subject's rows, as transforms see and leave them: outcomes that agree with what was decided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from kronos.core.chances import Floats, chances, word_of, words_in
from kronos.core.frames import DECISIONS, OUTCOMES
from kronos.errors import BadValue

DECIMALS: Final = 10
"""Decided numbers are rounded once, so that what is said to be decided is what is evaluated."""

_OF_DECISION: Final = (
    *("market_id", "as_of_date", "entity_id", "weight", "probability", "classes", "class_probabilities", "label"),
)


@dataclass(frozen=True)
class Rows:
    """Decisions (frames.DECISIONS) of one config and their outcomes (frames.OUTCOMES), in any order.

    Transforms keep that order, and never look at it.
    """

    decisions: pl.DataFrame
    outcomes: pl.DataFrame

    @property
    def earns(self) -> bool:
        """Whether the config earns anything; one that has weights does where nothing came of it yet."""
        if self.outcomes.is_empty():
            return self.decisions["weight"].null_count() < self.decisions.height
        return self.outcomes["return"].null_count() < self.outcomes.height

    def weighted(self) -> pl.DataFrame:
        """The decisions with every weight told: without one an equal share of the market's date."""
        book = ["market_id", "as_of_date"]
        return self.decisions.with_columns(weight=pl.col("weight").fill_null(1.0 / pl.len().over(book)))

    def told(self, *extra: pl.Series) -> pl.DataFrame:
        """Outcomes beside what was decided (weights as in `weighted`) and further columns of the decisions."""
        decided = self.weighted().select("decision_id", *_OF_DECISION).with_columns(*extra)
        return self.outcomes.join(decided, on="decision_id", how="left", maintain_order="left")

    def with_outcomes(self, told: pl.DataFrame) -> Rows:
        """The same decisions with other outcomes."""
        return replace(self, outcomes=told.select(*OUTCOMES))

    def with_decisions(self, decisions: pl.DataFrame) -> Rows:
        """The same outcomes of other decisions."""
        return replace(self, decisions=decisions.select(*DECISIONS))


def drawn(df: pl.DataFrame, seed: int, what: str, *columns: str) -> Floats:
    """A uniform number in [0, 1) for each row, fixed by seed, purpose and the row's values in some columns."""
    words = [_words(df[name]) for name in columns]
    return np.broadcast_to(chances(seed, word_of(what), *words), (df.height,))


def coin(df: pl.DataFrame, seed: int, what: str, *columns: str) -> Floats:
    """1 or -1, as `drawn`."""
    return np.where(drawn(df, seed, what, *columns) < 0.5, -1.0, 1.0)


def normal(df: pl.DataFrame, seed: int, what: str, *columns: str) -> Floats:
    """A standard normal number, as `drawn` (Box and Muller 1958)."""
    first, second = drawn(df, seed, f"{what} radius", *columns), drawn(df, seed, f"{what} angle", *columns)
    return np.asarray(np.sqrt(-2.0 * np.log1p(-first)) * np.cos(2.0 * np.pi * second))


def share_of_cost() -> pl.Expr:
    """Cost of a unit of the decision's weight, 0 where none is told.

    Also 0 where no unit is held: a return counts times its weight, so what leaving a name cost is in no return, before
    or after. It stays in the outcome's own cost.
    """
    held = pl.col("weight") != 0.0
    return pl.when(held).then(pl.col("cost") / pl.col("weight")).otherwise(0.0).fill_null(0.0)


def gross() -> pl.Expr:
    """The return before costs."""
    return pl.col("return") + share_of_cost()


def sided(told: pl.DataFrame, side: str) -> pl.DataFrame:
    """Returns on the other side where `side` is -1: what was won before costs is lost, and paid for all the same.

    The way there is not known of more than one session: such a drawdown is missing.
    """
    turned = pl.col(side) < 0.0
    way = pl.when(pl.col("horizon") == 1).then(pl.min_horizontal(0.0, -gross()))
    return settled(
        told,
        told.with_columns(
            pl.when(turned).then(-gross() - share_of_cost()).otherwise(pl.col("return")).alias("return"),
            pl.when(turned & pl.col("return").is_not_null()).then(way).otherwise(pl.col("drawdown")).alias("drawdown"),
        ),
    )


def settled(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Outcomes whose P&L, event, hit and loss agree with the weight, return, label and class they now stand beside.

    before, after: `told` frames with the same rows in the same order. An event that was the sign of the return follows
    it, and so does a hit; a hit or loss of classes is worked out anew.
    """
    was = before.select(
        (pl.col("return") * pl.col("weight")).alias("_was"),
        pl.col("return").alias("_was_return"),
    )
    df = pl.concat([after, was], how="horizontal")
    now = pl.col("return") * pl.col("weight")
    known = pl.col("return").is_not_null() & pl.col("_was").is_not_null()
    up = (pl.col("return") > 0.0).cast(pl.Float64)
    columns = [
        pl.when(known & (pl.col("_was") != 0.0))
        .then(pl.col("pnl") * now / pl.col("_was"))
        .otherwise("pnl")
        .alias("pnl")
    ]
    for name in ("event", "hit"):
        if _follows_the_return(before, name):
            columns.append(pl.when(pl.col(name).is_not_null() & known).then(up).otherwise(name).alias(name))
    return _classes_settled(before, df.with_columns(columns)).drop("_was", "_was_return")


def class_distance(told: pl.DataFrame) -> pl.Series:
    """How many classes the label is away from the one that came true, as a share of the most; null where unknown."""
    columns = (told[name].to_list() for name in ("classes", "label", "realised_class"))
    values = [
        abs(classes.index(label) - classes.index(realised)) / max(1, len(classes) - 1)
        if classes and label in classes and realised in classes
        else None
        for classes, label, realised in zip(*columns, strict=True)
    ]
    return pl.Series("distance", values, dtype=pl.Float64)


def require_weights(rows: Rows, kind: str) -> None:
    """`BadValue` for a control of books over rows that have none."""
    if not rows.earns and not rows.decisions.is_empty():
        raise BadValue(f"control {kind}", "an engine without positions", "one that earns returns")


def _follows_the_return(told: pl.DataFrame, name: str) -> bool:
    both = told.filter(pl.col(name).is_not_null() & pl.col("return").is_not_null())
    return bool(len(both)) and bool(((both["return"] > 0.0).cast(pl.Float64) == both[name]).all())


def _classes_settled(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    was, now = class_distance(before), class_distance(after)
    if was.null_count() == len(was):
        return after
    agrees = ((before["loss"] - was).abs() < 1e-9).fill_null(value=True).all()
    df = after.with_columns(now.alias("_distance"))
    told = pl.col("_distance").is_not_null()
    right = (pl.col("_distance") == 0.0).cast(pl.Float64)
    return df.with_columns(
        hit=pl.when(told & pl.col("hit").is_not_null()).then(right).otherwise("hit"),
        loss=pl.when(told & pl.col("loss").is_not_null() & pl.lit(agrees)).then("_distance").otherwise("loss"),
    ).drop("_distance")


def _words(column: pl.Series) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    if column.dtype == pl.String:
        return words_in(column)
    return column.to_physical().cast(pl.Int64).to_numpy().astype(np.uint64)
