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

from kronos.core.metrics.metric import Floats
from kronos.core.reports.axis import Axis, Window
from kronos.core.reports.evidence import READ, Evidence
from kronos.core.reports.groups import CUTS, GROUP, Cut, Grouping
from kronos.core.vocabulary import Cube, Dimension

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

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
class _Rows:
    """Rows with the cell of a (slices x dates) sheet that each of them falls into."""

    frame: pl.DataFrame
    groups: Ints
    books: Ints
    cell: Ints
    dates: int

    def add(self, values: NDArray[Any]) -> Floats:
        """Sum of values per slice and date, in row order."""
        sheet = np.bincount(self.cell, weights=values, minlength=self.groups.size * self.dates)
        return np.asarray(sheet.reshape(self.groups.size, self.dates), dtype=np.float64)

    def sum(self, name: str) -> Floats:
        """Sum of a column per slice and date."""
        return self.add(self.frame[name].to_numpy())


Columns = dict[str, NDArray[Any]]


def build_series(
    held: Evidence, axis: Axis, grouping: Grouping, window: Window, dimensions: Iterable[Dimension]
) -> Series:
    """The series of every slice of these dimensions."""
    chosen = sorted(dimensions, key=list(Dimension).index)
    cells = {
        cube: _shared(held, axis, cube, window, grouping.columns(mine)) for cube, mine in _cubes_of(chosen).items()
    }
    books = _Books.of(axis, grouping, chosen)
    moments, wealth, sums = [], [], []
    for dimension in chosen:
        cut = CUTS[dimension]
        rows = _rows(cells[cut.cube], dimension, "position", axis.days.shape[1], grouping)
        daily = _sums(rows, cut, held.measures)
        by_decision, by_evaluation = (
            _conditional(rows, daily, axis) if cut.conditional else books.returns(dimension, axis, grouping)
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


def _shared(held: Evidence, axis: Axis, cube: Cube, window: Window, groups: list[pl.Expr]) -> pl.DataFrame:
    """Outcome cells of one cube in the window with groups, position of the date and share of capital.

    Cells of a config that earns nothing have no capital: `earning` is 0 and their share too.
    """
    cells = held.outcomes[cube].lazy().filter(window.known(held.newest), window.chosen())
    places = axis.rows.lazy().select("place", "position", "share")
    earning = pl.col("share").is_not_null().cast(pl.Float64).alias("earning")
    placed = cells.join(places, on="place", maintain_order="left").with_columns(*groups, earning)
    return placed.with_columns(pl.col("share").fill_null(0.0)).collect()


def _rows(frame: pl.DataFrame, dimension: Dimension, number: str, dates: int, grouping: Grouping) -> _Rows:
    """Where each row falls: its slice among those that occur, and its date's number."""
    groups, inverse = _distinct(frame[dimension.value].to_numpy())
    return _Rows(frame, groups, grouping.book_of(groups), inverse * dates + frame[number].to_numpy(), dates)


def _distinct(codes: Ints) -> tuple[Ints, Ints]:
    """Rising distinct codes and each row's index among them; codes of one dimension are close together."""
    if codes.size == 0:
        return codes, codes
    low = int(codes.min())
    seen = np.bincount(codes - low) > 0
    index = np.cumsum(seen, dtype=np.int64) - 1
    return np.flatnonzero(seen).astype(np.int64) + low, index[codes - low]


def _sums(rows: _Rows, cut: Cut, measures: Iterable[str]) -> Sums:
    added = {name: rows.sum(name) for name in measures}
    opens = rows.sum("slice_opens" if cut.conditional else "place_opens")
    return Sums(rows.groups, added | {"books": np.where(added["due"] > 0.0, opens, 0.0)})


def _decisions(held: Evidence, window: Window, grouping: Grouping, dimensions: Iterable[Dimension]) -> dict[int, int]:
    """Decisions of the window per group."""
    counted: dict[int, int] = {}
    for cube, mine in _cubes_of(dimensions).items():
        made = held.decisions[cube].lazy().filter(window.known(held.newest), window.chosen())
        frame = made.select("decisions", *grouping.columns(mine)).collect()
        for dimension in mine:
            groups, inverse = _distinct(frame[dimension.value].to_numpy())
            totals = np.bincount(inverse, weights=frame["decisions"].to_numpy())
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


def _conditional(rows: _Rows, daily: Sums, axis: Axis) -> tuple[Columns, Columns]:
    """Moments and wealth of sum(weight x return) / sum(weight) on the dates on which the slice occurs.

    The return is missing while a due outcome is, and where nothing was weighted. Contributions count on the dates on
    which the whole book has a return, so that they add up to it.
    """
    share = rows.frame["share"].to_numpy()
    contribution = rows.add(share * rows.frame["weighted_return"].to_numpy())
    exposure = rows.add(share * rows.frame["weight_due"].to_numpy())
    complete = daily.daily("returns") == daily.daily("due")
    returns = np.full_like(contribution, np.nan)
    np.divide(contribution, exposure, out=returns, where=complete & (exposure > 0.0))
    occurs = (daily.daily("due") > 0.0) & (rows.sum("earning") > 0.0)
    contribution = np.where(axis.whole[rows.books], contribution, np.nan)
    moments = _at(rows, occurs, axis.days, "as_of_date", {"return": returns, "contribution": contribution})
    return moments, _at(rows, occurs, axis.evaluated, "date", {"growth": returns})


@dataclass(frozen=True)
class _Books:
    """Dates of the books that earn, by decision and by evaluation."""

    decided: pl.DataFrame
    evaluated: pl.DataFrame

    @classmethod
    def of(cls, axis: Axis, grouping: Grouping, dimensions: Iterable[Dimension]) -> _Books:
        """From the axis, with the groups of the dimensions."""
        groups = grouping.columns(dimension for dimension in dimensions if not CUTS[dimension].conditional)
        earning = axis.rows.filter(pl.col("share").is_not_null()).with_columns(groups)
        return cls(earning, earning.filter(pl.col("evaluation").is_not_null()))

    def returns(self, dimension: Dimension, axis: Axis, grouping: Grouping) -> tuple[Columns, Columns]:
        """Moments and wealth of book returns, without dates that have not matured."""
        share = "own" if CUTS[dimension].by_market else "share"
        rows = _rows(self.decided, dimension, "position", axis.days.shape[1], grouping)
        contribution = np.where(axis.whole[rows.books], _shared_return(rows, "share"), np.nan)
        columns = {"return": _shared_return(rows, share), "contribution": contribution}
        moments = _at(rows, _matured(rows), axis.days, "as_of_date", columns)
        rows = _rows(self.evaluated, dimension, "evaluation", axis.evaluations.shape[1], grouping)
        return moments, _at(rows, _matured(rows), axis.evaluations, "date", {"growth": _shared_return(rows, share)})


def _shared_return(rows: _Rows, share: str) -> Floats:
    """sum(share x return) per slice and date; NaN if any return is missing."""
    returns = rows.frame["return"].to_numpy()
    added = rows.add(np.nan_to_num(returns) * rows.frame[share].to_numpy())
    return np.where(rows.add(np.isnan(returns)) > 0.0, np.nan, added)


def _matured(rows: _Rows) -> Bools:
    """Dates on which there are rows and all of them matured."""
    matured = rows.frame["matured"].to_numpy()
    return np.asarray((rows.add(matured) > 0.0) & ~(rows.add(~matured) > 0.0))


def _at(rows: _Rows, occurs: Bools, days: NDArray[np.datetime64], day: str, values: dict[str, Floats]) -> Columns:
    """The dates that occur, in order of group and position."""
    at, position = np.nonzero(occurs)
    columns = {name: sheet[at, position] for name, sheet in values.items()}
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
