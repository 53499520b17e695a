"""The wealth of a book on its evaluation dates, and the times it spent below an earlier peak."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kronos.core.metrics.metric import Floats


@dataclass(frozen=True)
class WealthPath:
    """Wealth of a book that starts with 1.

    dates: evaluation dates with a return, rising. growth: of each date (return / horizon). wealth: after each date.
    missing: evaluation dates without a book return. ruined_on: the date wealth reached zero, the last of `dates`.
    """

    dates: NDArray[np.datetime64]
    growth: Floats
    wealth: Floats
    missing: tuple[date, ...] = ()
    ruined_on: date | None = None

    @property
    def before(self) -> Floats:
        """Wealth before each date."""
        return np.concatenate([[1.0], self.wealth[:-1]]) if self.wealth.size else self.wealth

    @property
    def total_return(self) -> float:
        """Compounded return of all dates, 0 without any."""
        return float(self.wealth[-1] - 1.0) if self.wealth.size else 0.0

    def day(self, index: int) -> date:
        """A date by its index."""
        found: Any = self.dates[index].astype("datetime64[D]").astype(object)
        return found  # type: ignore[no-any-return]  # numpy gives a date


@dataclass(frozen=True)
class Fall:
    """One time below a peak, as indices into the path. peak is -1 where the starting capital was it."""

    peak: int
    trough: int
    recovery: int | None
    depth: float


def wealth_path(wealth: pl.DataFrame) -> WealthPath:
    """The path of the one book in `wealth` (date, growth; null growth is missing), ended where everything is lost."""
    ordered = wealth.sort("date")
    seen = ordered.filter(pl.col("growth").is_not_null())
    growth = seen["growth"].to_numpy()
    levels: Floats = np.cumprod(1.0 + growth, dtype=np.float64)
    ruined = np.flatnonzero(levels <= 0.0)
    end = int(ruined[0]) + 1 if ruined.size else growth.size
    missing = ordered.filter(pl.col("growth").is_null())["date"].to_list()
    ruined_on = seen["date"][end - 1] if ruined.size else None
    return WealthPath(seen["date"].to_numpy()[:end], growth[:end], levels[:end], tuple(missing), ruined_on)


def deepest_falls(path: WealthPath, count: int) -> list[Fall]:
    """The `count` deepest falls, deepest first, of equal ones the earlier; each peak to recovery is one fall."""
    peaks = np.maximum(np.maximum.accumulate(path.wealth), 1.0) if path.wealth.size else path.wealth
    below = np.concatenate([[False], path.wealth < peaks, [False]])
    edges = np.flatnonzero(np.diff(below.astype(np.int8)))
    falls = [_fall(path.wealth, peaks, int(start), int(end)) for start, end in edges.reshape(-1, 2)]
    return sorted(falls, key=lambda fall: (fall.depth, fall.peak))[:count]


def _fall(wealth: Floats, peaks: Floats, start: int, end: int) -> Fall:
    trough = start + int(np.argmin(wealth[start:end]))
    recovery = end if end < wealth.size else None
    return Fall(start - 1, trough, recovery, float(wealth[trough] / peaks[trough] - 1.0))
