"""What tier 1 is doing, from its jobs and its engine runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kronos.core.scheduling.policy import SchedulerPolicy
from kronos.core.scheduling.snapshot import NEVER, Tier1
from kronos.core.scheduling.tier1 import JobState, RunState, tier1_states
from kronos.core.vocabulary import Phase

NOW = datetime(2024, 6, 3, 21, tzinfo=UTC)
LONGEST = timedelta(hours=24)
LOWER = SchedulerPolicy().lower_tiers
REGIONS = {"US_EQ": "US", "US_FUT": "US", "EU_EQ": "EU"}


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def at(instant: datetime) -> int:
    return int(instant.timestamp())


def states(jobs: Sequence[JobState] = (), runs: Sequence[RunState] = ()) -> dict[str, Tier1]:
    return {one.market: one for one in tier1_states(REGIONS, jobs, runs, NOW, LONGEST, LOWER)}


def running(market: str = "US_EQ", hours: float | None = 1) -> JobState:
    return JobState(market, True, None if hours is None else ago(hours), None)


def of_type(job: JobState, job_type: str) -> JobState:
    return replace(job, job_type=job_type)


def ended(market: str = "US_EQ", hours: float = 2) -> JobState:
    return JobState(market, False, None, ago(hours))


def test_there_is_one_state_per_market_in_use_by_name() -> None:
    assert [one.market for one in tier1_states(REGIONS, [], [], NOW, LONGEST)] == ["EU_EQ", "US_EQ", "US_FUT"]
    assert tier1_states({}, [running()], [], NOW, LONGEST) == ()


def test_a_market_nobody_reported_on_was_never_read() -> None:
    assert states()["US_EQ"] == Tier1("US_EQ", False, NEVER, NEVER)


def test_a_running_job_keeps_its_market_busy_since_it_began() -> None:
    found = states([running(), ended()])
    assert found["US_EQ"] == Tier1("US_EQ", True, at(ago(1)), at(NOW))
    assert found["US_FUT"].taken_at == NEVER


def test_a_running_job_that_does_not_say_since_when_is_busy_from_now_on() -> None:
    assert states([running(hours=None)])["US_EQ"] == Tier1("US_EQ", True, at(NOW), at(NOW))


def test_a_job_without_a_market_keeps_all_of_them_busy() -> None:
    found = states([running("")])
    assert {(one.busy, one.since) for one in found.values()} == {(True, at(ago(1)))}


def test_a_job_without_a_market_that_ended_says_nothing_about_a_market_nobody_reported_on() -> None:
    """It moves the end of tier 1's work, but whether this market's jobs run is still unknown."""
    found = states([ended("", 0.5), ended("US_EQ", 2)])
    assert found["US_EQ"] == Tier1("US_EQ", False, at(ago(0.5)), at(NOW))
    assert found["EU_EQ"] == Tier1("EU_EQ", False, at(ago(0.5)), NEVER)


def test_a_job_of_a_market_that_nobody_knows_keeps_all_of_them_busy() -> None:
    """Upstream writes GLOBAL for work that every market waits for."""
    found = states([running("GLOBAL"), ended("US_EQ")])
    assert {(one.busy, one.since) for one in found.values()} == {(True, at(ago(1)))}
    assert states([ended("GLOBAL")])["US_EQ"].taken_at == NEVER


def test_an_engine_run_of_a_region_that_nobody_knows_keeps_all_markets_busy() -> None:
    found = states(runs=[RunState("ASIA", "SIGNALS_DONE", ago(1))])
    assert {(one.busy, one.since) for one in found.values()} == {(True, at(ago(1)))}
    assert states(runs=[RunState("ASIA", "COMPLETED", ago(1))])["US_EQ"].taken_at == NEVER


def test_a_job_of_a_lower_tier_is_no_work_and_no_news_of_its_market() -> None:
    found = states([of_type(running(), "Meta_Daily"), of_type(ended("EU_EQ"), "backtest")])
    assert {(one.busy, one.since, one.taken_at) for one in found.values()} == {(False, NEVER, NEVER)}


@pytest.mark.parametrize("job_type", ["", "ENGINES", "meta_daily_prices", "ingest_backtest"])
def test_a_job_of_any_other_type_is_tier_1(job_type: str) -> None:
    assert states([of_type(running(), job_type)])["US_EQ"].busy


@pytest.mark.parametrize("phase", Phase)
def test_an_engine_run_is_at_work_once_its_data_is_there_until_it_is_over(phase: Phase) -> None:
    busy = phase not in (Phase.WAITING_FOR_DATA, Phase.COMPLETED, Phase.FAILED)
    found = states(runs=[RunState("US", phase, ago(1))])
    assert found["US_EQ"] == Tier1("US_EQ", busy, at(ago(1)), at(NOW))
    assert found["US_FUT"].busy == busy and found["EU_EQ"].taken_at == NEVER


def test_a_phase_nobody_knows_is_no_work() -> None:
    assert not states(runs=[RunState("US", "REBALANCING", ago(1))])["US_EQ"].busy


def test_busy_since_is_the_earliest_and_idle_since_the_latest_of_jobs_and_runs() -> None:
    work, done = RunState("US", "SIGNALS_DONE", ago(3)), RunState("US", "COMPLETED", ago(1))
    assert states([running(hours=2)], [work])["US_EQ"].since == at(ago(3))
    assert states([ended(hours=2)], [done])["US_EQ"] == Tier1("US_EQ", False, at(ago(1)), at(NOW))


def test_an_engine_run_at_work_for_too_long_has_died() -> None:
    at_the_limit, beyond = RunState("US", "BOOKS_DONE", NOW - LONGEST), RunState("US", "BOOKS_DONE", ago(24.01))
    assert states(runs=[at_the_limit])["US_EQ"].busy
    assert states(runs=[beyond])["US_EQ"] == Tier1("US_EQ", False, at(ago(24.01)), at(NOW))


def test_an_engine_run_further_ahead_than_that_says_nothing() -> None:
    """It would be at work, or its end would settle, until then."""
    for phase in (Phase.SIGNALS_DONE, Phase.COMPLETED):
        assert states(runs=[RunState("US", phase, ago(-24))])["US_EQ"].taken_at == at(NOW)
        assert states(runs=[RunState("US", phase, ago(-24.01))])["US_EQ"] == Tier1("US_EQ", False, NEVER, NEVER)


def test_a_region_at_work_for_one_date_is_busy_whatever_its_other_dates_have_come_to() -> None:
    late, next_one = RunState("US", "SIGNALS_DONE", ago(0.5)), RunState("US", "WAITING_FOR_DATA", ago(5))
    died = RunState("US", "DATA_READY", ago(30))
    for runs in ([late, next_one, died], [died, next_one, late]):
        assert states(runs=runs)["US_EQ"] == Tier1("US_EQ", True, at(ago(0.5)), at(NOW))
    assert states(runs=[next_one, died])["US_EQ"] == Tier1("US_EQ", False, at(ago(5)), at(NOW))


@pytest.mark.parametrize("runs", [[RunState("US", "COMPLETED", ago(1))], []])
def test_decisions_that_name_no_market_need_no_state_of_their_own_beside_a_market(runs: list[RunState]) -> None:
    """No job and no region of upstream's is ever called that, so nobody would know for ever."""
    found = tier1_states({"UNKNOWN": "UNKNOWN", "US_EQ": "US"}, [], runs, NOW, LONGEST)
    assert found == tier1_states({"US_EQ": "US"}, [], runs, NOW, LONGEST)


