"""When tier 1 owns the machines: protected windows, the gaps between them, and quiet hours, as UTC seconds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl

from kronos.core.frames import conform
from kronos.core.scheduling.expectation import CLOSES
from kronos.core.scheduling.policy import QuietHours, SchedulerPolicy
from kronos.errors import BadValue

Ints: TypeAlias = npt.NDArray[np.int64]
Interval: TypeAlias = tuple[int, int, str]
"""Start, end (not in it) and the market that needs it."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, eq=False)
class Windows:
    """Protected and quiet windows within [known_from, known_until), as seconds since 1970 in UTC.

    starts, ends: protected windows, ascending, disjoint and not touching. opened_by, closed_by: for each, the market
    it begins with and the market it ends with. Whatever lies outside the known span counts as protected.
    """

    starts: Ints
    ends: Ints
    opened_by: tuple[str, ...]
    closed_by: tuple[str, ...]
    quiet_starts: Ints
    quiet_ends: Ints
    known_from: int
    known_until: int

    def __post_init__(self) -> None:
        edges = np.column_stack([self.starts, self.ends]).ravel()
        if (np.diff(edges) <= 0).any():
            raise BadValue("protected windows", edges.tolist(), "ascending, disjoint windows")

    def covers(self, now: int) -> bool:
        """Whether the calendars reach this instant."""
        return self.known_from <= now < self.known_until

    def open_at(self, now: int) -> int | None:
        """Index of the protected window that is open, if one is."""
        index = int(np.searchsorted(self.starts, now, side="right")) - 1
        return index if index >= 0 and now < self.ends[index] else None

    def next_start(self, now: int) -> tuple[int, str]:
        """When the next protected window begins and whose it is; where the calendars end, everything is protected."""
        index = int(np.searchsorted(self.starts, now, side="right"))
        if index < len(self.starts):
            return int(self.starts[index]), self.opened_by[index]
        return self.known_until, "calendar"

    def quiet_until(self, now: int) -> int | None:
        """When the quiet hours end whose caps hold now; None while the normal caps do."""
        index = int(np.searchsorted(self.quiet_starts, now, side="right")) - 1
        return int(self.quiet_ends[index]) if index >= 0 and now < self.quiet_ends[index] else None

    def next_quiet(self, now: int) -> int:
        """The next instant that is quiet and not protected; the end of the calendars when none is known."""
        for start, end in zip(self.quiet_starts.tolist(), self.quiet_ends.tolist(), strict=True):
            opens = int(self.reopens(np.array([max(start, now)]))[0])
            if opens < end:
                return opens
        return self.known_until

    @cached_property
    def _gaps(self) -> tuple[Ints, Ints]:
        starts = np.concatenate([[self.known_from], self.ends])
        ends = np.concatenate([self.starts, [self.known_until]])
        real = starts < ends
        return starts[real].astype(np.int64), ends[real].astype(np.int64)

    def gaps_from(self, now: int) -> tuple[Ints, Ints]:
        """Starts and ends of what is left of each gap between protected windows, in order."""
        starts, ends = self._gaps
        first = int(np.searchsorted(ends, now, side="right"))
        return np.maximum(starts[first:], now), ends[first:]

    def reopens(self, times: Ints) -> Ints:
        """For each instant the first one not before it that is not protected."""
        starts, ends = self._gaps
        index = np.searchsorted(ends, times, side="right")
        padded = np.append(starts, self.known_until)
        opened: Ints = np.maximum(times, padded[index])
        return opened

    def after(self, now: int, unprotected: Ints) -> Ints:
        """When so many unprotected seconds from now will have passed; at most the end of the calendars."""
        starts, ends = self.gaps_from(now)
        if not len(starts):
            return np.full(len(unprotected), self.known_until)
        before = np.concatenate([[0], np.cumsum(ends - starts)])
        index = np.minimum(np.searchsorted(before, unprotected, side="right") - 1, len(starts) - 1)
        reached: Ints = np.minimum(starts[index] + unprotected - before[index], self.known_until)
        return reached

    def first_gap_of(self, now: int, lengths: Ints) -> Ints:
        """When the first gap of at least each length begins; the end of the calendars when none is known."""
        starts, ends = self.gaps_from(now)
        longest_so_far = np.maximum.accumulate(ends - starts) if len(starts) else starts
        found: Ints = np.append(starts, self.known_until)[np.searchsorted(longest_so_far, lengths, side="left")]
        return found


