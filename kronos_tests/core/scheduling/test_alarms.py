"""When tier 1 needs the machines, and what may begin before it does."""

from __future__ import annotations

from kronos.core.scheduling.alarms import Alarm, alarms, in_the_way
from kronos.core.scheduling.decisions import Reason
from kronos.core.scheduling.snapshot import Tier1
from kronos_tests.core.scheduling.scenes import CLOSE, HOUR, MINUTE, NOON, daily_windows, moment


def reasons(found: list[Alarm]) -> list[tuple[Reason, str]]:
    return [(alarm.reason, alarm.blocker) for alarm in found]


def test_before_a_window_there_is_time_for_what_ends_by_its_start() -> None:
    found = alarms(moment())
    assert in_the_way(found, CLOSE - MINUTE, MINUTE) is None
    late = in_the_way(found, CLOSE - MINUTE, MINUTE + 1)
    assert late == Alarm(Reason.PROTECTED_WINDOW, CLOSE, "US_EQ")


def test_inside_a_window_there_is_time_for_nothing() -> None:
    found = alarms(moment(now=CLOSE + HOUR))
    assert in_the_way(found, CLOSE + HOUR, 0) == Alarm(Reason.PROTECTED_WINDOW, CLOSE, "US_EQ")


def test_a_market_at_work_is_an_alarm_at_once_also_one_ahead_of_our_clock() -> None:
    for since in (NOON - HOUR, NOON + MINUTE):
        busy = Tier1("US_EQ", busy=True, since=since, taken_at=NOON)
        alarm = in_the_way(alarms(moment(tier1=(busy,))), NOON, 1)
        assert alarm is not None and alarm.reason is Reason.TIER1_RUNNING


def test_without_a_calendar_nobody_knows_and_a_clock_that_went_back_opens_nothing() -> None:
    assert reasons(alarms(moment(windows=None))) == [(Reason.NO_CALENDAR, "calendar")]
    beyond = NOON + 30 * 24 * HOUR
    assert reasons(alarms(moment(windows=daily_windows(), now=beyond))) == [(Reason.NO_CALENDAR, "calendar")]
    back = alarms(moment(now=CLOSE - HOUR, previous=CLOSE + MINUTE))
    assert in_the_way(back, CLOSE + 2 * MINUTE, 0) == Alarm(Reason.PROTECTED_WINDOW, CLOSE, "US_EQ")
