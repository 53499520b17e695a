"""Controls of how much is held, and of what: leverage, forbidden names, exposure that grows with losses."""

from __future__ import annotations

import polars as pl

from kronos.core.controls.forecasts import sharpened
from kronos.core.controls.model import (
    BlacklistIgnored,
    BrokenRiskAversion,
    ExcessiveLeverage,
    LeveredIncumbent,
    LiquidityIgnored,
)
from kronos.core.controls.rows import Rows, drawn, require_weights, settled

_BOOK_DATE = ("market_id", "as_of_date")


def misplaced(control: BlacklistIgnored | LiquidityIgnored, rows: Rows) -> Rows:
    """The first decision, by a draw, of a share of each market's dates is about a name that should not be held."""
    require_weights(rows, control.kind)
    decisions = rows.decisions.with_columns(
        pl.Series("_date", drawn(rows.decisions, control.seed, control.kind, *_BOOK_DATE)),
        pl.Series("_place", drawn(rows.decisions, control.seed, f"{control.kind} place", *_BOOK_DATE, "entity_id")),
    )
    first = pl.col("_place") == pl.col("_place").min().over(*_BOOK_DATE)
    chosen = (pl.col("_date") < control.share) & first
    entity = pl.when(chosen).then(pl.lit(control.entity)).otherwise("entity_id").alias("entity_id")
    return rows.with_decisions(decisions.with_columns(entity))


def levered(control: ExcessiveLeverage | LeveredIncumbent, rows: Rows) -> Rows:
    """Weights, and with them costs, turnover and P&L, times the factor; violations stay as the engine reports them."""
    require_weights(rows, control.kind)
    return _exposed(rows, pl.Series("_exposure", [control.factor] * rows.decisions.height, dtype=pl.Float64))


def averse_no_more(control: BrokenRiskAversion, rows: Rows) -> Rows:
    """Exposure that grows as the book falls below its high, from what had come by the decision's own date."""
    if not rows.earns:
        made = rows.with_decisions(sharpened(rows.decisions, control.sharpness))
        return made.with_outcomes(settled(rows.told(), made.told()))
    keys = rows.decisions.select(*_BOOK_DATE)
    exposure = keys.join(_exposures(control, rows), on=[*_BOOK_DATE], how="left", maintain_order="left")["_exposure"]
    return _slipped(control, _exposed(rows, exposure.fill_null(1.0)), exposure.fill_null(1.0))


def _exposures(control: BrokenRiskAversion, rows: Rows) -> pl.DataFrame:
    """Of each market and date, from the book's returns at the shortest horizon."""
    told = rows.told().filter(pl.col("valid"))
    shortest = told.filter(pl.col("horizon") == pl.col("horizon").min())
    books = shortest.group_by(*_BOOK_DATE).agg(
        came=(pl.col("weight") * pl.col("return")).sort_by("decision_id").sum(), known=pl.col("eval_date").max()
    )
    days = rows.decisions.select(*_BOOK_DATE).unique().join(books, on=[*_BOOK_DATE], how="left").sort(*_BOOK_DATE)
    # what the session before decided is known only if it was evaluated by now
    before = pl.when(pl.col("known").shift(1) <= pl.col("as_of_date")).then(pl.col("came").shift(1)).fill_null(0.0)
    days = days.with_columns(before.over("market_id").alias("_before"))
    lost = [_below_high(part, control.window) for part in days.partition_by("market_id", maintain_order=True)]
    full = (pl.col("_lost") / control.depth).clip(0.0, 1.0)
    return pl.concat([days.clear().with_columns(_lost=pl.lit(0.0)), *lost]).select(
        *_BOOK_DATE, (1.0 + (control.exposure - 1.0) * full).round(6).alias("_exposure")
    )


def _below_high(days: pl.DataFrame, window: int) -> pl.DataFrame:
    """What a market's book has lost since its high of the last `window` sessions, from those sessions alone."""
    came = days["_before"].to_list()
    lost = []
    for end in range(1, len(came) + 1):
        level = high = 0.0
        for value in came[max(0, end - window) : end]:
            level += value
            high = max(high, level)
        lost.append(high - level)
    return days.with_columns(pl.Series("_lost", lost, dtype=pl.Float64))


def _slipped(control: BrokenRiskAversion, rows: Rows, exposure: pl.Series) -> Rows:
    """What the added weight costs per session, per unit of the weight that is held then."""
    told = rows.told(exposure.alias("_exposure"))
    added = control.slippage * (1.0 - 1.0 / pl.col("_exposure")) * pl.col("horizon")
    return rows.with_outcomes(
        settled(
            told,
            told.with_columns(
                (pl.col("return") - added).alias("return"), cost=pl.col("cost") + added * pl.col("weight")
            ),
        )
    )


def _exposed(rows: Rows, exposure: pl.Series) -> Rows:
    """Weights times the exposure; per unit of weight costs and returns stay."""
    exposure = exposure.alias("_exposure")
    decisions = (
        rows.weighted().with_columns(exposure).with_columns(weight=(pl.col("weight") * pl.col("_exposure")).round(10))
    )
    told = rows.told(exposure)
    scaled = [pl.col(name) * pl.col("_exposure") for name in ("pnl", "cost", "turnover")]
    return rows.with_decisions(decisions).with_outcomes(told.with_columns(scaled))
