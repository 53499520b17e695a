"""The barrier's answers, as tables and laws."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronos.core.scheduling.barrier import RegionSession, State, Verdict, is_due, judge
from kronos.core.vocabulary import Phase
from kronos.errors import BadValue

GRACE = timedelta(hours=4, minutes=15)
DAY = date(2024, 7, 3)
US_CLOSE = datetime(2024, 7, 3, 20, 0, tzinfo=UTC)
JP_CLOSE = datetime(2024, 7, 3, 6, 0, tzinfo=UTC)
EVENING = US_CLOSE + timedelta(hours=1)
MIDNIGHT = US_CLOSE + GRACE


def _us(phase: Phase | None) -> RegionSession:
    return RegionSession("US", DAY, US_CLOSE, phase)


def _jp(phase: Phase | None) -> RegionSession:
    return RegionSession("JP", DAY, JP_CLOSE, phase)


DONE, FAILED, BOOKS = Phase.COMPLETED, Phase.FAILED, Phase.BOOKS_DONE


@pytest.mark.parametrize(
    ("us", "jp", "now", "state", "missing"),
    [
        (DONE, DONE, EVENING, State.READY, ()),
        (BOOKS, DONE, EVENING, State.WAIT, ("US",)),
        (None, DONE, EVENING, State.WAIT, ("US",)),
        (FAILED, DONE, EVENING, State.WAIT, ("US",)),  # it may be retried until the deadline
        (DONE, FAILED, EVENING, State.PARTIAL, ("JP",)),
        (DONE, None, EVENING, State.PARTIAL, ("JP",)),
        (BOOKS, None, EVENING, State.WAIT, ("JP", "US")),  # never without the US before the US deadline
        (BOOKS, DONE, MIDNIGHT, State.PARTIAL, ("US",)),
        (FAILED, FAILED, MIDNIGHT, State.PARTIAL, ("JP", "US")),
        (DONE, DONE, MIDNIGHT + timedelta(days=9), State.READY, ()),
    ],
)
def test_two_regions_with_different_closes(
    us: Phase | None, jp: Phase | None, now: datetime, state: State, missing: tuple[str, ...]
) -> None:
    verdict = judge([_us(us), _jp(jp)], now, GRACE)
    assert (verdict.state, verdict.missing) == (state, missing)


def test_waiting_says_until_when() -> None:
    assert judge([_us(None), _jp(None)], EVENING, GRACE).until == MIDNIGHT


def test_one_instant_before_the_deadline_still_waits() -> None:
    assert judge([_us(FAILED)], MIDNIGHT - timedelta(microseconds=1), GRACE).state is State.WAIT


def test_a_day_without_any_session_has_nothing_to_run() -> None:
    assert judge([], EVENING, GRACE) == Verdict(State.NO_SESSION)


def test_the_label_names_the_missing_regions() -> None:
    assert judge([_us(None), _jp(None)], MIDNIGHT, GRACE).label == "PARTIAL(JP, US)"


def test_a_naive_now_is_refused() -> None:
    with pytest.raises(BadValue, match="time zone"):
        judge([_us(DONE)], datetime(2024, 7, 3, 20), GRACE)  # noqa: DTZ001 - the naive instant is the point


@pytest.mark.parametrize(("day", "utc_hour"), [(date(2024, 3, 8), 21), (date(2024, 3, 11), 20)])
def test_the_deadline_follows_the_close_across_a_clock_change(day: date, utc_hour: int) -> None:
    """New York closes at 16:00 local: 21:00 UTC on the Friday, 20:00 UTC on the Monday after the change."""
    close = datetime(day.year, day.month, day.day, 16, tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
    assert close.hour == utc_hour
    verdict = judge([RegionSession("US", day, close, None)], close, GRACE)
    assert verdict.until == close + GRACE


def test_a_period_waits_for_a_session_still_to_come() -> None:
    tomorrow = RegionSession("US", DAY + timedelta(days=1), US_CLOSE + timedelta(days=1), None)
    verdict = judge([_us(DONE), tomorrow], EVENING, GRACE)
    assert (verdict.state, verdict.until) == (State.WAIT, MIDNIGHT + timedelta(days=1))


def test_a_period_is_partial_for_one_session_that_stayed_away() -> None:
    earlier = RegionSession("JP", DAY - timedelta(days=1), JP_CLOSE - timedelta(days=1), FAILED)
    assert judge([_us(DONE), _jp(DONE), earlier], EVENING, GRACE).label == "PARTIAL(JP)"


@pytest.mark.parametrize(
    ("missing", "earlier", "due"),
    [
        ((), [], True),
        (("EU",), [], True),
        (("EU",), [("EU",)], False),
        (("EU",), [("EU", "JP")], True),
        ((), [("EU", "JP"), ("EU",)], True),
        (("JP",), [("EU",)], False),
        ((), [()], False),
    ],
)
def test_a_period_runs_again_only_when_fewer_regions_are_missing(
    missing: tuple[str, ...], earlier: list[tuple[str, ...]], due: bool
) -> None:
    state = State.PARTIAL if missing else State.READY
    assert is_due(Verdict(state, missing), earlier) is due


def test_a_waiting_period_is_not_due() -> None:
    assert not is_due(Verdict(State.WAIT, ("US",), MIDNIGHT), [])


REGIONS = ("ASIA", "EU", "GLOBAL", "JP", "US")
ENTRIES = st.lists(
    st.builds(
        RegionSession,
        region=st.sampled_from(REGIONS),
        session=st.dates(date(2024, 1, 1), date(2024, 1, 31)),
        closes_at=st.datetimes(datetime(2024, 1, 1), datetime(2024, 2, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
        phase=st.none() | st.sampled_from(Phase),
    ),
    max_size=12,
)
INSTANTS = st.datetimes(datetime(2023, 12, 30), datetime(2024, 2, 5), timezones=st.just(UTC))  # noqa: DTZ001 - as above


@given(ENTRIES, INSTANTS)
def test_exactly_the_incomplete_regions_are_missing(entries: list[RegionSession], now: datetime) -> None:
    expected = {entry.region for entry in entries if entry.phase is not Phase.COMPLETED}
    assert set(judge(entries, now, GRACE).missing) == expected


@given(ENTRIES, INSTANTS, st.timedeltas(timedelta(0), timedelta(days=40)))
def test_a_decision_is_never_taken_back_by_time(entries: list[RegionSession], now: datetime, wait: timedelta) -> None:
    verdict = judge(entries, now, GRACE)
    if verdict.decided:
        assert judge(entries, now + wait, GRACE) == verdict


@given(ENTRIES, INSTANTS)
def test_waiting_until_the_stated_instant_always_decides(entries: list[RegionSession], now: datetime) -> None:
    verdict = judge(entries, now, GRACE)
    if verdict.until is not None:
        assert verdict.until > now
        assert judge(entries, verdict.until, GRACE).state is State.PARTIAL


@given(ENTRIES, INSTANTS, st.randoms())
def test_order_does_not_matter(entries: list[RegionSession], now: datetime, random: Random) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert judge(shuffled, now, GRACE) == judge(entries, now, GRACE)


@given(st.lists(st.sets(st.sampled_from(REGIONS)), max_size=30))
def test_a_period_runs_at_most_once_per_region_and_once_more(arrivals: list[set[str]]) -> None:
    """Whatever the missing regions do from tick to tick, runs are bounded and end with READY."""
    ran: list[tuple[str, ...]] = []
    for missing in arrivals:
        verdict = Verdict(State.PARTIAL if missing else State.READY, tuple(sorted(missing)))
        if is_due(verdict, ran):
            ran.append(verdict.missing)
    assert len(ran) <= len(REGIONS) + 1
    assert () not in ran[:-1]
