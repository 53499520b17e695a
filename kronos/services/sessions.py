"""Sessions of the markets, from the exchanges' calendars."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

import polars as pl

from kronos.core.frames import SESSIONS
from kronos.core.policy import ObservationPolicy
from kronos.errors import BadValue

_DAY: Final = timedelta(days=1)
_LONGEST_CLOSURE_DAYS: Final = 30
_SPAN_YEARS: Final = 20
"""Calendars are worked out for whole spans of years: month after month then finds them ready."""


def market_sessions(
    policy: ObservationPolicy, markets: Iterable[str], start: date, end: date, horizon: int = 0
) -> pl.DataFrame:
    """frames.SESSIONS of the markets from before `start` to at least `horizon` sessions after `end`.

    A market without a calendar, and the years an exchange's calendar does not reach, have weekdays.
    """
    first = start - timedelta(days=_LONGEST_CLOSURE_DAYS)
    last = end + timedelta(days=2 * horizon + _LONGEST_CLOSURE_DAYS)
    frames = [_market(policy.market(market).calendar, market, first, last) for market in sorted(set(markets))]
    return pl.concat(frames) if frames else pl.DataFrame(schema=SESSIONS)


def _market(calendar: str | None, market: str, first: date, last: date) -> pl.DataFrame:
    since = date(first.year // _SPAN_YEARS * _SPAN_YEARS, 1, 1)
    until = date((last.year // _SPAN_YEARS + 1) * _SPAN_YEARS - 1, 12, 31)
    sessions = _weekdays(first, last) if calendar is None else _exchange(calendar, since, until)
    df = pl.DataFrame({"market_id": [market] * len(sessions), "session": sessions}, schema=SESSIONS)
    return df.filter(pl.col("session").is_between(first, last))


@lru_cache(maxsize=64)
def _exchange(name: str, first: date, last: date) -> list[date]:
    """Sessions of an exchange, with weekdays where its calendar does not reach."""
    # half a second of pandas: only those who ask for an exchange pay it
    import exchange_calendars

    try:
        known = exchange_calendars.get_calendar(name)
    except exchange_calendars.errors.InvalidCalendarName as error:
        raise BadValue("a market's calendar", name, "a name exchange_calendars knows, or null") from error
    lowest, highest = known.bound_min(), known.bound_max()
    since = max(first, lowest.date()) if lowest is not None else first
    until = min(last, highest.date()) if highest is not None else last
    if since > until:
        return _weekdays(first, last)
    calendar = exchange_calendars.get_calendar(name, start=since, end=until)
    inside = [session.date() for session in calendar.sessions]
    return [*_weekdays(first, since - _DAY), *inside, *_weekdays(until + _DAY, last)]


def _weekdays(first: date, last: date) -> list[date]:
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if day.weekday() < 5]