def test_decisions_that_name_no_market_are_unread_where_there_is_no_other() -> None:
    runs = [RunState("US", "COMPLETED", ago(1))]
    (found,) = tier1_states({"UNKNOWN": "UNKNOWN"}, [ended("US_EQ")], runs, NOW, LONGEST)
    assert found == Tier1("UNKNOWN", False, at(ago(1)), NEVER)


def test_what_is_read_of_the_market_nobody_names_counts_all_the_same() -> None:
    (unknown, _) = tier1_states({"UNKNOWN": "UNKNOWN", "US_EQ": "US"}, [running("UNKNOWN")], [], NOW, LONGEST)
    assert unknown == Tier1("UNKNOWN", True, at(ago(1)), at(NOW))


JOBS = st.builds(
    JobState, st.sampled_from(["", *REGIONS]), st.booleans(), st.none() | st.floats(0, 99).map(ago), st.none()
)
RUNS = st.builds(RunState, st.sampled_from(["US", "EU"]), st.sampled_from(Phase), st.floats(0, 99).map(ago))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(JOBS, max_size=5), st.lists(RUNS, max_size=3), JOBS)
def test_one_more_job_never_makes_a_busy_market_idle(
    jobs: list[JobState], runs: list[RunState], more: JobState
) -> None:
    before, after = states(jobs, runs), states([*jobs, more], runs)
    for market, one in before.items():
        if one.busy:
            assert after[market].busy and after[market].since <= one.since


def test_the_list_of_lower_tiers_is_strict() -> None:
    """A job that tells no type is of none of them."""
    with pytest.raises(ValidationError, match=r"lower_tiers\.1"):
        SchedulerPolicy(lower_tiers=("meta_daily", ""))
    with pytest.raises(ValidationError, match="lower_tier\n"):
        SchedulerPolicy.model_validate({"lower_tier": ["meta_daily"]})
