"""The barrier over written engine runs of two regions, real calendars, and claims in a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from kronos.core.scheduling.barrier import State
from kronos.core.scheduling.periods import Cadence, period_from_key, periods_between
from kronos.services import barrier
from kronos.services.barrier import Judged, Request, claim_requests, judge_periods, open_periods
from kronos.services.observatory import open_pipeline
from kronos.services.pipeline import Pipeline
from kronos.services.refresh import refresh_cells, refresh_facts
from kronos.store import meta_runs
from kronos.store.meta_runs import Claim
from kronos_tests.builders import decision, insert
from kronos_tests.defs.world import LIVE_FROM, World, evening

MONDAY, TUESDAY, FRIDAY = date(2020, 2, 3), date(2020, 2, 4), date(2020, 2, 7)


@pytest.fixture
def pipeline(world: World) -> Iterator[Pipeline]:
    with open_pipeline(world.settings, world.database) as opened:
        yield opened


def _judge(pipeline: Pipeline, cadence: Cadence, key: str, now: datetime) -> Judged:
    (judged,) = judge_periods(pipeline, [period_from_key(cadence, key)], now)
    return judged


def _claims(pipeline: Pipeline, cadence: Cadence, now: datetime, stale: list[str] | None = None) -> list[Request]:
    return claim_requests(pipeline, cadence, open_periods(pipeline, cadence, LIVE_FROM, now), lambda: stale or [])


def _keys(requests: list[Request]) -> list[list[str]]:
    return [[period.key for period in request.periods] for request in requests]


def test_a_day_waits_for_the_later_market_and_is_partial_after_its_deadline(world: World, pipeline: Pipeline) -> None:
    world.play(date(2020, 2, 3), TUESDAY, {"US": "BOOKS_DONE"})
    before, after = (datetime(2020, 2, 5, 1, minute, tzinfo=UTC) for minute in (14, 15))
    assert _judge(pipeline, Cadence.DAILY, "2020-02-04", before).verdict.state is State.WAIT
    assert _judge(pipeline, Cadence.DAILY, "2020-02-04", after).verdict.label == "PARTIAL(US)"


def test_a_half_day_has_its_deadline_earlier(world: World, pipeline: Pipeline) -> None:
    """New York closes at 13:00 on the Friday after Thanksgiving: 18:00 UTC, so 22:15 is the deadline."""
    world.play(date(2020, 11, 23), date(2020, 11, 27), {"US": "BOOKS_DONE"})
    at_deadline = datetime(2020, 11, 27, 22, 15, tzinfo=UTC)
    verdict = _judge(pipeline, Cadence.DAILY, "2020-11-27", at_deadline).verdict
    assert (verdict.state, verdict.missing) == (State.PARTIAL, ("US",))


@pytest.mark.parametrize(("day", "deadline"), [("2020-03-06", "2020-03-07T01:15"), ("2020-03-09", "2020-03-10T00:15")])
def test_daylight_saving_moves_the_deadline(world: World, pipeline: Pipeline, day: str, deadline: str) -> None:
    world.play(date(2020, 3, 5), date(2020, 3, 9), {"US": "SIGNALS_DONE"})
    until = _judge(pipeline, Cadence.DAILY, day, datetime.fromisoformat(f"{day}T12:00+00:00")).verdict.until
    assert until == datetime.fromisoformat(f"{deadline}+00:00")


def test_a_holiday_in_one_region_does_not_hold_the_other(world: World, pipeline: Pipeline) -> None:
    """Presidents' Day: New York is closed, Frankfurt is not."""
    world.play(date(2020, 2, 14), date(2020, 2, 17))
    assert _judge(pipeline, Cadence.DAILY, "2020-02-17", evening(date(2020, 2, 17))).verdict.state is State.READY


def test_a_failed_run_that_is_repeated_counts_by_its_newest(world: World, pipeline: Pipeline) -> None:
    world.play(TUESDAY, TUESDAY, {"EU": "FAILED"})
    assert _judge(pipeline, Cadence.DAILY, "2020-02-04", evening(TUESDAY)).verdict.label == "PARTIAL(EU)"
    world.complete("EU", TUESDAY)
    assert _judge(pipeline, Cadence.DAILY, "2020-02-04", evening(TUESDAY)).verdict.label == "READY"


def test_decisions_that_name_no_market_are_no_region_to_wait_for(world: World, pipeline: Pipeline) -> None:
    world.play(date(2020, 2, 3), TUESDAY)
    insert(world.database, engine_decisions=[decision("lost", TUESDAY, context_id="none", market_id=None)])
    refresh_facts(pipeline, ["2020-02"], today=TUESDAY)
    refresh_cells(pipeline, ["2020-02"])
    assert _judge(pipeline, Cadence.DAILY, "2020-02-04", evening(TUESDAY)).verdict.label == "READY"


def test_where_no_decision_names_a_market_they_are_all_there_is_to_wait_for(world: World, pipeline: Pipeline) -> None:
    insert(world.database, engine_decisions=[decision("lost", TUESDAY, context_id="none", market_id=None)])
    refresh_facts(pipeline, ["2020-02"], today=TUESDAY)
    refresh_cells(pipeline, ["2020-02"])
    late = evening(date(2020, 2, 5))
    assert _judge(pipeline, Cadence.DAILY, "2020-02-04", late).verdict.label == "PARTIAL(UNKNOWN)"


