"""The dates of each book: completed over the sessions, with shares of capital and the book return of each market.

The book return of a config in a market on a date is sum(weight x return); it is 0 on a session without decision between
the first and the last decision there, and null while a due outcome is missing. Several markets share the capital
among those the config is active in that day, equally unless the policy says otherwise; several configs (`*`) equally
among the active ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kronos.core.fixed_point import from_fixed, to_fixed
from kronos.core.metrics.hac import Ints
from kronos.core.metrics.metric import Floats
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.evidence import (
    NEVER,
    Codes,
    Evidence,
    day_number,
    named,
    place_of,
    rising,
    rows_within,
    unplaced,
)
from kronos.core.reports.groups import Grouping
from kronos.core.vocabulary import Cube

Bools = NDArray[np.bool_]


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

    def known_days(self, newest: date) -> dict[str, tuple[int, int]]:
        """`known` as limits on day numbers."""
        if self.as_of is None:
            return {"eval_date": (NEVER, day_number(newest))}
        return dict.fromkeys(("eval_date", "known_date"), (NEVER, day_number(self.as_of)))

    def chosen_days(self) -> dict[str, tuple[int, int]]:
        """`chosen` as limits on day numbers."""
        return {"as_of_date": (day_number(self.start), day_number(self.end))}


@dataclass(frozen=True)
class Places:
    """One entry per config, market and date of a window, in rising order of `place`. Dates are day numbers.

    due: of the outcome, NEVER where unknown. position, evaluation: of the decision and the due date within the book
    (-1: none). share: of the whole book's capital, NaN for a config that earns nothing; own: of the market book's.
    returns: of the market's book, NaN while missing. matured: that return is final.
    """

    place: Ints
    config: Ints
    market: Ints
    day: Ints
    due: Ints
    book: Ints
    position: Ints
    evaluation: Ints
    share: Floats
    own: Floats
    returns: Floats
    matured: Bools

    def only(self, kept: Bools) -> Places:
        """Some of the entries."""
        return Places(*(getattr(self, column.name)[kept] for column in fields(self)))


@dataclass(frozen=True)
class Axis:
    """Every date of every book in the window.

    spans, one row per config and market: first and last decision date, has_returns (of the config).
    The sheets are (books x positions): decision dates, the dates they were evaluated, whether the whole book has a
    return that date; and, by `evaluation`, the evaluation dates.
    """

    places: Places
    spans: pl.DataFrame
    days: NDArray[np.datetime64]
    evaluated: NDArray[np.datetime64]
    whole: Bools
    evaluations: NDArray[np.datetime64]
    codes: Codes

    @property
    def rows(self) -> pl.DataFrame:
        """The places as rows: place, config_id, market_id, as_of_date, due_date, share (null: earns nothing)."""
        at = self.places
        return pl.DataFrame(
            {
                "place": at.place,
                "config_id": named(at.config, self.codes["config_id"]),
                "market_id": named(at.market, self.codes["market_id"]),
                "as_of_date": _days(at.day),
                "due_date": _days(at.due),
                "share": pl.Series(at.share).fill_nan(None),
            }
        )


_PLACED: Final = ("place", "due", "returns", "weighted_return", "eval_date", "as_of_date")
_DECIDED: Final = ("place", "decisions", "as_of_date")
"""What is read of the regime cube: columns that are not read need not be filtered."""


@dataclass(frozen=True)
class _Sums:
    """What the regime cube holds per place, in rising order."""

    place: Ints
    decisions: Floats
    due: Floats
    returns: Floats
    weighted_return: Floats
    evaluated: Ints


def build_axis(held: Evidence, grouping: Grouping, window: Window, policy: ObservationPolicy) -> Axis:
    """Complete the dates of each book and share the capital out. A decision on a date without session keeps its row."""
    outcomes, decisions = (
        rows_within(cubes[Cube.REGIME], window.known_days(held.newest)) for cubes in (held.outcomes, held.decisions)
    )
    spans = _spans(decisions, outcomes, held.codes)
    chosen = window.chosen_days()
    sums = _placed(rows_within(outcomes.select(_PLACED), chosen), rows_within(decisions.select(_DECIDED), chosen))
    place, session_due = _completed(*_sessions(held, spans, window), sums.place)
    at = np.searchsorted(place, sums.place)
    spread = _spread(sums, at, place.size)
    due = np.where(session_due == NEVER, spread.evaluated, session_due)
    config, market, day = unplaced(place)
    returns, matured = _state(spread, due, day_number(window.as_of or held.newest))
    capital = np.array([policy.market(name).capital for name in held.codes["market_id"].categories])
    share, own = _shares(config, market, day, spans, grouping, capital)
    book = np.zeros_like(config) if grouping.pooled else config
    days, position = _numbered(book, day, grouping.books)
    evaluations, evaluation = _numbered(book, due, grouping.books)
    whole = days != NEVER
    missing = np.isnan(returns) | ~matured
    whole[book[missing], position[missing]] = False
    evaluated = np.full_like(days, NEVER)
    np.maximum.at(evaluated, (book, position), due)
    return Axis(
        Places(place, config, market, day, due, book, position, evaluation, share, own, returns, matured),
        spans,
        days=_moments(days),
        evaluated=_moments(evaluated),
        whole=whole,
        evaluations=_moments(evaluations),
        codes=held.codes,
    )


def _spans(decisions: pl.DataFrame, outcomes: pl.DataFrame, codes: Codes) -> pl.DataFrame:
    """First and last decision date of each config in each market, and whether the config ever carried a return."""
    config, market, day = unplaced(decisions["place"].to_numpy())
    starts = np.flatnonzero((np.diff(config, prepend=-1) != 0) | (np.diff(market, prepend=-1) != 0))
    ends = np.append(starts[1:], day.size)[: starts.size] - 1
    carried, _, _ = unplaced(outcomes["place"].to_numpy()[outcomes["returns"].to_numpy() != 0.0])
    columns = {
        "config_id": named(config[starts], codes["config_id"]),
        "market_id": named(market[starts], codes["market_id"]),
        "first": _days(day[starts]),
        "last": _days(day[ends]),
        "has_returns": np.isin(config[starts], carried),
    }
    return pl.DataFrame(columns)


def _sessions(held: Evidence, spans: pl.DataFrame, window: Window) -> tuple[Ints, Ints]:
    """Places and due dates of the sessions of each config and market from first to last decision, in the window."""
    start, end = day_number(window.start), day_number(window.end)
    places, due = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for config, market, first, last in _physical(spans, "config_id", "market_id", "first", "last"):
        sessions = held.calendar[market]
        since, until = np.searchsorted(sessions, [max(first, start), min(last, end) + 1])
        reached = np.append(sessions[since + held.horizon : until + held.horizon], np.full(held.horizon, NEVER))
        places.append(place_of(config, market, sessions[since:until]))
        due.append(reached[: max(0, until - since)])
    return np.concatenate(places), np.concatenate(due)


def _completed(place: Ints, due: Ints, placed: Ints) -> tuple[Ints, Ints]:
    """Sessions together with the places that are none, in rising order; those have no due date."""
    extra = np.setdiff1d(placed, place, assume_unique=True)
    if extra.size == 0:
        return place, due
    places = np.concatenate([place, extra])
    order = np.argsort(places)
    return places[order], np.concatenate([due, np.full(extra.size, NEVER)])[order]


def _placed(outcomes: pl.DataFrame, decisions: pl.DataFrame) -> _Sums:
    """What the regime cube holds per place; sums of floats do not depend on the order of rows."""
    # rows are in order of place, and whole numbers add up to the same in any order
    fixed = outcomes.lazy().select(pl.col("place").set_sorted(), to_fixed(pl.col("weighted_return")))
    exact = fixed.group_by("place", maintain_order=True).agg(from_fixed(pl.col("weighted_return").sum()))
    earned = exact.collect(optimizations=pl.QueryOptFlags.none())
    decided = decisions["place"].to_numpy()
    place = rising(earned["place"].to_numpy(), decided)
    weighted_return = np.zeros(place.size)
    weighted_return[np.searchsorted(place, earned["place"].to_numpy())] = earned["weighted_return"].to_numpy()
    at = np.searchsorted(place, outcomes["place"].to_numpy())
    due = outcomes["due"].to_numpy()
    evaluated = np.full(place.size, NEVER)
    np.maximum.at(
        evaluated, at[due != 0.0], outcomes["eval_date"].to_physical().to_numpy()[due != 0.0].astype(np.int64)
    )
    return _Sums(
        place,
        _added(np.searchsorted(place, decided), decisions["decisions"], place.size),
        _added(at, outcomes["due"], place.size),
        _added(at, outcomes["returns"], place.size),
        weighted_return,
        evaluated,
    )


def _added(at: Ints, counts: pl.Series, size: int) -> Floats:
    return np.bincount(at, counts.to_numpy(), size).astype(np.float64)


def _spread(sums: _Sums, at: Ints, size: int) -> _Sums:
    """The sums at their places among all; elsewhere nothing was decided or due."""
    spread = {column.name: getattr(sums, column.name) for column in fields(sums)}
    for name, held in spread.items():
        spread[name] = np.full(size, NEVER if name == "evaluated" else 0, dtype=held.dtype)
        spread[name][at] = held
    return _Sums(**spread)


def _state(sums: _Sums, due: Ints, matured_to: int) -> tuple[Floats, Bools]:
    """Returns: 0 without decision, NaN while a due outcome is missing; and whether the date has matured."""
    decided, is_due = sums.decisions > 0.0, sums.due > 0.0
    idle = ~is_due & ~decided
    returns = np.where(idle, 0.0, np.nan)
    complete = is_due & (sums.returns == sums.due)
    returns[complete] = sums.weighted_return[complete]
    passed = (due != NEVER) & (due <= matured_to)
    return returns, np.where(idle, passed, is_due)


def _shares(
    config: Ints, market: Ints, day: Ints, spans: pl.DataFrame, grouping: Grouping, capital: Floats
) -> tuple[Floats, Floats]:
    """Shares of the whole book's capital and of the market book's; NaN for configs that earn nothing.

    capital: of each market, in any unit.
    """
    earning = spans.filter("has_returns")
    silent = ~np.isin(config, earning["config_id"].to_physical().to_numpy())
    invested = capital[spans["market_id"].to_physical().to_numpy()]
    markets = capital[market] / _active(day, _physical(spans, "first", "last", "config_id"), config, invested)
    if not grouping.pooled:
        return np.where(silent, np.nan, markets), np.where(silent, np.nan, 1.0)
    whole = earning.group_by("config_id").agg(pl.col("first").min(), pl.col("last").max())
    configs = _active(day, _physical(whole, "first", "last"))
    there = _active(day, _physical(earning, "first", "last", "market_id"), market)
    with np.errstate(divide="ignore"):
        return np.where(silent, np.nan, markets / configs), np.where(silent, np.nan, 1.0 / there)


def _active(
    day: Ints, spans: Sequence[tuple[int, ...]], key: Ints | None = None, weights: Floats | None = None
) -> Floats:
    """How many spans (first, last, and the key's value) cover each day, or the sum of their weights."""
    active = np.zeros(day.size)
    for (first, last, *code), weight in zip(spans, np.ones(len(spans)) if weights is None else weights, strict=True):
        covered = (day >= first) & (day <= last)
        active += weight * (covered if key is None else covered & (key == code[0]))
    return active


def _physical(df: pl.DataFrame, *columns: str) -> list[tuple[int, ...]]:
    return df.select(pl.col(columns).to_physical()).rows()


def _numbered(book: Ints, day: Ints, books: int) -> tuple[Ints, Ints]:
    """The distinct days of each book in rising order, (books x numbers), and each entry's number; -1 for NEVER."""
    number = np.full(day.size, -1)
    known = day != NEVER
    if not known.any():
        return np.full((books, 0), NEVER), number
    offset = day[known] - day[known].min()
    seen = np.zeros((books, int(offset.max()) + 1), dtype=bool)
    seen[book[known], offset] = True
    numbers = np.cumsum(seen, axis=1) - 1
    number[known] = numbers[book[known], offset]
    sheet = np.full((books, int(number.max()) + 1), NEVER)
    sheet[book[known], number[known]] = day[known]
    return sheet, number


def _moments(days: Ints) -> NDArray[np.datetime64]:
    """Day numbers as dates; NEVER is NaT."""
    return days.view("datetime64[D]")


def _days(days: Ints) -> pl.Series:
    """Day numbers as dates; NEVER is null."""
    return pl.Series(_moments(days)).cast(pl.Date)
