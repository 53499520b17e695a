"""Metrics of compounded wealth. `g` is the return per session on evaluation dates (R/h at horizon h), in date order.

Wealth starts at 1, which is the first peak. A missing return stands still and takes no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kronos.core.metrics.metric import Basis, Composed, Floats, Numbers


def course(g: pl.Expr, _: Basis) -> pl.Expr:
    """A struct of wealth at the `end` and its `deepest` value over the highest so far, for 1 at the start.

    From one pass over a list: an aggregation would compound once for each time that wealth is named.
    """
    wealth = pl.element()
    peak = pl.max_horizontal(wealth.cum_max(), 1.0)
    found = pl.struct(end=wealth.drop_nulls().last(), deepest=(wealth / peak).nan_min())
    return (1.0 + g).cum_prod().implode().list.agg(found)


def share_of_year(g: pl.Expr, basis: Basis) -> pl.Expr:
    """factor / n: the part that a year is of the series."""
    return basis.factor / g.count()


def lowest(g: pl.Expr, _: Basis) -> pl.Expr:
    """The worst return."""
    return g.min()


def _growth(course: pl.Expr, share: pl.Expr) -> pl.Expr:
    return _end(course) ** share - 1.0


def _fall(course: pl.Expr) -> pl.Expr:
    return (course.struct.field("deepest") - 1.0).clip(-1.0, 0.0)


def _end(course: pl.Expr) -> pl.Expr:
    return course.struct.field("end")


def _growth_by_fall(course: pl.Expr, share: pl.Expr) -> pl.Expr:
    return _growth(course, share) / _fall(course).abs()


def _lost_all(lowest: pl.Expr, course: pl.Expr) -> pl.Expr:
    return (lowest <= -1.0) | (_end(course) <= 0.0)


def _never_fell(course: pl.Expr) -> pl.Expr:
    return _fall(course) == 0.0


cagr: Final = Composed((course, share_of_year), _growth)
"""prod(1 + g) ^ (factor / n) - 1."""

max_drawdown: Final = Composed((course,), _fall)
"""min over t of wealth(t) / highest wealth so far - 1, never above 0; -1 once everything is lost."""

calmar: Final = Composed((course, share_of_year), _growth_by_fall)
"""CAGR / |max drawdown|."""

is_ruined: Final = Composed((lowest, course), _lost_all)
"""Wealth reached zero or less (also when it is too small for a float)."""

has_zero_drawdown: Final = Composed((course,), _never_fell)
"""Wealth never fell below an earlier peak."""


def log_growth_influence(g: Floats, basis: Numbers) -> Floats:
    """factor x (log(1 + g) - mean): the influence on log(1 + CAGR)."""
    growth = np.log1p(g)
    return np.asarray(basis.factor * (growth - growth.mean()))


@dataclass(frozen=True)
class Drawdown:
    """Dates of the deepest drawdown. `peak` is None when the starting capital was the peak, `recovery` when not yet."""

    peak: date | None
    trough: date
    recovery: date | None


def drawdown_dates(dates: NDArray[np.datetime64], g: Floats) -> Drawdown | None:
    """Peak, trough and recovery of the deepest drawdown; None when wealth never fell. `g` holds no missing value."""
    if g.size == 0:
        return None
    wealth = np.cumprod(1.0 + g)
    peaks = np.maximum(np.maximum.accumulate(wealth), 1.0)
    trough = int(np.argmin(wealth / peaks))
    if not wealth[trough] < peaks[trough]:
        return None
    at_peak = np.flatnonzero(wealth[:trough] == peaks[trough])
    recovered = np.flatnonzero(wealth[trough:] >= peaks[trough])
    return Drawdown(
        peak=_day(dates[at_peak[-1]]) if at_peak.size else None,
        trough=_day(dates[trough]),
        recovery=_day(dates[trough + recovered[0]]) if recovered.size else None,
    )


def _day(moment: np.datetime64) -> date:
    found: date = moment.astype("datetime64[D]").item()
    return found