def test_a_week_waits_for_its_last_session(world: World, pipeline: Pipeline) -> None:
    world.play(date(2020, 2, 3), date(2020, 2, 6))
    assert _judge(pipeline, Cadence.WEEKLY, "2020-02-03", evening(date(2020, 2, 6))).verdict.state is State.WAIT
    world.play(FRIDAY, FRIDAY)
    assert _judge(pipeline, Cadence.WEEKLY, "2020-02-03", evening(FRIDAY)).verdict.state is State.READY


def test_a_month_waits_for_the_calendar_not_for_the_month_to_end(world: World, pipeline: Pipeline) -> None:
    """The last session of February 2020 is Friday the 28th; the 29th is a Saturday."""
    world.play(date(2020, 2, 3), date(2020, 2, 28))
    thursday, friday = date(2020, 2, 27), date(2020, 2, 28)
    assert _judge(pipeline, Cadence.MONTHLY, "2020-02", evening(thursday)).verdict.state is not State.WAIT
    assert _judge(pipeline, Cadence.MONTHLY, "2020-02", evening(friday)).verdict.state is State.READY


def test_due_days_are_claimed_once_in_runs_without_a_gap(world: World, pipeline: Pipeline) -> None:
    world.play(date(2020, 2, 3), date(2020, 2, 11))
    now = evening(date(2020, 2, 11))
    assert _keys(_claims(pipeline, Cadence.DAILY, now)) == [
        ["2020-02-03", "2020-02-04", "2020-02-05", "2020-02-06", "2020-02-07"],
        ["2020-02-10", "2020-02-11"],
    ]
    assert _claims(pipeline, Cadence.DAILY, now) == []


def test_a_region_that_arrives_late_is_caught_up_once(world: World, pipeline: Pipeline) -> None:
    world.play(MONDAY, MONDAY)
    world.play(TUESDAY, TUESDAY, {"EU": None})
    (partial,) = _claims(pipeline, Cadence.DAILY, evening(TUESDAY))
    world.complete("EU", TUESDAY)
    (caught_up,) = _claims(pipeline, Cadence.DAILY, evening(TUESDAY))
    assert (partial.labels, caught_up.labels) == (("READY", "PARTIAL(EU)"), ("READY",))
    assert [period.key for period in caught_up.periods] == ["2020-02-04"]
    assert partial.key != caught_up.key
    assert _claims(pipeline, Cadence.DAILY, evening(TUESDAY)) == []


def test_a_day_whose_month_is_being_rebuilt_is_not_claimed(world: World, pipeline: Pipeline) -> None:
    world.play(TUESDAY, TUESDAY)
    assert _claims(pipeline, Cadence.DAILY, evening(TUESDAY), stale=["2020-02"]) == []
    assert len(_claims(pipeline, Cadence.DAILY, evening(TUESDAY), stale=["2020-01"])) == 1


def test_a_claim_nobody_started_is_handed_over_under_its_own_key(
    world: World, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.play(TUESDAY, TUESDAY)
    (first,) = _claims(pipeline, Cadence.DAILY, evening(TUESDAY))
    monkeypatch.setattr(barrier, "LEASE", timedelta(0))
    (again,) = _claims(pipeline, Cadence.DAILY, evening(TUESDAY))
    assert again == first
    meta_runs.start(world.database, Cadence.DAILY, ["2020-02-04"], "a run")
    assert _claims(pipeline, Cadence.DAILY, evening(TUESDAY)) == []


def test_the_database_refuses_a_second_claim(world: World) -> None:
    """Even to a writer that does not take the lock."""
    claim = Claim("2020-02-04", ("EU",))
    with meta_runs.claiming(world.database, Cadence.DAILY) as session:
        meta_runs.claim(session, Cadence.DAILY, "one", [claim])
    with pytest.raises(psycopg.errors.UniqueViolation), world.database.connect() as session:
        meta_runs.claim(session, Cadence.DAILY, "two", [claim])


def test_days_long_past_are_left_unless_they_follow_the_last_request(world: World, pipeline: Pipeline) -> None:
    world.play(date(2020, 2, 3), date(2020, 5, 29))
    now = evening(date(2020, 5, 29))
    recent = open_periods(pipeline, Cadence.DAILY, LIVE_FROM, now)
    assert recent[0].period.start == now.date() - barrier.LOOKBACK
    with meta_runs.claiming(world.database, Cadence.DAILY) as session:
        meta_runs.claim(session, Cadence.DAILY, "early", [Claim("2020-02-04", ())])
    resumed = open_periods(pipeline, Cadence.DAILY, LIVE_FROM, now)
    assert resumed[0].period.key == "2020-02-04"


def test_sixty_months_are_judged_at_once(world: World, pipeline: Pipeline) -> None:
    world.play(date(2020, 1, 2), date(2020, 3, 31), {"EU": None})
    months = periods_between(Cadence.MONTHLY, date(2016, 1, 1), date(2020, 3, 31))
    labels = {j.period.key: j.verdict.label for j in judge_periods(pipeline, months, evening(date(2020, 3, 31)))}
    assert labels["2020-03"] == "READY"  # no run and no cells: nothing shows that Europe is operated at all
    assert labels["2016-01"] == "NO_SESSION"
