"""From cells to what is compared: a daily series per config and slice, of returns or of a score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from kronos.core.frames import Schema, empty
from kronos.core.metrics.metric import Column
from kronos.core.metrics.registry import RATIOS
from kronos.core.policy import ComparisonPolicy, ObservationPolicy
from kronos.core.reports.axis import Axis, Window, build_axis
from kronos.core.reports.comparison_model import OVERALL_SLICE
from kronos.core.reports.evidence import Evidence
from kronos.core.reports.groups import GROUP, Grouping, Slice
from kronos.core.reports.measure import Annualisation
from kronos.core.reports.performance import book_markets, observe, yearly_sessions
from kronos.core.reports.series import Series
from kronos.core.vocabulary import Dimension

SHARPE: Final = "sharpe"
DIMENSIONS: Final = (Dimension.OVERALL, Dimension.REGIME, Dimension.MARKET)
WINDOW: Final = "window"
WITHOUT: Final = "without"
"""Dimension of whole books with one market left out: `without:<market>`."""

COMPARED: Final[Schema] = {
    "config_id": pl.String,
    "slice": pl.String,  # OVERALL_SLICE or `<dimension>:<label>`
    "as_of_date": pl.Date,
    "value": pl.Float64,  # excess return, or mean score of the date (lower is better); null: due but missing
}
"""One row per config, slice and date of the config's series there."""


@dataclass(frozen=True)
class ComparedSeries:
    """What is compared: `metric` is SHARPE (rows hold returns) or a score's id (rows hold losses).

    rows: COMPARED. factors: returns a year in each of the incumbent's slices (A/h).
    """

    metric: str
    horizon: int
    rows: pl.DataFrame
    factors: dict[str, float]


def compared_series(
    held: Evidence, policy: ObservationPolicy, window: Window, incumbent: str, *, of_any: bool = False
) -> ComparedSeries | None:
    """Book returns (conditional returns in a regime) of all configs if the incumbent earns, else its first score.

    None when the incumbent has neither in the window. A dimension in which the incumbent (of_any: all configs together)
    has a single slice is left out: it is the book.
    """
    grouping = Grouping(held.codes, pooled=False)
    axis, series = observe(held, grouping, window, DIMENSIONS, policy)
    annualisation = yearly_sessions(held, axis, book_markets(axis, grouping), policy)
    earning = axis.spans.filter(pl.col("has_returns"), pl.col("config_id").cast(pl.String) == incumbent)
    if earning.height:
        metric, rows = SHARPE, _excess_returns(series, grouping, annualisation)
    else:
        metric, rows = _scores(series, axis, grouping, incumbent, policy.comparison)
    rows = _with_windows(rows, policy.comparison.window_years)
    if rows.filter(pl.col("config_id") == incumbent).is_empty():
        return None
    rows = _telling(rows, None if of_any else incumbent).select(
        pl.col(name).cast(dtype) for name, dtype in COMPARED.items()
    )
    return ComparedSeries(metric, held.horizon, rows, _factors(rows, incumbent, annualisation))


def score_series(
    held: Evidence, policy: ObservationPolicy, window: Window, incumbent: str
) -> tuple[str, pl.DataFrame] | None:
    """The first of the policy's scores that the incumbent has, whether or not it earns, with COMPARED rows of the book.

    None when it forecasts nothing in the window.
    """
    grouping = Grouping(held.codes, pooled=False)
    axis, series = observe(held, grouping, window, (Dimension.OVERALL,), policy)
    metric, rows = _scores(series, axis, grouping, incumbent, policy.comparison)
    if rows.filter(pl.col("config_id") == incumbent)["value"].count() == 0:
        return None
    return metric, rows.select(pl.col(name).cast(dtype) for name, dtype in COMPARED.items())


