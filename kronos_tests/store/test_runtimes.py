"""How long completed backtests took, as the scheduler predicts from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import zip_longest

from kronos.core.backtests.attempts import AttemptOutcome
from kronos.core.changes.model import Experiment
from kronos.core.vocabulary import ExperimentStatus, ResourceClass
from kronos.store.backtests import PieceRecord, Runtime, record_piece, runtimes, save_spec
from kronos.store.database import Database, Role
from kronos.store.experiments import move_experiment
from kronos_tests.store.attempts import NEW, QUEUED, RUNNING, spec_of
from kronos_tests.store.changes import at_status, begin, created, moved

REVIEW = ExperimentStatus.AWAITING_REVIEW
COMPLETED, PREEMPTED, CRASHED, LOST, _ = AttemptOutcome
T0 = datetime(2024, 6, 3, 12, tzinfo=UTC)
PIECE = {"lake": {"backtest_cells": "t:3"}, "counts": {"decisions": 5}, "seconds": 1.5, "refused": None}


def _at_times(
    database: Database,
    experiment: Experiment,
    *lasted: tuple[int, AttemptOutcome],
    batch: Experiment | None = None,
    turns: Sequence[int | None] = (),
    made: bool = True,
) -> Experiment:
    """Attempts that took exactly so many seconds each, one a day; turns: after how many of them work on it began.

    made: whether what is completed makes its one piece, or has it from before.
    """
    for (seconds, outcome), turn in zip_longest(lasted, turns):
        target = REVIEW if outcome is COMPLETED else QUEUED
        running_one = moved(database, experiment, RUNNING)
        start = T0 + timedelta(days=running_one.attempt)
        with database.connect(Role.OWNER) as session:
            begin(session, "Kronos")
            session.execute(
                "INSERT INTO kronos.backtest_attempts (experiment_id, attempt, node, batch, admitted_at)"
                " VALUES (%s, %s, 'n0', %s, %s)",
                [experiment.experiment_id, running_one.attempt, (batch or experiment).experiment_id, start],
            )
            if turn is not None:
                session.execute(
                    "UPDATE kronos.backtest_attempts SET run_id = 'r', started_at = %s"
                    " WHERE experiment_id = %s AND outcome IS NULL",
                    [start + timedelta(seconds=turn), experiment.experiment_id],
                )
            if made and outcome is COMPLETED:
                one = spec_of(running_one)
                save_spec(session, running_one.experiment_id, one)
                piece = PieceRecord(**PIECE | {"piece": f"p{running_one.attempt}", "attempt": running_one.attempt})
                record_piece(session, running_one.experiment_id, one.digest, NEW, piece)
            session.execute(
                "UPDATE kronos.backtest_attempts SET ended_at = %s, outcome = %s"
                " WHERE experiment_id = %s AND outcome IS NULL",
                [start + timedelta(seconds=seconds), outcome, experiment.experiment_id],
            )
            experiment = move_experiment(session, experiment.experiment_id, [RUNNING], target)
    return experiment


def _runtimes(database: Database, newest: int = 9) -> list[Runtime]:
    with database.connect(Role.READER) as session:
        return runtimes(session, newest)


def test_a_runtime_is_that_of_all_attempts_up_to_completion(database: Database) -> None:
    experiment = at_status(database, QUEUED)
    experiment = _at_times(database, experiment, (100, PREEMPTED), (20, CRASHED), (50, COMPLETED))
    assert _runtimes(database) == [Runtime("REGIME", ResourceClass.CPU_HEAVY, 170.0)]
    _at_times(database, moved(database, experiment, QUEUED), (7, LOST), (30, COMPLETED))
    assert [one.seconds for one in _runtimes(database)] == [170.0, 37.0]


def test_what_a_member_of_a_batch_waited_for_the_others_is_not_its_runtime(database: Database) -> None:
    lead, member = at_status(database, QUEUED), at_status(database, QUEUED)
    _at_times(database, lead, (240, COMPLETED))
    _at_times(database, member, (600, LOST), (480, COMPLETED), batch=lead, turns=[None, 240])
    assert [one.seconds for one in _runtimes(database)] == [240.0, 240.0]


def test_only_the_newest_completed_backtests_count_oldest_first(database: Database) -> None:
    for seconds in (10, 20, 30):
        steps = [(1, PREEMPTED)] * (seconds // 10) + [(seconds, COMPLETED)]
        _at_times(database, at_status(database, QUEUED), *steps)
    _at_times(database, at_status(database, QUEUED), (99, PREEMPTED))
    assert [one.seconds for one in _runtimes(database, 2)] == [22.0, 33.0]


def test_an_engine_and_class_that_is_seldom_tested_keeps_its_history_beside_a_busy_one(database: Database) -> None:
    seldom = created(database, resource_class=ResourceClass.GPU_HEAVY)
    _at_times(database, moved(database, seldom, QUEUED), (900, COMPLETED))
    for seconds in (10, 20, 30):
        _at_times(database, at_status(database, QUEUED), (1, PREEMPTED), (seconds, COMPLETED))
    found = [(one.resource_class.value, one.seconds) for one in _runtimes(database, 2)]
    assert found == [("GPU_HEAVY", 900.0), ("CPU_HEAVY", 21.0), ("CPU_HEAVY", 31.0)]


def test_a_backtest_that_had_every_piece_from_before_tells_nothing_of_a_runtime(database: Database) -> None:
    """Asked for again it only looks them up; its pieces made after that count for the next time."""
    experiment = _at_times(database, at_status(database, QUEUED), (50, COMPLETED))
    experiment = _at_times(database, moved(database, experiment, QUEUED), (2, PREEMPTED), (1, COMPLETED), made=False)
    assert [one.seconds for one in _runtimes(database)] == [50.0]
    _at_times(database, moved(database, experiment, QUEUED), (3, LOST), (40, COMPLETED))
    assert [one.seconds for one in _runtimes(database)] == [50.0, 43.0]
