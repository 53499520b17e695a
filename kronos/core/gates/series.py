"""From the cells of a backtest, or of what happened, to the series that the gates compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl

from kronos.core.policy import ObservationPolicy
from kronos.core.reports.axis import Window
from kronos.core.reports.comparison_gaps import Daily
from kronos.core.reports.comparison_model import OVERALL_SLICE
from kronos.core.reports.comparison_pairs import Slices, daily_slices
from kronos.core.reports.comparison_series import (
    SHARPE,
    compared_series,
    evaluation_dates,
    score_series,
    traded_series,
    without_each_market,
)
from kronos.core.reports.evidence import Evidence
from kronos.core.stats.matrix import DateArray


@dataclass(frozen=True, eq=False)
class GateSeries:
    """Series of every config of a record, by config; see `GateEvidence` for what each is.

    turnover: of each session, as a share of the book; 0 where nothing was decided.
    evaluated: by config_id and as_of_date when what came of that date's decisions was known.
    """

    metric: str
    horizon: int
    series: Mapping[str, Slices]
    factors: Mapping[str, float]
    wealth: Mapping[str, Slices]
    costs: Mapping[str, Daily]
    scores: Mapping[str, Daily]
    score_metric: str
    evaluated: pl.DataFrame
    turnover: Mapping[str, Daily] = field(default_factory=dict)

    def judged_until(self, config_id: str, incumbent: str) -> date | None:
        """When the outcomes of the last date on which both have a value were known; None without such a date.

        Of the two the earlier: at a horizon of h sessions about h sessions after the decisions.
        """
        last = last_judged(self.series, config_id, incumbent)
        if last is None:
            return None
        of_both = pl.col("config_id").is_in([config_id, incumbent]) & (pl.col("as_of_date") == last)
        known: date | None = self.evaluated.filter(of_both).select(pl.col("evaluated").min()).item()
        return known


def gate_series(
    held: Evidence, at_one: Evidence, policy: ObservationPolicy, window: Window, incumbent: str
) -> GateSeries | None:
    """None when the incumbent neither earns nor forecasts in the window. at_one: the same record at horizon 1.

    Gates on wealth use horizon 1, whatever the engine's primary horizon is. Slices that only another config has are
    there too: losses in them count. So are whole books with one market left out.
    """
    compared = compared_series(held, policy, window, incumbent, of_any=True)
    if compared is None:
        return None
    rest = without_each_market(held, policy, window, incumbent, compared.metric)
    series, factors = daily_slices(pl.concat([compared.rows, rest.rows])), {**compared.factors, **rest.factors}
    evaluated = evaluation_dates(held, policy, window)
    if compared.metric != SHARPE:
        return GateSeries(compared.metric, held.horizon, series, factors, {}, {}, {}, "", evaluated)
    single = compared if held.horizon == 1 else compared_series(at_one, policy, window, incumbent, of_any=True)
    scored = score_series(held, policy, window, incumbent)
    return GateSeries(
        metric=compared.metric,
        horizon=held.horizon,
        series=series,
        factors=factors,
        wealth={} if single is None or single.metric != SHARPE else daily_slices(single.rows),
        costs=whole_books(daily_slices(traded_series(held, policy, window, "cost"))),
        scores={} if scored is None else whole_books(daily_slices(scored[1])),
        score_metric="" if scored is None else scored[0],
        evaluated=evaluated,
        turnover=whole_books(daily_slices(traded_series(held, policy, window, "turnover"))),
    )


def last_judged(series: Mapping[str, Slices], config_id: str, incumbent: str) -> date | None:
    """The last date on which both have a value of their book; None without one. A date that is only due proves nothing.

    series: by config and slice.
    """
    shared = _shared(series, config_id, incumbent)
    return _date(shared[-1]) if shared.size else None


def turnover_a_session(found: GateSeries, config_id: str, incumbent: str) -> dict[str, float]:
    """Mean turnover of each of the two over the sessions on which both books have a value; empty without one.

    A session without a decision trades nothing: who decides once a week trades in that week what it trades then.
    """
    shared = _shared(found.series, config_id, incumbent)
    traded = {name: found.turnover[name] for name in (config_id, incumbent) if name in found.turnover}
    return {
        name: float(daily.values[np.isin(daily.days, shared)].sum()) / shared.size
        for name, daily in traded.items()
        if shared.size
    }


def _shared(series: Mapping[str, Slices], *config_ids: str) -> DateArray:
    """Dates on which the books of two configs have a value."""
    mine, theirs = (series.get(name, {}).get(OVERALL_SLICE) for name in config_ids)
    if mine is None or theirs is None:
        return np.zeros(0, dtype="datetime64[D]")
    known = [one.days[np.isfinite(one.values)] for one in (mine, theirs)]
    return np.intersect1d(known[0], known[1], assume_unique=True)


def first_due(series: Mapping[str, Slices], config_id: str) -> date | None:
    """The first date of a config's book; None without one. series: by config and slice."""
    book = series.get(config_id, {}).get(OVERALL_SLICE)
    return None if book is None or not book.days.size else _date(book.days[0])


def whole_books(slices: Mapping[str, Slices]) -> dict[str, Daily]:
    """The overall series of each config that has one."""
    return {name: found[OVERALL_SLICE] for name, found in slices.items() if OVERALL_SLICE in found}


def _date(day: np.datetime64) -> date:
    found: date = day.astype("datetime64[D]").item()
    return found