def without_each_market(
    held: Evidence, policy: ObservationPolicy, window: Window, incumbent: str, metric: str
) -> ComparedSeries:
    """The whole book of every config as it were without each market in turn, capital split over those that are left.

    metric: what is compared. A config without other markets has no rows there; none has any in a single market.
    """
    grouping, parts = Grouping(held.codes, pooled=False), [empty(COMPARED)]
    factors: dict[str, float] = {}
    for market in held.markets if len(held.markets) > 1 else ():
        rest = held.without_market(market)
        axis, series = observe(rest, grouping, window, (Dimension.OVERALL,), policy)
        annualisation = yearly_sessions(rest, axis, book_markets(axis, grouping), policy)
        if metric == SHARPE:
            rows = _excess_returns(series, grouping, annualisation)
        else:
            rows = pl.concat(list(_daily_means(series, axis, grouping, metric)))
        rows = rows.with_columns(slice=pl.lit(f"{WITHOUT}:{market}"))
        parts.append(rows.select(pl.col(name).cast(dtype) for name, dtype in COMPARED.items()))
        factors |= _factors(rows, incumbent, annualisation)
    return ComparedSeries(metric, held.horizon, pl.concat(parts), factors)


def traded_series(held: Evidence, policy: ObservationPolicy, window: Window, measure: str) -> pl.DataFrame:
    """`cost` or `turnover` of each date as a share of the whole book, of every config that earns, as COMPARED rows.

    Capital is split over the markets a config is active in, and sessions without a decision in between are completed,
    as for its returns: on such a session nothing is traded.
    """
    grouping = Grouping(held.codes, pooled=False)
    axis, series = observe(held, grouping, window, (Dimension.MARKET,), policy)
    traded = pl.concat(list(_market_sums(series, axis, grouping, measure)))
    keys = ["config_id", "market_id", "as_of_date"]
    places = axis.rows.select(pl.col(keys[:2]).cast(pl.String), "as_of_date", "share").with_columns(
        matured=pl.Series(axis.places.matured)
    )
    parts = places.filter(pl.col("share").is_not_null()).join(traded, on=keys, how="left", maintain_order="left")
    # what has matured without anything due is a session without a decision
    value = pl.coalesce(measure, pl.when("matured").then(0.0))
    known = parts.with_columns(value.alias(measure)).filter(pl.col(measure).is_not_null())
    book = known.group_by("config_id", "as_of_date", maintain_order=True)
    summed = book.agg((pl.col(measure) * pl.col("share")).sum().alias("value")).sort("config_id", "as_of_date")
    return summed.select("config_id", pl.lit(OVERALL_SLICE).alias("slice"), "as_of_date", "value")


def evaluation_dates(held: Evidence, policy: ObservationPolicy, window: Window) -> pl.DataFrame:
    """config_id, as_of_date and `evaluated`: when the last of what has matured of a config's date was known."""
    axis = build_axis(held, Grouping(held.codes, pooled=False), window, policy)
    rows = axis.rows.filter(pl.Series(axis.places.matured)).select(
        pl.col("config_id").cast(pl.String), "as_of_date", pl.col("due_date").alias("evaluated")
    )
    return rows.group_by("config_id", "as_of_date", maintain_order=True).agg(pl.col("evaluated").max())


def _market_sums(series: Series, axis: Axis, grouping: Grouping, measure: str) -> Iterator[pl.DataFrame]:
    """A sum of each config, market and date with something due, as a share of that market's book."""
    for sums in series.sums:
        at, position = np.nonzero(sums.daily("due"))
        slices = [grouping.slice_of(group) for group in sums.groups.tolist()]
        days = axis.days[grouping.book_of(sums.groups)[at], position]
        yield pl.DataFrame(
            {
                "config_id": pl.Series([one.book for one in slices], dtype=pl.String).gather(at),
                "market_id": pl.Series([one.label for one in slices], dtype=pl.String).gather(at),
                "as_of_date": pl.Series(days).cast(pl.Date),
                measure: sums.daily(measure)[at, position],
            }
        )


def slice_id(found: Slice) -> str:
    """The id of a slice within a comparison."""
    return OVERALL_SLICE if found.dimension is Dimension.OVERALL else f"{found.dimension.value}:{found.label}"


