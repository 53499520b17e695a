"""Controls of what is decided: the other way round, by coin, from stale data, or from the future."""

from __future__ import annotations

import numpy as np
import polars as pl

from kronos.core.chances import Floats
from kronos.core.controls.forecasts import mirrored, tilted, with_classes
from kronos.core.controls.model import BestOfNoise, InvertedSignal, LookAhead, ShuffledLabels, StaleData
from kronos.core.controls.rows import DECIMALS, Rows, coin, gross, settled, sided
from kronos.core.frames import DECISIONS, OUTCOMES

_BOOK_DATE = ("market_id", "as_of_date")


def inverted(control: InvertedSignal, rows: Rows) -> Rows:
    """Books are turned round; a forecast is mirrored. What a book claims of its picks it claims of the opposite."""
    return _turned(rows, -np.ones(rows.decisions.height))


def shuffled(control: ShuffledLabels, rows: Rows) -> Rows:
    """A coin decides for each market and date which way round."""
    return _turned(rows, coin(rows.decisions, control.seed, control.kind, *_BOOK_DATE))


def noise(control: BestOfNoise, rows: Rows) -> Rows:
    """As the chosen variant's coins fall: books are turned, forecasts moved up or down."""
    side = noise_side(rows.decisions, control.seed, control.variant)
    return _turned(rows, side) if rows.earns else _retold(rows, tilted(rows.decisions, control.strength * side))


def noise_side(df: pl.DataFrame, seed: int, variant: int) -> Floats:
    """1 or -1 for each market and date of a variant."""
    return coin(df, seed, f"best_of_noise {variant}", *_BOOK_DATE)


def look_ahead(control: LookAhead, rows: Rows) -> Rows:
    """The side that will win at the shortest horizon, and forecasts moved towards what will come.

    expected_return tells what will come, at the shortest horizon; decisions without a known outcome stay.
    """
    first = rows.told().sort("horizon", maintain_order=True).filter(pl.col("valid")).unique("decision_id", keep="first")
    seen = first.select("decision_id", "realised_class", gross().alias("_gross"), pl.col("event").alias("_event"))
    decisions = rows.weighted().join(seen, on="decision_id", how="left", maintain_order="left")
    side = pl.when(pl.col("_gross") < 0.0).then(-1.0).otherwise(1.0).alias("_side")
    decisions = decisions.with_columns(side).with_columns(
        expected_return=pl.when(pl.col("_gross").is_not_null())
        .then(pl.col("_gross").abs().round(DECIMALS))
        .otherwise("expected_return"),
    )
    turned = rows
    if rows.earns:
        turned = rows.with_outcomes(sided(rows.told(decisions["_side"]), "_side"))
    return _retold(turned, _informed(control, decisions, pays=rows.earns).select(*DECISIONS))


def stale(control: StaleData, rows: Rows) -> Rows:
    """Decisions `lag` of the subject's sessions old, dated anew, with what came to the same entity on the new date.

    An entity that the new date's book does not hold gets what came to the one at the same place of that book, so that
    nothing is missing. Dates without decisions so long before have none.
    """
    decisions = rows.weighted()
    days = (
        decisions.select(*_BOOK_DATE, "decided_at")
        .sort(*_BOOK_DATE, "decided_at")
        .unique([*_BOOK_DATE], keep="first", maintain_order=True)
    )
    days = days.with_columns(_old=pl.col("as_of_date").shift(control.lag).over("market_id"))
    old = decisions.rename({"as_of_date": "_old"}).drop("decided_at")
    placed = pl.col("entity_id").rank("ordinal").over(*_BOOK_DATE).cast(pl.Int64) - 1
    dated = old.join(days.drop_nulls("_old"), on=["market_id", "_old"], how="inner", maintain_order="left")
    dated = dated.with_columns(placed.alias("_place"), pl.col("as_of_date").dt.to_string().alias("_day"))
    there = decisions.select(
        *_BOOK_DATE,
        "entity_id",
        pl.col("decision_id").alias("_source"),
        pl.col("weight").alias("_source_weight"),
        placed.alias("_place"),
        pl.len().over(*_BOOK_DATE).cast(pl.Int64).alias("_size"),
    )
    made = _with_sources(dated, there).with_columns(
        pl.concat_str("decision_id", pl.lit("@"), "_day").alias("decision_id")
    )
    return Rows(made.select(*DECISIONS), _met(made, rows))


