"""From cells to what is watched: a config's daily book return and daily mean score within a scope."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl

from kronos.core.metrics.metric import Column
from kronos.core.metrics.registry import RATIOS
from kronos.core.monitoring.model import Watched
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.axis import Axis, Window
from kronos.core.reports.evidence import Evidence
from kronos.core.reports.groups import Grouping, Slice
from kronos.core.reports.performance import book_markets, observe, yearly_sessions
from kronos.core.reports.series import Series
from kronos.core.stats.matrix import DateArray, FloatArray
from kronos.core.vocabulary import ALL, POOLED, Cube, Dimension

_DIMENSIONS: Final = (Dimension.OVERALL,)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, eq=False)
class Daily:
    """dates: datetime64[D] [n], rising decision dates. values: float64 [n]; NaN is due but missing."""

    dates: DateArray
    values: FloatArray

    @property
    def valid(self) -> Daily:
        """Without the missing dates."""
        keep = ~np.isnan(self.values)
        return Daily(self.dates[keep], self.values[keep])

    @property
    def coverage(self) -> float:
        """Share of the due dates that have a value; 0 without any."""
        return float(np.mean(~np.isnan(self.values))) if self.values.size else 0.0


@dataclass(frozen=True, eq=False)
class Record:
    """What a config did in a window: excess book returns, scores by id, returns a year, last decision date."""

    returns: Daily
    scores: dict[str, Daily]
    factor: float
    last_decision: date | None


EMPTY: Final = Daily(np.array([], dtype="datetime64[D]"), np.array([], dtype=np.float64))


def reference_record(held: Evidence, policy: ObservationPolicy, watched: Watched) -> Record:
    """Decisions before the monitored ones, with what was known of their outcomes on the day monitoring starts."""
    return record(held, policy, watched, Window(date.min, watched.monitored_from - _DAY, watched.monitored_from))


def monitored_record(held: Evidence, policy: ObservationPolicy, watched: Watched, as_of: date) -> Record:
    """Decisions from the start of monitoring on, as known by the date."""
    return record(held, policy, watched, Window(watched.monitored_from, as_of, as_of))


def record(held: Evidence, policy: ObservationPolicy, watched: Watched, window: Window) -> Record:
    """The config's series over the window, in the markets of its scope."""
    mine = _within(held, watched, window)
    if all(frame.is_empty() for frame in mine.decisions.values()):
        return Record(EMPTY, {}, 0.0, None)
    grouping = Grouping(mine.codes, pooled=False)
    axis, series = observe(mine, grouping, window, _DIMENSIONS, policy)
    annualisation = yearly_sessions(mine, axis, book_markets(axis, grouping), policy)
    numbers = annualisation.numbers(Slice(watched.config_id, Dimension.OVERALL, ALL), Column.RETURN)
    last = mine.decisions[Cube.REGIME].filter(window.chosen())["as_of_date"].max()
    scores = {score: _daily_score(series, axis, grouping, score) for score in policy.comparison.scores}
    return Record(
        returns=_daily_returns(series, numbers.risk_free),
        scores={score: found for score, found in scores.items() if found.valid.values.size},
        factor=numbers.factor,
        last_decision=last if isinstance(last, date) else None,
    )


def _within(held: Evidence, watched: Watched, window: Window) -> Evidence:
    """The evidence of the config in its scope's markets, as far as it was known."""
    market = pl.col("market_id").cast(pl.String)
    inside = ~market.is_in(list(watched.others)) if watched.scope == POOLED else market == watched.scope
    keep = inside & window.known(held.newest)
    mine = held.only(watched.config_id)
    return replace(
        mine,
        outcomes={cube: frame.filter(keep) for cube, frame in mine.outcomes.items()},
        decisions={cube: frame.filter(keep) for cube, frame in mine.decisions.items()},
    )


def _daily_returns(series: Series, risk_free: float) -> Daily:
    rows = series.moments.select("as_of_date", "return").drop_nulls("as_of_date")
    values = rows["return"].cast(pl.Float64).fill_null(float("nan")).to_numpy() - risk_free
    return Daily(rows["as_of_date"].to_numpy().astype("datetime64[D]"), values)


def _daily_score(series: Series, axis: Axis, grouping: Grouping, score: str) -> Daily:
    """Mean of each day's forecasts; a day without any valid outcome is missing, one without forecasts is no day."""
    ratio = next(ratio for ratio in RATIOS if ratio.id == score)
    (sums,) = series.sums
    if sums.groups.size == 0:
        return EMPTY
    total, count, due, valid = (sums.daily(name)[0] for name in (ratio.numerator, ratio.denominator, "due", "valid"))
    at = np.flatnonzero((due > 0) & ((count > 0) | (valid == 0)))
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(count > 0, total / count, np.nan)
    (book,) = grouping.book_of(sums.groups)
    return Daily(axis.days[book][at], values[at])
