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


def cagr(g: pl.Expr, basis: Basis) -> pl.Expr:
    """prod(1 + g) ^ (factor / n) - 1."""
    return (1.0 + g).product() ** (basis.factor / g.count()) - 1.0


def max_drawdown(g: pl.Expr, _: Basis) -> pl.Expr:
    """min over t of wealth(t) / highest wealth so far - 1, never above 0; -1 once everything is lost."""
    wealth = (1.0 + g).cum_prod()
    peak = wealth.cum_max().clip(lower_bound=1.0)
    return (wealth / peak - 1.0).nan_min().clip(-1.0, 0.0)


def is_ruined(g: pl.Expr, _: Basis) -> pl.Expr:
    """Wealth reached zero or less (also when it is too small for a float)."""
    return (g.min() <= -1.0) | ((1.0 + g).product() <= 0.0)


def _growth_by_fall(growth: pl.Expr, fall: pl.Expr) -> pl.Expr:
    return growth / fall.abs()


def _never_fell(fall: pl.Expr) -> pl.Expr:
    return fall == 0.0


calmar: Final = Composed((cagr, max_drawdown), _growth_by_fall)
"""CAGR / |max drawdown|."""

has_zero_drawdown: Final = Composed((max_drawdown,), _never_fell)
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
