"""From cells to daily series: what is measured, per slice and date, laid out on the dates of each book.

Sums run over rows in one canonical order, so the same cells give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kronos.core.metrics.hac import Ints
from kronos.core.metrics.metric import Floats
from kronos.core.reports.axis import Axis, Bools, Places, Window
from kronos.core.reports.evidence import READ, Evidence, rows_where, unplaced
from kronos.core.reports.groups import CUTS, GROUP, Cut, Grouping
from kronos.core.vocabulary import Cube, Dimension

DERIVED: Final = {"missing": ("due", "valid", -1.0), "hit_outcomes": ("hit_eligible", "hit_ties", 1.0)}
"""Measures made of two others: first + sign x second."""


@dataclass(frozen=True)
class Sums:
    """Daily measures of some slices: `measures[name][i, p]` is the sum for slice `groups[i]` on its book's date p.

    `books` counts the markets x configs with a due outcome. A measure that is zero everywhere is not held.
    """

    groups: Ints
    measures: dict[str, Floats]

    def daily(self, name: str) -> Floats:
        """A measure, shape (slices, dates)."""
        if name in DERIVED:
            first, second, sign = DERIVED[name]
            return self.daily(first) + sign * self.daily(second)
        held = self.measures.get(name)
        return np.zeros_like(self.measures["due"]) if held is None else held

    def total(self, name: str) -> Floats:
        """A measure's sum over the dates, per slice."""
        if name in self.measures or name in DERIVED:
            return np.asarray(self.daily(name).sum(axis=1))
        return np.zeros(self.groups.size)


@dataclass(frozen=True)
class Series:
    """What is measured. Frames are in order of group and position; positions count the dates of a book.

    moments: group, position, as_of_date, return, contribution. One row per date of the series, null where missing.
    wealth: group, position, date (of evaluation), growth.
    decisions: decisions of the window per group.
    """

    moments: pl.DataFrame
    wealth: pl.DataFrame
    decisions: dict[int, int]
    sums: list[Sums]


@dataclass(frozen=True)
class _Cells:
    """Rows of one cube with their codes, position of the date and share of capital.

    Cells of a config that earns nothing have no capital: `earning` is 0 and their share too.
    """

    frame: pl.DataFrame
    config: Ints
    label: Ints
    market: Ints
    position: Ints
    share: Floats
    earning: Floats


@dataclass(frozen=True)
class _Rows:
    """The cell of a (slices x dates) sheet that each row falls into."""

    groups: Ints
    books: Ints
    cell: Ints
    dates: int

    def add(self, values: NDArray[Any]) -> Floats:
        """Sum of values per slice and date, in row order."""
        sheet = np.bincount(self.cell, weights=values, minlength=self.groups.size * self.dates)
        return np.asarray(sheet.reshape(self.groups.size, self.dates), dtype=np.float64)


Columns = dict[str, NDArray[Any]]


def build_series(
    held: Evidence, axis: Axis, grouping: Grouping, window: Window, dimensions: Iterable[Dimension]
) -> Series:
    """The series of every slice of these dimensions."""
    chosen = sorted(dimensions, key=list(Dimension).index)
    cells = {cube: _cells(held, axis, cube, window) for cube in _cubes_of(chosen)}
    books = _Books.of(axis)
    moments, wealth, sums = [], [], []
    for dimension in chosen:
        cut = CUTS[dimension]
        mine = cells[cut.cube]
        groups = grouping.codes_of(dimension, mine.config, mine.label, mine.market)
        rows = _rows(groups, mine.position, axis.days.shape[1], grouping)
        daily = _sums(rows, mine.frame, cut, held.measures)
        by_decision, by_evaluation = (
            _conditional(rows, mine, daily, axis) if cut.conditional else books.returns(dimension, axis, grouping)
        )
        moments.append(by_decision)
        wealth.append(by_evaluation)
        sums.append(daily)
    returns = pl.col("return", "contribution").fill_nan(None)
    return Series(
        moments=_joined(moments, "as_of_date").with_columns(returns),
        wealth=_joined(wealth, "date").with_columns(pl.col("growth").fill_nan(None) / held.horizon),
        decisions=_decisions(held, window, grouping, chosen),
        sums=sums,
    )


