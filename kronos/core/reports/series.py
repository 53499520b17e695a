"""From cells to daily series: what is measured, one row per slice and date, all dimensions in one frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import polars as pl

from kronos.core.fixed_point import from_fixed, to_fixed
from kronos.core.frames import CELL_MEASURES
from kronos.core.reports.axis import Axis, Window
from kronos.core.reports.evidence import Evidence
from kronos.core.reports.groups import CUTS, GROUP, Cut, Grouping
from kronos.core.vocabulary import Cube, Dimension

DERIVED: Final = {
    "missing": pl.col("due") - pl.col("valid"),
    "hit_outcomes": pl.col("hit_eligible") + pl.col("hit_ties"),
}


@dataclass(frozen=True)
class Series:
    """Rows in order of group and position; positions count the dates of a book.

    moments: group, position, as_of_date, return, contribution. One row per date of the series, null where missing.
    wealth: group, position, date (of evaluation), growth.
    daily: group, position, as_of_date, the summed measures and `books` (markets x configs with a due outcome).
    decisions: group, as_of_date, decisions.
    """

    moments: pl.DataFrame
    wealth: pl.DataFrame
    daily: pl.DataFrame
    decisions: pl.DataFrame


def build_series(
    held: Evidence, axis: Axis, grouping: Grouping, window: Window, dimensions: Iterable[Dimension]
) -> Series:
    """The series of every slice of these dimensions."""
    shared = {cube: _shared(held, axis, cube, window) for cube in {CUTS[dimension].cube for dimension in dimensions}}
    moments, wealth, daily, decisions = [], [], [], []
    for dimension in dimensions:
        cut, group = CUTS[dimension], grouping.code(dimension)
        sums = _daily(shared[cut.cube], group, cut, held.measures)
        daily.append(sums.select(GROUP, "position", "as_of_date", *held.measures, "books"))
        decisions.append(_decisions(held, group, cut.cube, window))
        if cut.conditional:
            moments.append(_conditional_moments(sums))
            wealth.append(_conditional_wealth(sums, held.horizon))
        else:
            moments.append(_book_moments(axis, group, cut))
            wealth.append(_book_wealth(axis, group, cut, held.horizon))
    made = pl.collect_all([pl.concat(frames).sort(GROUP, "position") for frames in (moments, wealth, daily)])
    counted = pl.concat(decisions).sort(GROUP, "as_of_date").collect()
    return Series(made[0], made[1], with_all_measures(made[2]), counted)


def exact_sums(names: Iterable[str]) -> list[pl.Expr]:
    """Sums of cell measures that do not depend on the order of rows."""
    return [
        _exact(pl.col(name)).alias(name) if CELL_MEASURES[name] == pl.Float64 else pl.col(name).sum() for name in names
    ]


def exact_totals(names: Iterable[str]) -> list[pl.Expr]:
    """Sums of float columns that do not depend on the order of rows."""
    return [_exact(pl.col(name)).alias(name) for name in names]


def with_all_measures(daily: pl.DataFrame) -> pl.DataFrame:
    """Add the measures that are zero everywhere, and those derived from others."""
    absent = [pl.lit(0).cast(dtype).alias(name) for name, dtype in CELL_MEASURES.items() if name not in daily.columns]
    return daily.with_columns(*absent).with_columns(**DERIVED)


def _exact(value: pl.Expr) -> pl.Expr:
    return from_fixed(to_fixed(value).sum())


def _shared(held: Evidence, axis: Axis, cube: Cube, window: Window) -> pl.LazyFrame:
    """Outcome cells of one cube in the window, each with its date's position and share of capital."""
    cells = held.outcomes[cube].lazy().filter(window.known(held.newest), window.chosen())
    places = axis.rows.lazy().select("place", "position", "share", "whole")
    return cells.join(places, on="place").collect().lazy()


def _daily(shared: pl.LazyFrame, group: pl.Expr, cut: Cut, measures: Iterable[str]) -> pl.LazyFrame:
    """Measures per group and date, with the slice's part of the book return and of its exposure."""
    decided = pl.col("due") > 0
    once = pl.lit(True) if cut.conditional else pl.struct("place", decided).is_first_distinct()
    return (
        shared.with_columns(group, books=(decided & once).cast(pl.Int64))
        .group_by(GROUP, "position")
        .agg(
            *exact_sums(measures),
            pl.col("as_of_date").first(),
            pl.col("books").sum(),
            pl.col("whole").first(),
            evaluated=pl.when(pl.col("due") != 0).then("eval_date").max(),
            part=_exact(pl.col("share") * pl.col("weighted_return")),
            exposure=_exact(pl.col("share") * pl.col("weight_due")),
        )
    )


def _decisions(held: Evidence, group: pl.Expr, cube: Cube, window: Window) -> pl.LazyFrame:
    made = held.decisions[cube].lazy().filter(window.known(held.newest), window.chosen())
    return made.group_by(group, "as_of_date").agg(pl.col("decisions").sum())


def _conditional_return() -> pl.Expr:
    """sum(weight x return) / sum(weight); null while a due outcome is missing, and where nothing was weighted."""
    return pl.when((pl.col("returns") == pl.col("due")) & (pl.col("exposure") > 0)).then(
        pl.col("part") / pl.col("exposure")
    )


def _conditional_moments(sums: pl.LazyFrame) -> pl.LazyFrame:
    """Dates on which the slice occurs. Parts count where the whole book has a return, so that they add up to it."""
    occurs = sums.filter(pl.col("due") > 0, pl.col("exposure").is_not_null())
    part = pl.when("whole").then("part").alias("contribution")
    return occurs.select(GROUP, "position", "as_of_date", _conditional_return().alias("return"), part)


def _conditional_wealth(sums: pl.LazyFrame, horizon: int) -> pl.LazyFrame:
    occurs = sums.filter(pl.col("due") > 0, pl.col("exposure").is_not_null())
    growth = (_conditional_return() / horizon).alias("growth")
    return occurs.select(GROUP, "position", pl.col("evaluated").alias("date"), growth)


def _shared_return(share: str) -> pl.Expr:
    """sum(share x return), null if any return is."""
    total = _exact(pl.col(share) * pl.col("return"))
    return pl.when(pl.col("return").is_not_null().all()).then(total)


def _book_moments(axis: Axis, group: pl.Expr, cut: Cut) -> pl.LazyFrame:
    """Book returns by decision date, without dates on which some market has not matured."""
    grouped = (
        axis.rows.lazy()
        .filter(pl.col("share").is_not_null())
        .group_by(group, "position")
        .agg(
            pl.col("as_of_date").first(),
            pl.col("matured").all(),
            pl.col("whole").first(),
            _shared_return("own" if cut.by_market else "share").alias("return"),
            _shared_return("share").alias("contribution"),
        )
    )
    part = pl.when("whole").then("contribution").alias("contribution")
    return grouped.filter("matured").select(GROUP, "position", "as_of_date", "return", part)


def _book_wealth(axis: Axis, group: pl.Expr, cut: Cut, horizon: int) -> pl.LazyFrame:
    """Book returns by evaluation date, per session."""
    due = (
        axis.rows.lazy()
        .filter(pl.col("share").is_not_null())
        .with_columns(position=pl.col("due_date").rank("dense").over("book").cast(pl.Int64) - 1)
    )
    share = "own" if cut.by_market else "share"
    grouped = due.group_by(group, "position").agg(
        pl.col("due_date").first().alias("date"),
        pl.col("matured").all(),
        (_shared_return(share) / horizon).alias("growth"),
    )
    return grouped.filter("matured").select(GROUP, "position", "date", "growth")
