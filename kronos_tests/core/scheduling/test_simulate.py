"""The simulator: a sample of the storm, its repeatability, and that it notices a scheduler that breaks its promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kronos.core.scheduling.policy import NO_LIMITS, SchedulerPolicy
from kronos.core.scheduling.promises import Tally, combined, promises, tally
from kronos.core.scheduling.scenario import DAY, HOUR, Job, Schedule
from kronos.core.scheduling.simulate import Outcome, Stay, can_finish, simulate
from kronos.core.scheduling.timeline import timeline_svg
from kronos.services.simulation import simulated
from kronos_tests.core.scheduling.scenes import CLOSE, DEADLINE, NOON, daily_windows, forecasts
from kronos_tests.proofs import scheduler_storm

POLICY = SchedulerPolicy(limits=NO_LIMITS, most_running=None)


def _schedule(*jobs: Job, **troubles: object) -> Schedule:
    schedule = Schedule(NOON, daily_windows(days=90), POLICY, forecasts(), [4000], [0], list(jobs))
    return replace(schedule, **troubles)


def _job(name: str = "e0", *, minutes: int = 60, folds: int = 1, arrives: int = NOON) -> Job:
    return Job(name, 0, 5, False, False, arrives, minutes * 60, folds, 20, 20)


def _outcome(schedule: Schedule) -> Outcome:
    return simulate(schedule, np.random.default_rng(1))


@pytest.mark.proof
@pytest.mark.parametrize("case", scheduler_storm.CASES[:1])
def test_a_sample_of_the_storm_keeps_every_promise(case: str) -> None:
    assert scheduler_storm.run(case, 150)["holds"]


def test_a_seed_gives_the_same_schedules_and_the_same_outcomes() -> None:
    one, other = ([tally(outcome) for outcome in simulated(5, 3, POLICY)] for _ in range(2))
    assert one == other and combined(one).experiments > 0


def test_a_lone_experiment_starts_at_the_next_tick_and_takes_its_time() -> None:
    job = _job(arrives=NOON + 10)
    assert [(stay.start, stay.end) for stay in _outcome(_schedule(job)).stays] == [(NOON + 30, NOON + 37 + HOUR)]


def test_an_experiment_that_can_be_resumed_works_around_the_windows() -> None:
    """Ten hours of work from noon: four before the close, six after the deadline, less what was lost at the edge."""
    job = _job(minutes=600, folds=60)
    outcome = _outcome(_schedule(job))
    first, second = outcome.stays
    assert CLOSE - 60 <= first.end <= CLOSE and second.start == DEADLINE
    assert job.finished is not None and job.finished < DEADLINE + 6 * HOUR + 20 * 60
    assert tally(outcome).longest_overlap <= 0


def test_a_scheduler_that_is_down_does_not_keep_runs_from_leaving() -> None:
    job = _job(minutes=600, folds=60)
    outcome = _outcome(_schedule(job, down=[(NOON + HOUR, CLOSE + 2 * HOUR)]))
    assert outcome.stays[0].end == CLOSE


def test_a_lost_node_costs_no_more_than_the_work_since_the_checkpoint() -> None:
    job = _job(minutes=120, folds=12)
    outcome = _outcome(_schedule(job, lost=[(0, NOON + HOUR, NOON + HOUR + 600)]))
    assert (job.crashes, job.folds_done) == (1, 5) and job.finished is not None
    assert 0 < outcome.wasted <= 600 * 1000


def test_a_checkpoint_ends_a_row_of_failures() -> None:
    lost = [(0, NOON + minutes * 60, NOON + minutes * 60 + 30) for minutes in (5, 9, 45)]
    job = _job(minutes=120, folds=12)
    assert len(_outcome(_schedule(job, lost=lost)).stays) == 4
    assert job.crashes == 1


def test_what_fits_nowhere_is_not_waited_for() -> None:
    endless = _job(minutes=60 * 400)
    schedule = _schedule(endless)
    assert not can_finish(schedule, endless)
    assert _outcome(schedule).ended < NOON + DAY


def test_broken_promises_are_seen() -> None:
    schedule = _schedule(_job())
    late = Outcome(schedule, stays=[Stay("e0", 0, NOON, CLOSE + 301, 2000), Stay("e1", 0, NOON + 60, CLOSE, 2000)])
    seen = tally(replace(late, used=HOUR, unused=HOUR, unused_as_fluid=HOUR, longest_after_tier1=301))
    broken = {promise.name for promise in promises(seen, 300) if not promise.holds}
    assert (seen.longest_overlap, seen.starved, seen.over_capacity) == (301, 1, 1)
    assert len(broken) == 6


def test_tallies_add_counts_and_keep_the_largest() -> None:
    both = Tally(schedules=1, used=2, longest_wait=3) + Tally(schedules=1, used=5, longest_wait=1)
    assert (both.schedules, both.used, both.longest_wait) == (2, 7, 3)


def test_the_picture_of_a_schedule_is_an_svg_with_a_bar_per_run() -> None:
    outcome = _outcome(_schedule(_job(minutes=600, folds=60), tier1=[("US_EQ", CLOSE - 60, CLOSE)]))
    picture = timeline_svg(outcome)
    assert picture.startswith("<svg ") and picture.endswith("</svg>\n")
    assert picture.count("<title>e0</title>") == len(outcome.stays) and "<title>protected</title>" in picture
