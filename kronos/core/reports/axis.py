"""The dates of each book: completed over the sessions, with shares of capital and the book return of each market.

The book return of a config in a market on a date is sum(weight x return); it is 0 on a session without decision between
the first and the last decision there, and null while a due outcome is missing. Several markets share the capital
equally among those the config is active in that day; several configs (`*`) equally among the active ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kronos.core.fixed_point import from_fixed, to_fixed
from kronos.core.reports.evidence import Evidence, place_code
from kronos.core.reports.groups import Grouping
from kronos.core.vocabulary import Cube


@dataclass(frozen=True)
class Window:
    """Decisions of [start, end], with outcomes known by `as_of` (None: whatever the record holds)."""

    start: date
    end: date
    as_of: date | None = None

    def known(self, newest: date) -> pl.Expr:
        """Cells evaluated, and where known recorded, by the as-of date."""
        if self.as_of is None:
            return pl.col("eval_date") <= newest
        return (pl.col("eval_date") <= self.as_of) & (pl.col("known_date") <= self.as_of)

    def chosen(self) -> pl.Expr:
        """Rows decided in the window."""
        return pl.col("as_of_date").is_between(self.start, self.end)


@dataclass(frozen=True)
class Axis:
    """Every date of every book in the window.

    rows, one per config, market and date: place, config_id, market_id, as_of_date, due_date, book, position (of the
    decision date within the book), evaluation (of the due date within the book), share (of the whole book's capital),
    own (of the market book's capital), return (of the market's book; null while missing), matured.
    spans, one per config and market: first and last decision date, has_returns (of the config).
    The sheets are (books x positions): decision dates, the dates they were evaluated, whether the whole book has a
    return that date; and, by `evaluation`, the evaluation dates.
    """

    rows: pl.DataFrame
    spans: pl.DataFrame
    days: NDArray[np.datetime64]
    evaluated: NDArray[np.datetime64]
    whole: NDArray[np.bool_]
    evaluations: NDArray[np.datetime64]


def build_axis(held: Evidence, grouping: Grouping, window: Window) -> Axis:
    """Complete the dates of each book and share the capital out. A decision on a date without session keeps its row."""
    spans = _spans(held, window)
    sessions = _sessions(held, spans, window)
    rows = sessions.join(_placed(held, window), on="place", how="full", coalesce=True).with_columns(
        pl.coalesce("config_id", "config_id_right").alias("config_id"),
        pl.coalesce("market_id", "market_id_right").alias("market_id"),
        pl.coalesce("as_of_date", "as_of_date_right").alias("as_of_date"),
        pl.coalesce("due_date", "evaluated").alias("due_date"),
    )
    rows = rows.with_columns(grouping.book(), *_state(window.as_of or held.newest))
    shared = _with_shares(rows.join(spans.filter("has_returns"), on="config_id", how="semi"), spans, grouping)
    silent = rows.join(spans.filter("has_returns"), on="config_id", how="anti")
    return _with_dates(pl.concat([shared, silent], how="diagonal"), spans, grouping.books)


def _spans(held: Evidence, window: Window) -> pl.DataFrame:
    """First and last decision date of each config in each market, and whether the config ever carried a return."""
    known = window.known(held.newest)
    decided = held.decisions[Cube.REGIME].lazy().filter(known).group_by("config_id", "market_id")
    carried = held.outcomes[Cube.REGIME].lazy().filter(known).group_by("config_id")
    spans = decided.agg(first=pl.col("as_of_date").min(), last=pl.col("as_of_date").max())
    flags = carried.agg(has_returns=(pl.col("returns") != 0).any())
    joined = spans.join(flags, on="config_id", how="left").with_columns(pl.col("has_returns").fill_null(False))
    return joined.sort("config_id", "market_id").collect()


def _sessions(held: Evidence, spans: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Sessions of each config and market from first to last decision, with their due dates, in the window."""
    due = pl.col("session").shift(-held.horizon).over("market_id").alias("due_date")
    sessions = held.sessions.with_columns(due).filter(pl.col("session").is_between(window.start, window.end))
    rows = spans.join(sessions.rename({"session": "as_of_date"}), on="market_id")
    within = rows.filter(pl.col("as_of_date").is_between("first", "last"))
    return within.select("config_id", "market_id", "as_of_date", "due_date", place_code())


def _placed(held: Evidence, window: Window) -> pl.DataFrame:
    """What the regime cube holds per config, market and date of the window."""
    keep = window.known(held.newest) & window.chosen()
    keys = ("place", "config_id", "market_id", "as_of_date")
    outcomes = held.outcomes[Cube.REGIME].lazy().filter(keep)
    decisions = held.decisions[Cube.REGIME].lazy().filter(keep).select(*keys, "decisions")
    evaluated = pl.when(pl.col("due") != 0).then("eval_date").alias("evaluated")
    rows = pl.concat(
        [outcomes.select(*keys, "due", "returns", "weighted_return", evaluated), decisions], how="diagonal"
    )
    sums = rows.group_by("place").agg(
        *(pl.col(key).first() for key in keys[1:]),
        *(pl.col(name).sum() for name in ("decisions", "due", "returns")),
        from_fixed(to_fixed(pl.col("weighted_return")).sum()).alias("weighted_return"),
        pl.col("evaluated").max(),
    )
    return sums.collect()


def _state(matured_to: date) -> list[pl.Expr]:
    """`return`: 0 without decision, null while a due outcome is missing; and whether the date has `matured`."""
    decided, due = pl.col("decisions").fill_null(0) > 0, pl.col("due").fill_null(0) > 0
    complete = pl.col("returns") == pl.col("due")
    passed = (pl.col("due_date") <= matured_to).fill_null(False)
    return [
        pl.when(due & complete).then("weighted_return").when(~due & ~decided).then(0.0).alias("return"),
        pl.when(decided | due).then(due).otherwise(passed).alias("matured"),
    ]


def _with_shares(rows: pl.DataFrame, spans: pl.DataFrame, grouping: Grouping) -> pl.DataFrame:
    """Add `share` of the whole book's capital and `own` share of the market book's."""
    markets = 1.0 / _active(rows, spans, ("config_id",))
    if not grouping.pooled:
        return rows.with_columns(share=markets, own=pl.lit(1.0))
    earning = spans.filter("has_returns")
    whole = earning.group_by("config_id").agg(pl.col("first").min(), pl.col("last").max())
    configs, there = _active(rows, whole, ()), _active(rows, earning, ("market_id",))
    return rows.with_columns(share=markets / configs, own=1.0 / there)


def _active(rows: pl.DataFrame, spans: pl.DataFrame, by: tuple[str, ...]) -> pl.Series:
    """How many spans cover the date of each row, among those that share its `by`."""
    dates = rows["as_of_date"].to_physical().to_numpy()
    keys = [rows[key].to_physical().to_numpy() for key in by]
    active = np.zeros(rows.height)
    for first, last, *codes in spans.select(pl.col("first", "last", *by).to_physical()).rows():
        covered = (dates >= first) & (dates <= last)
        for key, code in zip(keys, codes, strict=True):
            covered &= key == code
        active += covered
    return pl.Series("active", active)


def _with_dates(rows: pl.DataFrame, spans: pl.DataFrame, books: int) -> Axis:
    """Number the decision and the evaluation dates of each book."""
    complete = pl.col("return").is_not_null() & pl.col("matured")
    days = _numbered(rows, "as_of_date", "position", pl.col("due_date").max(), whole=complete.all())
    evaluations = _numbered(rows.filter(pl.col("due_date").is_not_null()), "due_date", "evaluation")
    rows = rows.join(days.select("book", "as_of_date", "position"), on=["book", "as_of_date"], how="left")
    rows = rows.join(evaluations, on=["book", "due_date"], how="left").sort("place")
    return Axis(
        rows,
        spans,
        days=_sheet(days, "as_of_date", "position", books),
        evaluated=_sheet(days, "due_date", "position", books),
        whole=_sheet(days, "whole", "position", books),
        evaluations=_sheet(evaluations, "due_date", "evaluation", books),
    )


def _numbered(rows: pl.DataFrame, day: str, number: str, *also: pl.Expr, **named: pl.Expr) -> pl.DataFrame:
    """One row per book and day in rising order, numbered from 0 within each book."""
    days = rows.group_by("book", day).agg(*also, **named).sort("book", day)
    return days.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over("book").alias(number))


def _sheet(days: pl.DataFrame, column: str, number: str, books: int) -> NDArray[Any]:
    """A column as (books x numbers); NaT or False where a book has fewer."""
    values = days[column].to_numpy()
    width = int(days[number].to_numpy().max(initial=-1)) + 1
    sheet = np.full((books, width), False if values.dtype == bool else np.datetime64("NaT"), dtype=values.dtype)
    sheet[days["book"].to_numpy(), days[number].to_numpy()] = values
    return sheet