def _cells(held: Evidence, axis: Axis, cube: Cube, window: Window) -> _Cells:
    """Outcome cells of one cube in the window."""
    frame = rows_where(held.outcomes[cube], window.known(held.newest), window.chosen())
    place = frame["place"].to_numpy()
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    found = np.searchsorted(axis.places.place, place[starts])
    config, market, _ = unplaced(place[starts])
    lengths = np.diff(np.append(starts, place.size))
    share = np.repeat(axis.places.share[found], lengths)
    return _Cells(
        frame,
        np.repeat(config, lengths),
        frame["slice"].to_physical().to_numpy().astype(np.int64),
        np.repeat(market, lengths),
        np.repeat(axis.places.position[found], lengths),
        np.nan_to_num(share),
        (~np.isnan(share)).astype(np.float64),
    )


def _rows(groups: Ints, number: Ints, dates: int, grouping: Grouping) -> _Rows:
    """Where each row falls: its slice among those that occur, and its date's number."""
    distinct, inverse = _distinct(groups)
    return _Rows(distinct, grouping.book_of(distinct), inverse * dates + number, dates)


def _distinct(codes: Ints) -> tuple[Ints, Ints]:
    """Rising distinct codes and each row's index among them; codes of one dimension are close together."""
    if codes.size == 0:
        return codes, codes
    low = int(codes.min())
    seen = np.bincount(codes - low) > 0
    index = np.cumsum(seen, dtype=np.int64) - 1
    return np.flatnonzero(seen).astype(np.int64) + low, index[codes - low]


def _sums(rows: _Rows, frame: pl.DataFrame, cut: Cut, measures: Iterable[str]) -> Sums:
    added = {name: rows.add(frame[name].to_numpy()) for name in measures}
    opens = rows.add(frame["slice_opens" if cut.conditional else "place_opens"].to_numpy())
    return Sums(rows.groups, added | {"books": np.where(added["due"] > 0.0, opens, 0.0)})


def _decisions(held: Evidence, window: Window, grouping: Grouping, dimensions: Iterable[Dimension]) -> dict[int, int]:
    """Decisions of the window per group."""
    counted: dict[int, int] = {}
    for cube, mine in _cubes_of(dimensions).items():
        made = rows_where(held.decisions[cube], window.known(held.newest), window.chosen())
        config, market, _ = unplaced(made["place"].to_numpy())
        label = made["slice"].to_physical().to_numpy().astype(np.int64)
        decisions = made["decisions"].to_numpy()
        for dimension in mine:
            groups, inverse = _distinct(grouping.codes_of(dimension, config, label, market))
            totals = np.bincount(inverse, weights=decisions)
            counted |= {int(group): int(total) for group, total in zip(groups, totals, strict=True)}
    return counted


def daily_decisions(
    held: Evidence, window: Window, grouping: Grouping, dimensions: Iterable[Dimension]
) -> pl.DataFrame:
    """Decisions of the window per group and date: group, as_of_date, decisions."""
    made = [
        held.decisions[CUTS[dimension].cube]
        .lazy()
        .filter(window.known(held.newest), window.chosen())
        .group_by(grouping.code(dimension), "as_of_date")
        .agg(pl.col("decisions").sum())
        for dimension in dimensions
    ]
    return pl.concat(made).collect()


def _cubes_of(dimensions: Iterable[Dimension]) -> dict[Cube, list[Dimension]]:
    found: dict[Cube, list[Dimension]] = {}
    for dimension in dimensions:
        found.setdefault(CUTS[dimension].cube, []).append(dimension)
    return found


