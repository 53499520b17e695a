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
from kronos.core.reports.evidence import READ, Codes, Evidence, kinds_of, rows_within, unkind
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
class Labels:
    """The distinct (config, slice, market) of rows of one cube, and which of them each row has."""

    config: Ints
    label: Ints
    market: Ints
    of_row: Ints

    @classmethod
    def of(cls, kinds: Ints, codes: Codes) -> Labels:
        """From the kind of each row."""
        distinct, of_row = _distinct(kinds)
        config, market, label = unkind(distinct, codes)
        return cls(config, label, market, of_row)

    def groups(self, dimension: Dimension, grouping: Grouping) -> tuple[Ints, Ints]:
        """The groups of a dimension that occur, rising, and the index of each label's group among them."""
        return _distinct(grouping.codes_of(dimension, self.config, self.label, self.market))


@dataclass(frozen=True)
class _Cells:
    """Rows of one cube with their labels, position of the date and share of capital.

    Cells of a config that earns nothing have no capital: `earning` is 0 and their share too.
    """

    frame: pl.DataFrame
    labels: Labels
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


@dataclass(frozen=True)
class Part:
    """The dates on which slices occur: their cells in the sheets, how many each slice has, and what is held there."""

    rows: _Rows
    cells: Ints
    counts: Ints
    days: NDArray[np.datetime64]
    values: dict[str, Floats]

    def fill(self, group: Ints, position: Ints, day: Ints, values: dict[str, Floats]) -> None:
        """Write the columns in order of group and position."""
        group[:] = np.repeat(self.rows.groups, self.counts)
        np.subtract(self.cells, np.repeat(np.arange(self.counts.size) * self.rows.dates, self.counts), out=position)
        for name, sheet in self.values.items():
            np.take(sheet.ravel(), self.cells, out=values[name], mode="clip")
        books = np.repeat(self.rows.books * self.days.shape[1], self.counts)
        np.take(self.days.view(np.int64).ravel(), books + position, out=day, mode="clip")


def build_series(
    held: Evidence, axis: Axis, grouping: Grouping, window: Window, dimensions: Iterable[Dimension]
) -> Series:
    """The series of every slice of these dimensions."""
    chosen = sorted(dimensions, key=list(Dimension).index)
    cells = {cube: _cells(held, axis, cube, window) for cube in cubes_of(chosen)}
    books = _Books.of(axis)
    moments, wealth, sums = [], [], []
    for dimension in chosen:
        cut = CUTS[dimension]
        mine = cells[cut.cube]
        rows = _rows(mine.labels, dimension, mine.position, axis.days.shape[1], grouping)
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
    limits = window.known_days(held.newest) | window.chosen_days()
    read = ("place", "kind", *held.measures, "place_opens", "slice_opens")
    frame = rows_within(held.outcomes[cube].select(*read, *limits), limits)
    place = frame["place"].to_numpy()
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    found = np.searchsorted(axis.places.place, place[starts])
    lengths = np.diff(np.append(starts, place.size))
    share = np.repeat(axis.places.share[found], lengths)
    return _Cells(
        frame,
        Labels.of(frame["kind"].to_numpy(), held.codes),
        np.repeat(axis.places.position[found], lengths),
        np.nan_to_num(share),
        (~np.isnan(share)).astype(np.float64),
    )


def _rows(labels: Labels, dimension: Dimension, number: Ints, dates: int, grouping: Grouping) -> _Rows:
    """Where each row falls: its slice among those that occur, and its date's number."""
    groups, index = labels.groups(dimension, grouping)
    return _Rows(groups, grouping.book_of(groups), (index * dates)[labels.of_row] + number, dates)


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
    for cube, mine in cubes_of(dimensions).items():
        made = rows_within(held.decisions[cube], window.known_days(held.newest) | window.chosen_days())
        labels = Labels.of(made["kind"].to_numpy(), held.codes)
        decisions = np.bincount(labels.of_row, made["decisions"].to_numpy())
        for dimension in mine:
            groups, index = labels.groups(dimension, grouping)
            totals = np.bincount(index, decisions)
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


