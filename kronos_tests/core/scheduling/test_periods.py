"""Periods tile the calendar, and their keys are the partition keys."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronos.core.scheduling.periods import (
    Cadence,
    Period,
    period_from_key,
    period_of,
    periods_between,
    runs_of_neighbours,
)
from kronos.errors import BadValue

DAYS = st.dates(date(1990, 1, 1), date(2100, 1, 1))
CADENCES = st.sampled_from(Cadence)


@given(CADENCES, DAYS)
def test_a_period_holds_its_day_and_is_found_by_its_key(cadence: Cadence, day: date) -> None:
    period = period_of(cadence, day)
    assert period.start <= day <= period.end
    assert period_from_key(cadence, period.key) == period


@given(CADENCES, DAYS, st.integers(0, 400))
def test_periods_between_two_days_tile_them(cadence: Cadence, first: date, span: int) -> None:
    last = first + timedelta(days=span)
    periods = periods_between(cadence, first, last)
    covered = [day for p in periods for day in _days(p)]
    assert covered == sorted(set(covered))
    assert covered[0] <= first and covered[-1] >= last


def test_a_week_runs_from_monday_to_sunday() -> None:
    assert period_of(Cadence.WEEKLY, date(2017, 12, 31)).key == "2017-12-25"


def test_a_week_over_two_months_needs_both() -> None:
    assert period_of(Cadence.WEEKLY, date(2018, 1, 31)).months == ["2018-01", "2018-02"]


@pytest.mark.parametrize(
    ("cadence", "key"), [(Cadence.WEEKLY, "2018-01-31"), (Cadence.MONTHLY, "2018-13"), (Cadence.DAILY, "yesterday")]
)
def test_a_key_of_no_period_is_refused(cadence: Cadence, key: str) -> None:
    with pytest.raises(BadValue, match=key):
        period_from_key(cadence, key)


def test_neighbours_share_a_run_and_a_weekend_parts_them() -> None:
    days = [period_of(Cadence.DAILY, date(2018, 1, d)) for d in (8, 5, 4, 9)]
    assert [[p.key[-2:] for p in group] for group in runs_of_neighbours(days)] == [["04", "05"], ["08", "09"]]


def test_no_period_lies_in_an_empty_range() -> None:
    assert periods_between(Cadence.MONTHLY, date(2018, 2, 1), date(2018, 1, 1)) == []


def _days(period: Period) -> list[date]:
    return [period.start + timedelta(days=n) for n in range((period.end - period.start).days + 1)]
