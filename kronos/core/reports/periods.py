"""Period summaries: one row per config, market and day, week or month of decisions."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import polars as pl

from kronos.core.frames import Schema
from kronos.core.metrics.registry import COUNTS, RATIOS, SERIES
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.axis import Axis, Window
from kronos.core.reports.evidence import Evidence
from kronos.core.reports.groups import GROUP, Grouping
from kronos.core.reports.performance import mixed_currencies, observe
from kronos.core.reports.series import Series, daily_decisions, daily_frame
from kronos.core.vocabulary import POOLED, Dimension


class Every(StrEnum):
    """Length of a period; weeks begin on Monday."""

    DAY = "1d"
    WEEK = "1w"
    MONTH = "1mo"


DIMENSIONS: Final = (Dimension.OVERALL, Dimension.MARKET)
_FROM_SERIES: Final = tuple(m for m in SERIES if m.id in {"avg_return", "contribution", "hit_rate_day", "zero_days"})
_FROM_SUMS: Final = (*COUNTS, *RATIOS)

PERIOD_SUMMARY: Final[Schema] = {
    "engine_name": pl.String,
    "config_id": pl.String,
    "market_id": pl.String,  # `*`: the whole book
    "mode": pl.String,
    "horizon": pl.Int32,
    "period_start": pl.Date,
    "decisions": pl.Int64,
    "due": pl.Int64,
    "valid": pl.Int64,
    "n": pl.Int64,  # dates with a book return
    "n_missing": pl.Int64,  # dates whose book return misses a due outcome
    **{metric.id: pl.Float64 for metric in (*_FROM_SERIES, *_FROM_SUMS)},
    "currency": pl.String,  # null: P&L of several currencies, withheld
}
"""One row per engine, config, market and period in which decisions were made or a book ran."""


def period_summary(held: Evidence, policy: ObservationPolicy, window: Window, every: Every) -> pl.DataFrame:
    """Summaries of the decisions of each period, for all configs of the evidence; null where nothing was observed."""
    grouping = Grouping(held.codes, pooled=False)
    axis, series = observe(held, grouping, window, DIMENSIONS, policy)
    period = pl.col("as_of_date").dt.truncate(every.value).alias("period_start")
    keys = [GROUP, "period_start"]
    table = _from_series(series, period)
    decided = _from_decisions(daily_decisions(held, window, grouping, DIMENSIONS), period)
    for part in (_from_sums(series, axis, grouping, period), decided):
        table = table.join(part, on=keys, how="full", coalesce=True)
    labelled = table.join(_labels(table, held, grouping, policy), on=GROUP)
    mixed = {found.book for found in mixed_currencies(held, grouping, window, (Dimension.OVERALL,), policy)}
    whole = (pl.col("market_id") == POOLED) & pl.col("config_id").is_in(list(mixed))
    withheld = [pl.when(~whole).then(name).alias(name) for name in ("pnl", "currency")]
    counted = pl.col("decisions", "due", "valid", "n", "n_missing").fill_null(0)
    shaped = labelled.with_columns(*withheld, counted).select(
        pl.col(name).cast(t) for name, t in PERIOD_SUMMARY.items()
    )
    return shaped.sort("config_id", "market_id", "period_start")


def _from_series(series: Series, period: pl.Expr) -> pl.DataFrame:
    returns = pl.col("return")
    metrics = [metric.expression(pl.col(metric.column.value)).alias(metric.id) for metric in _FROM_SERIES]
    grouped = series.moments.lazy().group_by(GROUP, period, maintain_order=True)
    return grouped.agg(*metrics, n=returns.count(), n_missing=returns.null_count()).collect()


def _from_sums(series: Series, axis: Axis, grouping: Grouping, period: pl.Expr) -> pl.DataFrame:
    metrics = [metric.expression().alias(metric.id) for metric in COUNTS]
    metrics += [metric.expression().alias(metric.id) for metric in RATIOS]
    daily = pl.concat([daily_frame(sums, axis, grouping) for sums in series.sums])
    grouped = daily.lazy().group_by(GROUP, period, maintain_order=True)
    return grouped.agg(*metrics, pl.col("due", "valid").sum()).collect()


def _from_decisions(decisions: pl.DataFrame, period: pl.Expr) -> pl.DataFrame:
    return decisions.group_by(GROUP, period).agg(pl.col("decisions").sum())


def _labels(table: pl.DataFrame, held: Evidence, grouping: Grouping, policy: ObservationPolicy) -> pl.DataFrame:
    """Names of each group."""
    rows = []
    for group in table[GROUP].unique().sort():
        found = grouping.slice_of(group)
        market = found.market or _only_market(held)
        currency = policy.market(market).currency if market else None
        rows.append((group, held.engine_name, found.book, found.market or POOLED, held.mode, held.horizon, currency))
    names = ("engine_name", "config_id", "market_id", "mode", "horizon", "currency")
    return pl.DataFrame(rows, schema={GROUP: pl.Int64} | {n: PERIOD_SUMMARY[n] for n in names}, orient="row")


def _only_market(held: Evidence) -> str | None:
    """Some market of the evidence: P&L of several currencies is withheld elsewhere."""
    markets = held.codes["market_id"].categories
    return str(markets[0]) if len(markets) else None