def cubes_of(dimensions: Iterable[Dimension]) -> dict[Cube, list[Dimension]]:
    found: dict[Cube, list[Dimension]] = {}
    for dimension in dimensions:
        found.setdefault(CUTS[dimension].cube, []).append(dimension)
    return found


def _conditional(rows: _Rows, cells: _Cells, daily: Sums, axis: Axis) -> tuple[Part, Part]:
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
    moments = _at(rows, occurs, axis.days, {"return": returns, "contribution": contribution})
    return moments, _at(rows, occurs, axis.evaluated, {"growth": returns})


@dataclass(frozen=True)
class _Books:
    """Places of the books that earn, all of them and those with an evaluation date, and their labels."""

    decided: Places
    evaluated: Places
    labels: tuple[Labels, Labels]

    @classmethod
    def of(cls, axis: Axis) -> _Books:
        """From the axis."""
        earning = axis.places.only(~np.isnan(axis.places.share))
        evaluated = earning.only(earning.evaluation >= 0)
        return cls(earning, evaluated, (_unsliced(earning, axis.codes), _unsliced(evaluated, axis.codes)))

    def returns(self, dimension: Dimension, axis: Axis, grouping: Grouping) -> tuple[Part, Part]:
        """Moments and wealth of book returns, without dates that have not matured."""
        by_market = CUTS[dimension].by_market
        at = self.decided
        rows = _rows(self.labels[0], dimension, at.position, axis.days.shape[1], grouping)
        contribution = np.where(axis.whole[rows.books], _shared_return(rows, at, at.share), np.nan)
        returns = _shared_return(rows, at, at.own if by_market else at.share)
        columns = {"return": returns, "contribution": contribution}
        moments = _at(rows, _matured(rows, at), axis.days, columns)
        at = self.evaluated
        rows = _rows(self.labels[1], dimension, at.evaluation, axis.evaluations.shape[1], grouping)
        growth = _shared_return(rows, at, at.own if by_market else at.share)
        return moments, _at(rows, _matured(rows, at), axis.evaluations, {"growth": growth})


def _unsliced(at: Places, codes: Codes) -> Labels:
    """Labels of places, for dimensions that do not cut by slice."""
    return Labels.of(kinds_of(at.config, at.market, codes), codes)


def _shared_return(rows: _Rows, at: Places, share: Floats) -> Floats:
    """sum(share x return) per slice and date; NaN if any return is missing."""
    # what is missing makes its whole date NaN, and NaN survives every sum
    return rows.add(at.returns * share)


def _matured(rows: _Rows, at: Places) -> Bools:
    """Dates on which there are rows and all of them matured."""
    return np.asarray((rows.add(at.matured) > 0.0) & ~(rows.add(~at.matured) > 0.0))


def _at(rows: _Rows, occurs: Bools, days: NDArray[np.datetime64], values: dict[str, Floats]) -> Part:
    """The dates that occur."""
    return Part(rows, np.flatnonzero(occurs), np.count_nonzero(occurs, axis=1), days, values)


def _joined(parts: list[Part], day: str) -> pl.DataFrame:
    """The dates of all parts, in order of group and position."""
    ends = np.cumsum([part.cells.size for part in parts])
    group, position, days = (np.empty(ends[-1], np.int64) for _ in range(3))
    values = {name: np.empty(ends[-1]) for name in parts[0].values}
    for part, end in zip(parts, ends, strict=True):
        at = slice(end - part.cells.size, end)
        part.fill(group[at], position[at], days[at], {name: column[at] for name, column in values.items()})
    dates = pl.Series(days.view("datetime64[D]")).cast(pl.Date)
    return pl.DataFrame({GROUP: group, "position": position, day: dates, **values})


def daily_frame(sums: Sums, axis: Axis, grouping: Grouping) -> pl.DataFrame:
    """Daily measures as rows, in order of group and date: group, as_of_date and every measure that metrics read."""
    at, position = np.nonzero(sums.daily("due"))
    columns = {name: sums.daily(name)[at, position] for name in sorted(READ | {"due", "valid"})}
    days = axis.days[grouping.book_of(sums.groups)[at], position]
    return pl.DataFrame(columns).with_columns(
        pl.Series(GROUP, sums.groups[at], dtype=pl.Int64), pl.Series("as_of_date", days).cast(pl.Date)
    )