def _conditional(rows: _Rows, cells: _Cells, daily: Sums, axis: Axis) -> tuple[Columns, Columns]:
    """Moments and wealth of sum(weight x return) / sum(weight) on the dates on which the slice occurs.

    The return is missing while a due outcome is, and where nothing was weighted. Contributions count on the dates on
    which the whole book has a return, so that they add up to it.
    """
    contribution = rows.add(cells.share * cells.frame["weighted_return"].to_numpy())
    exposure = rows.add(cells.share * cells.frame["weight_due"].to_numpy())
    complete = daily.daily("returns") == daily.daily("due")
    returns = np.full_like(contribution, np.nan)
    np.divide(contribution, exposure, out=returns, where=complete & (exposure > 0.0))
    occurs = (daily.daily("due") > 0.0) & (rows.add(cells.earning) > 0.0)
    contribution = np.where(axis.whole[rows.books], contribution, np.nan)
    moments = _at(rows, occurs, axis.days, "as_of_date", {"return": returns, "contribution": contribution})
    return moments, _at(rows, occurs, axis.evaluated, "date", {"growth": returns})


@dataclass(frozen=True)
class _Books:
    """Places of the books that earn, all of them and those with an evaluation date."""

    decided: Places
    evaluated: Places

    @classmethod
    def of(cls, axis: Axis) -> _Books:
        """From the axis."""
        earning = axis.places.only(~np.isnan(axis.places.share))
        return cls(earning, earning.only(earning.evaluation >= 0))

    def returns(self, dimension: Dimension, axis: Axis, grouping: Grouping) -> tuple[Columns, Columns]:
        """Moments and wealth of book returns, without dates that have not matured."""
        by_market = CUTS[dimension].by_market
        at = self.decided
        rows = _rows(_groups(at, dimension, grouping), at.position, axis.days.shape[1], grouping)
        contribution = np.where(axis.whole[rows.books], _shared_return(rows, at, at.share), np.nan)
        returns = _shared_return(rows, at, at.own if by_market else at.share)
        columns = {"return": returns, "contribution": contribution}
        moments = _at(rows, _matured(rows, at), axis.days, "as_of_date", columns)
        at = self.evaluated
        rows = _rows(_groups(at, dimension, grouping), at.evaluation, axis.evaluations.shape[1], grouping)
        growth = _shared_return(rows, at, at.own if by_market else at.share)
        return moments, _at(rows, _matured(rows, at), axis.evaluations, "date", {"growth": growth})


def _groups(at: Places, dimension: Dimension, grouping: Grouping) -> Ints:
    """The group of each place, in a dimension that does not cut by slice."""
    return grouping.codes_of(dimension, at.config, np.zeros_like(at.config), at.market)


def _shared_return(rows: _Rows, at: Places, share: Floats) -> Floats:
    """sum(share x return) per slice and date; NaN if any return is missing."""
    # what is missing makes its whole date NaN, and NaN survives every sum
    return rows.add(at.returns * share)


def _matured(rows: _Rows, at: Places) -> Bools:
    """Dates on which there are rows and all of them matured."""
    return np.asarray((rows.add(at.matured) > 0.0) & ~(rows.add(~at.matured) > 0.0))


def _at(rows: _Rows, occurs: Bools, days: NDArray[np.datetime64], day: str, values: dict[str, Floats]) -> Columns:
    """The dates that occur, in order of group and position."""
    cells = np.flatnonzero(occurs)
    at, position = np.divmod(cells, rows.dates) if rows.dates else (cells, cells)
    columns = {name: sheet.ravel()[cells] for name, sheet in values.items()}
    return {GROUP: rows.groups[at], "position": position, day: days[rows.books[at], position], **columns}


def _stacked(parts: list[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _joined(parts: list[Columns], day: str) -> pl.DataFrame:
    frame = pl.DataFrame(_stacked(parts))
    return frame.with_columns(pl.col(GROUP, "position").cast(pl.Int64), pl.col(day).cast(pl.Date))


def daily_frame(sums: Sums, axis: Axis, grouping: Grouping) -> pl.DataFrame:
    """Daily measures as rows, in order of group and date: group, as_of_date and every measure that metrics read."""
    at, position = np.nonzero(sums.daily("due"))
    columns = {name: sums.daily(name)[at, position] for name in sorted(READ | {"due", "valid"})}
    days = axis.days[grouping.book_of(sums.groups)[at], position]
    return pl.DataFrame(columns).with_columns(
        pl.Series(GROUP, sums.groups[at], dtype=pl.Int64), pl.Series("as_of_date", days).cast(pl.Date)
    )
