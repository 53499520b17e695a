"""Protected and quiet windows: real calendars, clock changes, half days, markets without a calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from kronos.core.policy import ObservationPolicy
from kronos.core.scheduling.policy import QuietHours, SchedulerPolicy
from kronos.core.scheduling.windows import Windows, assembled, quiet_windows, windows
from kronos.errors import BadValue
from kronos.services.market_hours import session_closes

POLICY = SchedulerPolicy()


def _windows(markets: list[str], first: date, last: date, without: tuple[str, ...] = ()) -> Windows:
    return windows(session_closes(ObservationPolicy(), markets, first, last), markets, without, POLICY)


def _spans(found: Windows) -> list[tuple[str, str]]:
    return [(_text(start), _text(end)) for start, end in zip(found.starts.tolist(), found.ends.tolist(), strict=True)]


def _text(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%m-%d %H:%M")


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_a_window_reaches_from_the_close_to_the_engines_deadline_through_a_clock_change() -> None:
    assert _spans(_windows(["US_EQ"], date(2024, 3, 7), date(2024, 3, 12))) == [
        ("03-07 21:00", "03-08 01:00"),
        ("03-08 21:00", "03-09 01:00"),
        ("03-11 20:00", "03-12 00:00"),
        ("03-12 20:00", "03-13 00:00"),
    ]


def test_half_days_and_holidays_come_from_the_calendar() -> None:
    assert _spans(_windows(["US_EQ"], date(2024, 7, 2), date(2024, 7, 5))) == [
        ("07-02 20:00", "07-03 00:00"),
        ("07-03 17:00", "07-03 21:00"),
        ("07-05 20:00", "07-06 00:00"),
    ]


def test_windows_of_several_markets_that_overlap_or_touch_become_one() -> None:
    found = _windows(["EU_EQ", "US_EQ", "FX_GLOB"], date(2024, 1, 9), date(2024, 1, 9))
    assert _spans(found) == [("01-09 16:30", "01-09 20:30"), ("01-09 21:00", "01-10 02:00")]
    assert (found.opened_by, found.closed_by) == (("EU_EQ", "US_EQ"), ("EU_EQ", "FX_GLOB"))


@pytest.mark.parametrize(("markets", "without"), [(["US_EQ", "XX"], ("XX",)), (["US_EQ", "GONE"], ())])
def test_a_market_without_a_calendar_or_sessions_protects_all_weekday_hours(
    markets: list[str], without: tuple[str, ...]
) -> None:
    closes = session_closes(ObservationPolicy(), ["US_EQ", *without], date(2024, 1, 4), date(2024, 1, 8))
    found = windows(closes, markets, without, POLICY)
    assert _spans(found) == [("01-04 00:00", "01-06 01:00"), ("01-08 00:00", "01-09 01:00")]


def test_outside_the_known_span_everything_is_protected() -> None:
    found = _windows(["US_EQ"], date(2024, 1, 8), date(2024, 1, 12))
    assert not found.covers(_at("2024-01-08 12:00")) and found.covers(_at("2024-01-09 12:00"))
    assert not found.covers(_at("2024-01-13 00:00"))
    assert found.next_start(_at("2024-01-12 23:00")) == (_at("2024-01-13"), "calendar")


def test_no_session_at_all_is_refused() -> None:
    with pytest.raises(BadValue, match="session closes"):
        _windows(["US_EQ"], date(2024, 1, 6), date(2024, 1, 7))


def test_quiet_hours_are_local_nights_and_whole_weekends() -> None:
    """Friday's night, the weekend and Sunday's night are one; the clocks change in it."""
    found = quiet_windows(QuietHours(), date(2024, 3, 7), date(2024, 3, 11))
    assert [(_text(start), _text(end)) for start, end in found] == [
        ("03-08 03:00", "03-08 11:00"),
        ("03-09 03:00", "03-11 10:00"),
        ("03-12 02:00", "03-12 10:00"),
    ]


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a time zone"):
        QuietHours(zone="Mars/Olympus")


def _three() -> Windows:
    """Protected 10-20 and 50-60 of a span 0-86400."""
    return assembled([(50, 60, "B"), (10, 15, "A"), (15, 20, "C")], [(5, 12), (18, 30)], 0, date(1970, 1, 1))


def test_gaps_are_what_is_left_between_windows() -> None:
    starts, ends = _three().gaps_from(12)
    assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == [(20, 50), (60, 86400)]
    assert _three().gaps_from(25)[0].tolist() == [25, 60]


def test_unprotected_time_skips_windows() -> None:
    assert _three().after(5, np.array([0, 4, 5, 34, 35, 10**6])).tolist() == [5, 9, 20, 49, 60, 86400]
    assert _three().reopens(np.array([5, 10, 19, 20, 86399])).tolist() == [5, 20, 20, 20, 86399]


def test_the_first_gap_long_enough_is_found() -> None:
    assert _three().first_gap_of(5, np.array([1, 5, 6, 31, 86400])).tolist() == [5, 5, 20, 60, 86400]


def test_quiet_hours_count_outside_protected_windows_only() -> None:
    assert (_three().quiet_until(6), _three().quiet_until(12)) == (12, None)
    assert (_three().next_quiet(6), _three().next_quiet(12), _three().next_quiet(40)) == (6, 20, 86400)


def test_windows_that_overlap_are_refused() -> None:
    edges = np.array([10, 15]), np.array([20, 25])
    with pytest.raises(BadValue, match="protected windows"):
        Windows(*edges, ("A", "A"), ("A", "A"), np.array([]), np.array([]), 0, 100)


def test_an_empty_frame_of_closes_is_refused() -> None:
    with pytest.raises(BadValue, match="session closes"):
        windows(
            pl.DataFrame(schema=session_closes(ObservationPolicy(), [], date(2024, 1, 1), date(2024, 1, 1)).schema),
            ["US_EQ"],
            (),
            POLICY,
        )