def _excess_returns(series: Series, grouping: Grouping, annualisation: Annualisation) -> pl.DataFrame:
    groups = series.moments[GROUP].unique().sort().to_list()
    slices = [grouping.slice_of(group) for group in groups]
    free = [annualisation.numbers(found, Column.RETURN).risk_free for found in slices]
    named = _named(slices, groups).with_columns(free=pl.Series(free, dtype=pl.Float64))
    rows = series.moments.join(named, on=GROUP, maintain_order="left")
    return rows.select("config_id", "slice", "as_of_date", (pl.col("return") - pl.col("free")).alias("value"))


def _scores(
    series: Series, axis: Axis, grouping: Grouping, incumbent: str, policy: ComparisonPolicy
) -> tuple[str, pl.DataFrame]:
    """The first score of the policy that the incumbent has, of all configs; the last one, empty, if it has none."""
    for score in policy.scores:
        rows = pl.concat(list(_daily_means(series, axis, grouping, score)))
        if rows.filter(pl.col("config_id") == incumbent)["value"].count():
            return score, rows
    return policy.scores[-1], rows.clear()


def _daily_means(series: Series, axis: Axis, grouping: Grouping, score: str) -> Iterator[pl.DataFrame]:
    """Mean of the day's forecasts, per slice and date with something due; null when nothing could be scored."""
    ratio = next(ratio for ratio in RATIOS if ratio.id == score)
    for sums in series.sums:
        at, position = np.nonzero(sums.daily("due"))
        total, count = (sums.daily(name)[at, position] for name in (ratio.numerator, ratio.denominator))
        days = axis.days[grouping.book_of(sums.groups)[at], position]
        frame = pl.DataFrame({GROUP: sums.groups[at], "total": total, "count": count}).with_columns(
            pl.Series("as_of_date", days).cast(pl.Date)
        )
        groups = sums.groups.tolist()
        named = _named([grouping.slice_of(group) for group in groups], groups)
        mean = pl.when(pl.col("count") > 0).then(pl.col("total") / pl.col("count")).alias("value")
        yield frame.join(named, on=GROUP, maintain_order="left").select("config_id", "slice", "as_of_date", mean)


def _named(slices: list[Slice], groups: list[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {GROUP: groups, "config_id": [one.book for one in slices], "slice": [slice_id(one) for one in slices]},
        schema={GROUP: pl.Int64, "config_id": pl.String, "slice": pl.String},
    )


def _with_windows(rows: pl.DataFrame, years: int) -> pl.DataFrame:
    """Rows of the whole book once more, by calendar years: windows start at multiples of their length."""
    first = pl.col("as_of_date").dt.year() // years * years
    label = first.cast(pl.String) if years == 1 else pl.format("{}-{}", first, first + years - 1)
    windows = rows.filter(pl.col("slice") == OVERALL_SLICE).with_columns(
        pl.format(f"{WINDOW}:{{}}", label).alias("slice")
    )
    return pl.concat([rows, windows])


def _telling(rows: pl.DataFrame, config_id: str | None) -> pl.DataFrame:
    """Without the dimensions in which the config (None: all of them) has one slice: that is the whole book again."""
    dimension = pl.col("slice").str.split(":").list.first()
    counted = rows if config_id is None else rows.filter(pl.col("config_id") == config_id)
    counts = counted.group_by(dimension.alias("dimension")).agg(pl.col("slice").n_unique())
    kept = counts.filter((pl.col("slice") > 1) | (pl.col("dimension") == OVERALL_SLICE))["dimension"]
    return rows.filter(dimension.is_in(kept.to_list()))


def _factors(rows: pl.DataFrame, incumbent: str, annualisation: Annualisation) -> dict[str, float]:
    slices = rows.filter(pl.col("config_id") == incumbent)["slice"].unique().sort().to_list()
    return {name: _sessions(name, incumbent, annualisation) / annualisation.horizon for name in slices}


def _sessions(name: str, incumbent: str, annualisation: Annualisation) -> float:
    dimension, _, label = name.partition(":")
    if dimension == Dimension.MARKET:
        return annualisation.market[(incumbent, label)]
    return annualisation.whole[incumbent]
