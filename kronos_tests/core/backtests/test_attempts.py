"""Where an experiment stands after its attempts: as the simulator books them, and case by case."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.core.backtests.attempts import Attempt, AttemptOutcome, Standing, standing
from kronos.core.scheduling.policy import Retries, SchedulerPolicy
from kronos.core.scheduling.scenario import Job, Schedule
from kronos.core.scheduling.simulate import STARTUP, Run, _World
from kronos_tests.core.scheduling.scenes import NOON, daily_windows, forecasts

many = settings(max_examples=200, deadline=None, derandomize=True)

COMPLETED, PREEMPTED, CRASHED, LOST, CANCELLED = AttemptOutcome
RETRIES = Retries(first_after=timedelta(minutes=1), factor=2.0, longest=timedelta(minutes=5), attempts=3)
T0 = datetime(2024, 6, 3, 12, tzinfo=UTC)
ID = UUID("6f1c2c52-6a9e-4c1c-9a53-0d6f3c0f6a11")


def attempt(
    number: int = 1,
    outcome: AttemptOutcome = PREEMPTED,
    *,
    before: int = 0,
    gained: int = 0,
    last: int = 0,
    lasted: int = 600,
    began: bool = True,
    **changes: Any,
) -> Attempt:
    """An ended attempt, an hour after the one before; last: seconds after its start at which it made its last piece."""
    start = T0 + timedelta(hours=number)
    usual: dict[str, Any] = {
        "experiment_id": ID,
        "attempt": number,
        "node": "n0",
        "batch": ID,
        "lead_attempt": number,
        "admitted_at": start - timedelta(seconds=7),
        "leave_by": None,
        "pieces": 10,
        "pieces_before": before,
        "run_id": "run" if began else None,
        "started_at": start if began else None,
        "told_at": None,
        "told_why": None,
        "forced": False,
        "ended_at": start + timedelta(seconds=lasted),
        "outcome": outcome,
        "pieces_after": before + gained,
        "why": f"said by {number}",
        "last_piece_at": start + timedelta(seconds=last) if gained else None,
    }
    return Attempt(**{**usual, **changes})


def now(*attempts: Attempt) -> Standing:
    return standing(attempts, RETRIES)


STEPS = st.lists(st.tuples(st.just(0) | st.integers(0, 2500), st.booleans()), max_size=8)
"""Seconds each attempt worked, and whether it crashed rather than left."""


@many
@given(STEPS, st.integers(1, 6), st.integers(300, 900))
def test_a_history_comes_to_what_the_simulator_books(steps: list[tuple[int, bool]], folds: int, piece: int) -> None:
    job = Job("e0", 0, 5, False, False, NOON, folds * piece, folds, 20, 20)
    world = _World(
        Schedule(NOON, daily_windows(), SchedulerPolicy(retries=RETRIES), forecasts(), [4000], [0], [job]),
        np.random.default_rng(0),
    )
    history: list[Attempt] = []
    for number, (seconds, crashed) in enumerate(steps, start=1):
        worked = min(seconds, (folds - job.folds_done) * piece - 1)
        began = int((T0 + timedelta(hours=number)).timestamp())
        run = Run([job], 0, began - STARTUP, began + 10**6)
        world._runs["e0"] = run
        before = job.folds_done
        world._end("e0", run, began + worked, crashed=crashed)
        gained = worked // piece
        outcome, last = LOST if crashed else PREEMPTED, gained * piece
        history.append(
            attempt(number, outcome, before=before, gained=gained, last=last, lasted=worked, began=worked > 0)
        )
    found = now(*history)
    assert (found.pieces_done, found.stalls, found.survived) == (job.folds_done, job.stalls, job.survived)
    assert (_seconds(found.preempted_at), found.crashes) == (job.preempted_at, job.crashes)
    if found.not_before is not None:
        assert _seconds(found.not_before) == job.not_before


def _seconds(instant: datetime | None) -> int:
    return -(2**40) if instant is None else int(instant.timestamp())


@many
@given(st.lists(st.tuples(st.sampled_from([PREEMPTED, CRASHED, LOST, CANCELLED]), st.integers(0, 3), st.booleans())))
def test_pieces_done_never_fall_unless_a_backtest_was_completed(
    steps: list[tuple[AttemptOutcome, int, bool]],
) -> None:
    history: list[Attempt] = []
    for number, (outcome, gained, began) in enumerate(steps, start=1):
        done = now(*history).pieces_done
        history.append(attempt(number, outcome, before=done, gained=gained if began else 0, began=began))
        assert now(*history).pieces_done == done + history[-1].gained >= done
    assert now(*history, attempt(len(steps) + 1, COMPLETED)) == Standing()


def test_before_its_first_attempt_nothing_is_known() -> None:
    assert now() == Standing(pieces=1, pieces_done=0, crashes=0, stalls=0, survived=0)


def test_what_a_backtest_was_is_forgotten_once_it_completed() -> None:
    """Testing continues from nothing: other dates are other pieces."""
    before = [attempt(1, CRASHED), attempt(2, PREEMPTED, gained=3), attempt(3, COMPLETED, before=3, gained=7)]
    again = attempt(4, PREEMPTED, gained=2, last=500)
    assert now(*before) == Standing()
    assert now(*before, again) == now(again)


def test_the_newest_attempt_says_how_many_pieces_there_are() -> None:
    assert now(attempt(1, gained=2), attempt(2, before=2, pieces=12)).pieces == 12


def test_crashes_in_a_row_make_the_pauses_longer_up_to_the_longest() -> None:
    found = [now(*(attempt(n, CRASHED) for n in range(1, count + 1))) for count in range(1, 6)]
    ends = [T0 + timedelta(hours=n, minutes=10) for n in range(1, 6)]
    pauses = [one.not_before - end for one, end in zip(found, ends, strict=True) if one.not_before]
    assert pauses == [timedelta(minutes=n) for n in (1, 2, 4, 5, 5)]
    assert [one.crashes for one in found] == [1, 2, 3, 4, 5]


def test_a_checkpoint_ends_the_row_of_crashes_and_of_preemptions() -> None:
    assert now(attempt(1, CRASHED), attempt(2, CRASHED, gained=1)).crashes == 1
    assert now(attempt(1, CRASHED), attempt(2, PREEMPTED, gained=1)).crashes == 0
    assert now(attempt(1), attempt(2), attempt(3, gained=1)).stalls == 0
    assert now(attempt(1), attempt(2)).stalls == 2


def test_who_has_to_leave_before_it_began_has_not_stalled() -> None:
    """It lost no time, and says nothing of how long a piece takes."""
    early = [attempt(n, began=False) for n in (1, 2, 3)]
    assert now(*early).stalls == 0 and now(*early).preempted_at == early[-1].ended_at
    assert now(attempt(1), attempt(2, began=False), attempt(3)).stalls == 2


def test_a_preemption_is_no_crash_and_a_crash_is_no_stall() -> None:
    mixed = now(attempt(1, CRASHED), attempt(2, PREEMPTED), attempt(3, CRASHED))
    assert (mixed.crashes, mixed.stalls) == (2, 1)
    assert now(attempt(1, CRASHED), attempt(2, PREEMPTED)).not_before is None


@pytest.mark.parametrize(
    ("outcome", "began", "crashes"),
    [(LOST, False, 0), (LOST, True, 1), (CRASHED, False, 1), (CRASHED, True, 1), (CANCELLED, True, 0)],
)
def test_a_run_that_was_lost_before_it_began_did_not_crash(outcome: AttemptOutcome, began: bool, crashes: int) -> None:
    found = now(attempt(1, outcome, began=began))
    assert (found.crashes, found.not_before is not None) == (crashes, crashes > 0)


def test_a_run_lost_before_it_began_leaves_the_row_of_crashes_as_it_is() -> None:
    assert now(attempt(1, CRASHED), attempt(2, LOST, began=False), attempt(3, CRASHED)).crashes == 2


def test_it_is_given_up_after_so_many_crashes_and_no_preemption() -> None:
    crashed = [attempt(n, CRASHED) for n in (1, 2, 3)]
    assert [now(*crashed[:count]).given_up(RETRIES) for count in range(4)] == [False, False, False, True]
    assert not now(*(attempt(n, PREEMPTED) for n in range(1, 10))).given_up(RETRIES)


def test_the_longest_time_that_led_to_no_checkpoint_is_kept_until_there_is_one() -> None:
    """Ten minutes without a piece, five; then one after eight of ten minutes: two are lost."""
    long, short = attempt(1, lasted=600), attempt(2, lasted=300)
    assert now(long, short).survived == 600
    assert now(long, short, attempt(3, gained=1, last=480, lasted=600)).survived == 120


def test_time_before_the_run_took_the_attempt_up_and_before_its_last_piece_is_not_lost() -> None:
    assert attempt(began=False).lost_seconds == 0
    assert attempt(gained=1, last=599).lost_seconds == 1
    stale = replace(attempt(), last_piece_at=T0)
    assert stale.lost_seconds == 600
    assert replace(attempt(), ended_at=None, outcome=None, pieces_after=None).lost_seconds == 0


def test_the_last_failure_keeps_its_words_through_preemptions() -> None:
    assert now(attempt(1, CRASHED), attempt(2, PREEMPTED)).why == "said by 1"
    assert now(attempt(1, CRASHED), attempt(2, LOST)).why == "said by 2"
    assert now(attempt(1, CRASHED, why=None)).why == ""


def test_the_last_preemption_is_remembered_for_the_cooldown() -> None:
    first, second = attempt(1, PREEMPTED), attempt(2, CRASHED)
    assert now(first, second).preempted_at == first.ended_at
    assert now(second).preempted_at is None


def test_a_row_of_the_database_is_read_strictly_by_its_names() -> None:
    row = vars(attempt()) | {"experiment_id": str(ID), "outcome": "LOST"}
    assert Attempt.from_row(**row) == attempt(outcome=LOST)
    with pytest.raises(ValueError, match="outcome"):
        Attempt.from_row(**{**row, "outcome": "VANISHED"})


@pytest.mark.parametrize(("crashes", "gained", "last"), [(0, False, False), (4, False, True), (4, True, False)])
def test_a_try_is_the_last_when_one_more_failure_in_a_row_would_be_too_many(
    crashes: int, gained: bool, last: bool
) -> None:
    assert Standing(crashes=crashes).last_try(Retries(attempts=5), gained=gained) is last


def test_where_no_failure_is_forgiven_every_try_is_the_last() -> None:
    assert Standing().last_try(Retries(attempts=1), gained=True)


def test_pieces_of_an_open_attempt_are_those_it_made_so_far() -> None:
    of_open: dict[str, Any] = {"outcome": None, "ended_at": None, "pieces_after": None}
    assert attempt(1, before=2, pieces_made=3, **of_open).pieces_stand == 5
    assert attempt(1, before=2, **of_open).pieces_stand is None
    assert attempt(1, before=2, gained=1, pieces_made=9).pieces_stand == 3
