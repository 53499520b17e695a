"""Controls of what came of decisions: costs, holes, constants, differences too small to see, and a planted edge."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from kronos.core.controls.forecasts import with_classes
from kronos.core.controls.model import (
    ConstantReturns,
    CostDrag,
    DataHoles,
    IdenticalStream,
    PositiveEdge,
    TrivialVariation,
)
from kronos.core.controls.rows import DECIMALS, Rows, drawn, normal, settled
from kronos.core.conventions import DEFAULT_SESSIONS_PER_YEAR

_BOOK_DATE: Final = ("market_id", "as_of_date")
_FLIP_NOISE: Final = 0.5
"""Standard deviation of the share an event moves by, relative to its mean."""


def dragged(control: CostDrag, rows: Rows) -> Rows:
    """Returns lower, and costs higher, by the same on every date; of forecasts, outcomes farther from them."""
    told = rows.told()
    if not rows.earns:
        return rows.with_outcomes(settled(told, _estranged(control, told)))
    drag = control.drag * pl.col("horizon")
    dearer = pl.when(pl.col("return").is_not_null()).then(pl.col("cost").fill_null(0.0) + drag * pl.col("weight"))
    made = told.with_columns((pl.col("return") - drag).alias("return"), pl.coalesce(dearer, "cost").alias("cost"))
    return rows.with_outcomes(settled(told, made))


def holes(control: DataHoles, rows: Rows) -> Rows:
    """No outcomes on a share of the dates."""
    told = rows.told()
    gone = pl.Series(drawn(told, control.seed, control.kind, "as_of_date")) < control.share
    return rows.with_outcomes(told.filter(~gone))


def constant(control: ConstantReturns, rows: Rows) -> Rows:
    """Every return the value, without costs; of forecasts every score the same."""
    told = rows.told()
    if rows.earns:
        known = pl.col("return").is_not_null()
        made = told.with_columns(
            pl.when(known).then(control.value).alias("return"),
            pl.when(known).then(0.0).otherwise("cost").alias("cost"),
            pl.when(known).then(0.0).otherwise("drawdown").alias("drawdown"),
        )
        return rows.with_outcomes(settled(told, made))
    decisions = rows.decisions.with_columns(probability=pl.when(pl.col("probability").is_not_null()).then(0.5))
    same = rows.with_decisions(with_classes(decisions, lambda _, p: np.ones_like(p)))
    first = pl.when(pl.col("realised_class").is_not_null()).then(pl.col("classes").list.first())
    flat = pl.when(pl.col("loss").is_not_null()).then(0.0)
    return same.with_outcomes(settled(told, same.told().with_columns(realised_class=first, loss=flat)))


def identical(control: IdenticalStream, rows: Rows) -> Rows:
    """The rows themselves."""
    return rows


def varied(control: TrivialVariation, rows: Rows) -> Rows:
    """Returns, else forecasts, times 1 plus a normal number of the control's size."""
    if rows.earns:
        told = rows.told()
        z = pl.Series(normal(told, control.seed, control.kind, *_BOOK_DATE, "entity_id", "horizon"))
        made = told.with_columns((pl.col("return") * (1.0 + control.size * z)).alias("return"))
        return rows.with_outcomes(settled(told, made))
    tilt = control.size * normal(rows.decisions, control.seed, control.kind, *_BOOK_DATE, "entity_id")
    p = (pl.col("probability") * (1.0 + pl.Series(tilt))).clip(0.0, 1.0).round(DECIMALS)
    moved = with_classes(
        rows.decisions.with_columns(probability=p),
        lambda row, q: q * np.exp(tilt[row] * np.linspace(-0.5, 0.5, len(q))),
    )
    return rows.with_decisions(moved)


def favoured(control: PositiveEdge, rows: Rows) -> Rows:
    """Book returns plus a normal edge by market and date; without returns, outcomes nearer the forecast.

    Over h sessions the edge has h times the mean and the root of h times the deviation, drawn for each horizon anew. A
    book of nothing but zero weights has no edge either: no return would bring it anything.
    """
    told = rows.told()
    if not rows.earns:
        return rows.with_outcomes(settled(told, _befriended(control, told)))
    daily = control.information_ratio * control.noise / np.sqrt(DEFAULT_SESSIONS_PER_YEAR)
    horizon = told["horizon"].cast(pl.Float64).to_numpy()
    z = normal(told, control.seed, control.kind, *_BOOK_DATE, "horizon")
    edge = pl.Series(daily * horizon + control.noise * np.sqrt(horizon) * z)
    held = pl.col("weight").abs().sum().over(*_BOOK_DATE, "horizon", "recorded_at")
    per_unit = pl.when(held > 0.0).then(edge / held).otherwise(0.0)
    return rows.with_outcomes(settled(told, told.with_columns((pl.col("return") + per_unit).alias("return"))))


def _estranged(control: CostDrag, told: pl.DataFrame) -> pl.DataFrame:
    """Events farther from their probability, realised classes one farther from the label: where there is room."""
    p, y = pl.col("probability"), pl.col("event")
    distance = (p - y).abs() + control.worsening
    above, below = p + distance, p - distance
    own_side = pl.when(y >= p).then(above).otherwise(below)
    other_side = pl.when(y >= p).then(below).otherwise(above)
    farther = (
        pl.when(own_side.is_between(0.0, 1.0)).then(own_side).when(other_side.is_between(0.0, 1.0)).then(other_side)
    )
    classes = (told[name].to_list() for name in ("classes", "class_probabilities", "label", "realised_class"))
    worse = [_one_farther(*each) for each in zip(*classes, strict=True)]
    return told.with_columns(
        pl.coalesce(farther, "event").alias("event"), pl.Series("realised_class", worse, dtype=pl.String)
    )


def _one_farther(
    classes: list[str] | None, probabilities: list[float] | None, label: str | None, realised: str | None
) -> str | None:
    """The class next to the realised one, away from the label, if it was given a smaller chance still."""
    if not classes or not probabilities or label not in classes or realised not in classes:
        return realised
    called, came = classes.index(label), classes.index(realised)
    next_one = came + (1 if came > called or (came == called and called + 1 < len(classes)) else -1)
    worse = 0 <= next_one < len(classes) and probabilities[next_one] < probabilities[came]
    return classes[next_one] if worse else realised


def _befriended(control: PositiveEdge, told: pl.DataFrame) -> pl.DataFrame:
    """Events moved part of the way to their probability; the class called likeliest true on more dates."""
    z = normal(told, control.seed, control.kind, *_BOOK_DATE, "horizon")
    share = pl.Series(control.share * (1.0 + _FLIP_NOISE * z)).clip(-1.0, 1.0)
    moved = (pl.col("event") + share * (pl.col("probability") - pl.col("event"))).clip(0.0, 1.0)
    kind = pl.Series(drawn(told, control.seed, "positive_edge class", *_BOOK_DATE, "horizon") < control.share)
    listed = pl.col("classes").list.contains(pl.col("label")).fill_null(value=False)
    true_now = kind & listed & pl.col("realised_class").is_not_null()
    return told.with_columns(
        pl.coalesce(moved, "event").alias("event"),
        pl.when(true_now).then("label").otherwise("realised_class").alias("realised_class"),
    )