def moved(found: Windows, by: int, *, all_quiet: bool) -> Windows:
    """The windows so many seconds later; all_quiet: with quiet hours all the time."""
    quiet = (np.array([edge]) for edge in (found.known_from, found.known_until))
    starts, ends = quiet if all_quiet else (found.quiet_starts, found.quiet_ends)
    return Windows(
        found.starts + by,
        found.ends + by,
        found.opened_by,
        found.closed_by,
        starts + by,
        ends + by,
        found.known_from + by,
        found.known_until + by,
    )


def windows(
    closes: pl.DataFrame, markets: Collection[str], without_calendar: Collection[str], policy: SchedulerPolicy
) -> Windows:
    """The windows of some markets, from the closes of their sessions.

    closes: frame CLOSES of the markets over a span of days, half days and clock changes already in the instants.
    A window reaches from a session's close to the engines' service level. without_calendar: markets whose closes
    are not real: they protect all weekday hours, and so does a market that has no session in the whole span.
    The span is known from the day after its first session, since a window may reach into the next day, to the end of
    its last session's day. Raises `BadValue` when there is no session at all.
    """
    found = conform(closes, CLOSES, "closes").filter(pl.col("market_id").is_in(list(markets)))
    if found.is_empty():
        raise BadValue("session closes", sorted(markets), "at least one session of these markets")
    first, last = _day(found["session"].min()), _day(found["session"].max())
    guessed = set(without_calendar) | (set(markets) - set(found["market_id"]))
    real = found.filter(~pl.col("market_id").is_in(list(guessed)))
    level = int(policy.service_levels.engines.total_seconds())
    intervals = [
        (int(at.timestamp()), int(at.timestamp()) + level, market)
        for market, at in real.select("market_id", "closes_at").iter_rows()
    ]
    intervals += [(*hours, market) for market in sorted(guessed) for hours in _weekday_hours(first, last)]
    return assembled(intervals, quiet_windows(policy.quiet_hours, first, last), _midnight(first + _DAY), last)


def assembled(protected: Iterable[Interval], quiet: Sequence[tuple[int, int]], known_from: int, last: date) -> Windows:
    """Windows from any intervals, in any order: those that overlap or touch become one."""
    starts, ends, opened, closed = _merged(protected)
    return Windows(
        starts,
        ends,
        opened,
        closed,
        np.array([start for start, _ in quiet], dtype=np.int64),
        np.array([end for _, end in quiet], dtype=np.int64),
        known_from,
        _midnight(last + _DAY),
    )


def quiet_windows(hours: QuietHours, first: date, last: date) -> list[tuple[int, int]]:
    """Nights that begin on, and weekends within, the days [first, last]: local hours, as disjoint UTC seconds."""
    zone = ZoneInfo(hours.zone)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    found = [_night(hours, day, zone) for day in days]
    if hours.weekends:
        found += [(_local(day, time(0), zone), _local(day + _DAY, time(0), zone)) for day in days if day.weekday() >= 5]
    starts, ends, _, _ = _merged((start, end, "") for start, end in found if start < end)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _night(hours: QuietHours, day: date, zone: ZoneInfo) -> tuple[int, int]:
    morning = day + _DAY if hours.night_end <= hours.night_start else day
    return _local(day, hours.night_start, zone), _local(morning, hours.night_end, zone)


def _merged(intervals: Iterable[Interval]) -> tuple[Ints, Ints, tuple[str, ...], tuple[str, ...]]:
    merged: list[tuple[int, int, str, str]] = []
    for start, end, market in sorted(intervals):
        if merged and start <= merged[-1][1]:
            before, until, opened, closed = merged[-1]
            merged[-1] = (before, max(until, end), opened, market if end > until else closed)
        else:
            merged.append((start, end, market, market))
    starts, ends = (np.array([row[n] for row in merged], dtype=np.int64) for n in (0, 1))
    return starts, ends, tuple(row[2] for row in merged), tuple(row[3] for row in merged)


def _weekday_hours(first: date, last: date) -> list[tuple[int, int]]:
    days = [first + timedelta(days=n) for n in range((last - first).days + 2)]
    return [(_midnight(day), _midnight(after)) for day, after in pairwise(days) if day.weekday() < 5]


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(0), UTC).timestamp())


def _local(day: date, at: time, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, at, zone).timestamp())


def _day(value: object) -> date:
    if not isinstance(value, date):
        raise BadValue("session", value, "a date")
    return value