def _with_sources(dated: pl.DataFrame, there: pl.DataFrame) -> pl.DataFrame:
    """For each dated decision the decision of its new date whose outcomes it gets."""
    sizes = there.select(*_BOOK_DATE, "_size").unique()
    placed = dated.join(sizes, on=[*_BOOK_DATE], how="left", maintain_order="left").with_columns(
        pl.col("_place") % pl.col("_size")
    )
    same = there.drop("_place", "_size").unique([*_BOOK_DATE, "entity_id"], keep="first", maintain_order=True)
    beside = there.drop("entity_id", "_size").rename({"_source": "_other", "_source_weight": "_other_weight"})
    found = placed.join(same, on=[*_BOOK_DATE, "entity_id"], how="left", maintain_order="left")
    found = found.join(beside, on=[*_BOOK_DATE, "_place"], how="left", maintain_order="left")
    return found.with_columns(
        pl.coalesce("_source", "_other").alias("_source"),
        pl.coalesce("_source_weight", "_other_weight").alias("_source_weight"),
    )


def _met(made: pl.DataFrame, rows: Rows) -> pl.DataFrame:
    """The sources' outcomes under the new decisions: per unit of weight the same, so costs go with the weight.

    What leaving a name cost a source that holds none of it is the source's alone: the new decision did not leave.
    """
    given = made.select(
        "_source", pl.col("decision_id").alias("_new"), "_source_weight", pl.col("weight").alias("_now")
    )
    came = rows.told().join(given, left_on="decision_id", right_on="_source", how="inner", maintain_order="left")
    came = came.with_columns(pl.col("_new").alias("decision_id"))
    held = pl.col("_source_weight") != 0.0
    share = pl.when(held).then(pl.col("_now") / pl.col("_source_weight")).otherwise(0.0)
    outcomes = came.with_columns(pl.col(name) * share for name in ("cost", "turnover")).select(*OUTCOMES)
    return settled(came, Rows(made.select(*DECISIONS), outcomes).told()).select(*OUTCOMES)


def _turned(rows: Rows, side: Floats) -> Rows:
    """Books turned and forecasts that earn nothing mirrored where side is -1."""
    if rows.earns:
        return rows.with_outcomes(sided(rows.told(pl.Series("_side", side, dtype=pl.Float64)), "_side"))
    return _retold(rows, mirrored(rows.decisions, (side < 0.0).tolist()))


def _retold(rows: Rows, decisions: pl.DataFrame) -> Rows:
    """Other forecasts of the same things, and hits and losses that agree with them."""
    made = rows.with_decisions(decisions)
    return made.with_outcomes(settled(rows.told(), made.told()))


def _informed(control: LookAhead, decisions: pl.DataFrame, *, pays: bool) -> pl.DataFrame:
    """Forecasts moved towards what will come. pays: the event is that the pick pays, and by now each does."""
    came = pl.when(pl.col("_event").is_not_null()).then(1.0 if pays else pl.col("_event"))
    moved = pl.col("probability") + control.strength * (came - pl.col("probability"))
    known = decisions["realised_class"].to_list()
    classes = decisions["classes"].to_list()

    def towards(row: int, p: Floats) -> Floats:
        if known[row] not in classes[row]:
            return p
        there = np.zeros_like(p)
        there[classes[row].index(known[row])] = 1.0
        return p + control.strength * (there - p)

    informed = decisions.with_columns(probability=pl.coalesce(moved.round(DECIMALS), "probability"))
    return with_classes(informed, towards)
