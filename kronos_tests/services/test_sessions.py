"""Sessions: exchange calendars, weekdays where there is none or it does not reach."""

from __future__ import annotations

from datetime import date

import pytest

from kronos.core.policy import Market, ObservationPolicy
from kronos.errors import BadValue
from kronos.services.sessions import market_sessions

POLICY = ObservationPolicy()


def days(market: str, start: date, end: date) -> list[date]:
    """Sessions of a market within [start, end]."""
    sessions = market_sessions(POLICY, [market], start, end)["session"].to_list()
    assert sessions == sorted(set(sessions))
    return [day for day in sessions if start <= day <= end]


def test_exchange_holidays_are_no_sessions() -> None:
    """New York rested on Good Friday 2020."""
    assert days("US_EQ", date(2020, 4, 9), date(2020, 4, 14)) == [
        date(2020, 4, 9),
        date(2020, 4, 13),
        date(2020, 4, 14),
    ]


def test_market_without_calendar_runs_on_weekdays() -> None:
    """Holidays included."""
    assert days("NOWHERE", date(2020, 4, 9), date(2020, 4, 13)) == [
        date(2020, 4, 9),
        date(2020, 4, 10),
        date(2020, 4, 13),
    ]


def test_years_before_a_calendar_begins_have_weekdays() -> None:
    """Tokyo's calendar begins in 1997."""
    assert days("JP_EQ", date(1995, 1, 2), date(1995, 1, 4)) == [date(1995, 1, day) for day in (2, 3, 4)]
    assert days("JP_EQ", date(1996, 12, 30), date(1997, 1, 6)) == [
        date(1996, 12, 30),
        date(1996, 12, 31),
        date(1997, 1, 6),
    ]


def test_sessions_reach_the_horizon_past_the_end() -> None:
    """A due date of a December decision exists."""
    after = market_sessions(POLICY, ["ASIA_EQ"], date(2020, 12, 1), date(2020, 12, 31), 252)["session"]
    assert (after > date(2020, 12, 31)).sum() >= 252


def test_no_markets_have_no_sessions() -> None:
    """The empty case."""
    assert market_sessions(POLICY, [], date(2020, 1, 1), date(2020, 1, 31)).is_empty()


def test_unknown_calendar_is_refused_by_name() -> None:
    """A typo in the policy."""
    policy = ObservationPolicy(markets={"US_EQ": Market(calendar="XNYZ", region="US")})
    with pytest.raises(BadValue, match="XNYZ"):
        market_sessions(policy, ["US_EQ"], date(2020, 1, 1), date(2020, 1, 31))
