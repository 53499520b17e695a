"""When the markets close: sessions with their closing instants, from the exchanges' calendars."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from kronos.core.policy import ObservationPolicy
from kronos.core.scheduling.expectation import CLOSES

AROUND_THE_CLOCK: Final = "24/5"
_NEW_YORK: Final = ZoneInfo("America/New_York")
_FX_CLOSE: Final = time(17)


def session_closes(policy: ObservationPolicy, markets: Iterable[str], first: date, last: date) -> pl.DataFrame:
    """Market, region, session and UTC close of every session within [first, last]; half days close early."""
    rows = [
        (market, policy.market(market).region, session, closes_at)
        for market in sorted(set(markets))
        for session, closes_at in _closes(policy.market(market).calendar, first, last)
    ]
    return pl.DataFrame(rows, schema=CLOSES, orient="row")


def _closes(calendar: str | None, first: date, last: date) -> list[tuple[date, datetime]]:
    if calendar is None:
        return [(day, _end_of(day)) for day in _weekdays(first, last)]
    if calendar == AROUND_THE_CLOCK:
        return [(day, _new_york_close(day)) for day in _weekdays(first, last)]
    return _exchange_closes(calendar, first, last)


def _exchange_closes(name: str, first: date, last: date) -> list[tuple[date, datetime]]:
    # half a second of pandas: only those who ask for an exchange pay it
    import exchange_calendars

    calendar = exchange_calendars.get_calendar(name, start=first - timedelta(days=14), end=last + timedelta(days=14))
    closes = calendar.closes[str(first) : str(last)]
    return [(session.date(), instant.to_pydatetime()) for session, instant in closes.items()]


def _weekdays(first: date, last: date) -> list[date]:
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if day.weekday() < 5]


def _end_of(day: date) -> datetime:
    """A market without a calendar may trade until its day is over in UTC."""
    return datetime.combine(day + timedelta(days=1), time(0), UTC)


def _new_york_close(day: date) -> datetime:
    return datetime.combine(day, _FX_CLOSE, _NEW_YORK).astimezone(UTC)
