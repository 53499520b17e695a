"""Backtests in the live database: one worker per attempt, and nothing counts that an earlier one still writes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from kronos.core.backtests.attempts import AttemptOutcome
from kronos.core.changes.model import Experiment
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import ChangeRefused
from kronos.store.backtests import (
    Renewed,
    RunningBacktest,
    admit,
    attempts_of_queued,
    end_attempt,
    pieces_of,
    plan_pieces,
    queued_backtests,
    renew,
    running_backtests,
    take_up,
    tell,
)
from kronos.store.change_log import newest_entries
from kronos.store.database import Database, Role
from kronos.store.experiments import matching_experiments, move_experiment
from kronos.store.migrate import migrate
from kronos_tests.databases import migrate_before
from kronos_tests.store.attempts import NEW, QUEUED, RUNNING, admitted, attempts, ended, record, resulted, spec_of
from kronos_tests.store.changes import LEASE, at_status, begin, created, moved

_, _, _, REVIEW, _, REJECTED = ExperimentStatus
COMPLETED, PREEMPTED, CRASHED, LOST, CANCELLED = AttemptOutcome
TABLES = (
    "backtest_specs",
    "backtest_attempts",
    "backtest_pieces",
    "scheduling_decisions",
    "scheduler_state",
    "node_readings",
)


def reloaded(database: Database, experiment: Experiment) -> Experiment:
    with database.connect(Role.READER) as session:
        return matching_experiments(session, str(experiment.experiment_id))[0]


def renewed(database: Database, experiment: Experiment, lease_seconds: float = 60.0) -> Renewed | None:
    with database.connect(Role.ORCHESTRATOR) as session:
        return renew(session, experiment.experiment_id, experiment.attempt, lease_seconds)


def told(database: Database, experiment: Experiment, why: str, *, forced: bool = False) -> None:
    with database.connect(Role.ORCHESTRATOR) as session:
        tell(session, experiment.experiment_id, experiment.attempt, why, forced=forced)


def taken(database: Database, experiment: Experiment, run_id: str = "run") -> bool:
    with database.connect(Role.ORCHESTRATOR) as session:
        return take_up(session, experiment.experiment_id, experiment.attempt, run_id)


def running(database: Database) -> list[RunningBacktest]:
    with database.connect(Role.READER) as session:
        return running_backtests(session)


def as_owner(database: Database, statement: str, *values: object) -> None:
    """What no grant stops."""
    with database.connect(Role.OWNER) as session:
        begin(session)
        session.execute(statement, list(values))


# -- one worker


def test_of_ten_that_take_an_attempt_up_at_once_one_does(database: Database) -> None:
    experiment = admitted(database)
    everyone = Barrier(10)

    def ask(number: int) -> str | None:
        with database.connect(Role.ORCHESTRATOR) as session:
            everyone.wait()
            mine = take_up(session, experiment.experiment_id, experiment.attempt, f"run {number}")
        return f"run {number}" if mine else None

    with ThreadPoolExecutor(10) as pool:
        winners = [run for run in pool.map(ask, range(10)) if run]
    (attempt,) = attempts(database, experiment)
    assert winners == [attempt.run_id] and attempt.started_at is not None


def test_an_attempt_that_is_over_is_not_taken_up(database: Database) -> None:
    experiment = admitted(database)
    ended(database, experiment)
    assert not taken(database, experiment)


def test_an_attempt_begins_with_the_experiments_own(database: Database) -> None:
    queued = at_status(database, QUEUED)
    running_one = admitted(database)
    for experiment, attempt in ((queued, 1), (running_one, 2)):
        with database.connect(Role.ORCHESTRATOR) as session, pytest.raises(ChangeRefused) as refused:
            _admit(session, experiment, attempt)
        assert refused.value.rule == "backtests_attempt"


def test_an_attempt_is_admitted_once(database: Database) -> None:
    experiment = admitted(database)
    with database.connect(Role.ORCHESTRATOR) as session, pytest.raises(ChangeRefused):
        _admit(session, experiment, experiment.attempt)


def _admit(session: psycopg.Connection[Any], experiment: Experiment, attempt: int) -> None:
    batch = experiment.experiment_id
    admit(session, batch, attempt, node="n1", batch=batch, leave_by=None, pieces=1, pieces_before=0)


def test_a_member_of_a_batch_is_of_its_leads_newest_run(database: Database) -> None:
    lead = ended(database, admitted(database))
    lead = admitted(database, lead)
    member = admitted(database, batch=lead.experiment_id)
    (lead_now, member_now) = running(database)
    assert (member_now.attempt.attempt, member_now.attempt.lead_attempt) == (1, 2)
    assert lead_now.attempt.launch == member_now.attempt.launch == f"{lead.experiment_id}:2"
    ended(database, lead)
    admitted(database, reloaded(database, lead))
    found = {one.experiment.experiment_id: one.attempt.launch for one in running(database)}
    assert found[member.experiment_id] == f"{lead.experiment_id}:2"
    assert found[lead.experiment_id] == f"{lead.experiment_id}:3"


def test_attempts_from_before_runs_were_kept_are_of_the_run_their_lead_was_admitted_for(
    empty_database: Database, tmp_path: Path
) -> None:
    migrate_before(empty_database, "0022", tmp_path)
    lead = admitted(empty_database)
    first = admitted(empty_database, batch=lead.experiment_id)
    again = admitted(empty_database, ended(empty_database, lead))
    second = admitted(empty_database, batch=lead.experiment_id)
    migrate(empty_database)
    found = {one.experiment.experiment_id: one.attempt.lead_attempt for one in running(empty_database)}
    assert found == {again.experiment_id: 2, first.experiment_id: 1, second.experiment_id: 2}


def test_a_run_has_begun_once_it_took_up_any_of_its_attempts(database: Database) -> None:
    lead = admitted(database)
    admitted(database, batch=lead.experiment_id)
    assert [one.begun for one in running(database)] == [False, False]
    assert taken(database, lead)
    assert [one.begun for one in running(database)] == [True, True]
    ended(database, lead, COMPLETED, REVIEW)
    assert [one.begun for one in running(database)] == [True]


def test_a_batch_is_led_by_an_experiment_that_was_admitted(database: Database) -> None:
    queued = at_status(database, QUEUED)
    with pytest.raises(ChangeRefused, match="expected an experiment with an attempt of its own") as refused:
        admitted(database, batch=queued.experiment_id)
    assert refused.value.rule == "backtest_attempts_batch"


def test_two_attempts_are_never_open(database: Database) -> None:
    experiment = admitted(database)
    with database.connect(Role.ORCHESTRATOR) as session, pytest.raises(ChangeRefused) as refused:
        begin(session, "Kronos")
        move_experiment(session, experiment.experiment_id, [RUNNING], QUEUED)
        move_experiment(session, experiment.experiment_id, [QUEUED], RUNNING, leased_until=LEASE)
        _admit(session, experiment, 2)
    assert refused.value.rule == "backtest_attempts_one_open"
    assert len(attempts(database, experiment)) == 1


@pytest.mark.parametrize("role", [Role.ORCHESTRATOR, Role.OWNER])
@pytest.mark.parametrize("target", [QUEUED, REVIEW, REJECTED])
def test_an_experiment_with_an_open_attempt_stays_running(
    database: Database, target: ExperimentStatus, role: Role
) -> None:
    """The commit fails, not the statement: in one transaction the two may come in either order."""
    experiment = admitted(database)
    session = database.connect(role)
    begin(session, "Kronos")
    move_experiment(session, experiment.experiment_id, [RUNNING], target)
    with pytest.raises(psycopg.errors.RestrictViolation) as refused:
        session.commit()
    session.close()
    assert refused.value.diag.constraint_name == "experiments_attempt_ended"
    assert reloaded(database, experiment) == experiment


@pytest.mark.parametrize("move_first", [True, False])
@pytest.mark.parametrize("target", [QUEUED, REVIEW, REJECTED])
def test_it_leaves_in_the_transaction_that_ends_the_attempt(
    database: Database, target: ExperimentStatus, move_first: bool
) -> None:
    experiment = admitted(database)
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session, "Kronos")
        if not move_first:
            assert end_attempt(session, experiment.experiment_id, CANCELLED)
        move_experiment(session, experiment.experiment_id, [RUNNING], target)
        if move_first:
            assert end_attempt(session, experiment.experiment_id, CANCELLED)
    assert reloaded(database, experiment).status is target


# -- an earlier attempt


@pytest.fixture
def second(database: Database) -> Experiment:
    """An experiment in its second attempt, the first one lost."""
    return admitted(database, ended(database, admitted(database), LOST))


def test_an_earlier_attempts_piece_is_refused(database: Database, second: Experiment) -> None:
    with pytest.raises(ChangeRefused, match="in attempt 2: attempt 1 does not hold it") as refused:
        record(database, second, "fold-001", attempt=1)
    assert refused.value.rule == "backtests_attempt"
    with database.connect(Role.READER) as session:
        assert pieces_of(session, second.experiment_id, spec_of(second).digest, NEW) == {}


def test_an_earlier_attempts_result_is_refused(database: Database, second: Experiment) -> None:
    with pytest.raises(ChangeRefused, match="a result of attempt 1 is too late") as refused:
        resulted(database, second, 1.0, attempt=1)
    assert refused.value.rule == "experiment_results_attempt"


def test_an_earlier_attempt_hears_that_it_lost_and_changes_nothing(database: Database, second: Experiment) -> None:
    before = attempts(database, second)
    with database.connect(Role.ORCHESTRATOR) as session:
        assert not take_up(session, second.experiment_id, 1, "late")
        assert renew(session, second.experiment_id, 1, 60.0) is None
        assert not end_attempt(session, second.experiment_id, COMPLETED, attempt=1)
        plan_pieces(session, second.experiment_id, 1, 99, 0)
        tell(session, second.experiment_id, 1, "too late", forced=True)
    assert attempts(database, second) == before and reloaded(database, second) == second


def test_not_even_the_owner_takes_an_earlier_attempt_up(database: Database, second: Experiment) -> None:
    statement = "UPDATE kronos.backtest_attempts SET started_at = now(), run_id = 'late' WHERE attempt = 1"
    with pytest.raises(psycopg.errors.RestrictViolation) as refused:
        as_owner(database, statement)
    assert refused.value.diag.constraint_name == "backtest_attempts_immutable"


@pytest.mark.parametrize("status", [QUEUED, REVIEW, REJECTED])
def test_a_piece_is_of_an_experiment_that_runs(database: Database, status: ExperimentStatus) -> None:
    experiment = admitted(database)
    ended(database, experiment, CANCELLED, status)
    with pytest.raises(ChangeRefused) as refused:
        record(database, experiment, "fold-001")
    assert refused.value.rule == "backtests_attempt"


# -- what stays as it was


def test_an_attempt_ends_once(database: Database) -> None:
    experiment = admitted(database)
    ended(database, experiment, CRASHED)
    with database.connect(Role.ORCHESTRATOR) as session:
        assert not end_attempt(session, experiment.experiment_id, COMPLETED)
        assert not end_attempt(session, experiment.experiment_id, COMPLETED, attempt=1)
        assert not end_attempt(session, uuid4(), COMPLETED)
    (attempt,) = attempts(database, experiment)
    assert (attempt.outcome, attempt.why) == (CRASHED, "because")


ANOTHER = {
    "node": "'n9'",
    "batch": "gen_random_uuid()",
    "lead_attempt": "9",
    "admitted_at": "now()",
    "leave_by": "now()",
    "pieces": "9",
    "pieces_before": "9",
    "run_id": "'another'",
    "started_at": "now()",
    "told_at": "now()",
    "told_why": "'x'",
    "forced": "NOT forced",
    "ended_at": "now()",
    "outcome": "'COMPLETED'",
    "pieces_after": "9",
    "why": "'x'",
}
"""Another value for every column of an attempt but its key."""


@pytest.mark.parametrize("column", ANOTHER)
def test_an_attempt_that_ended_never_changes(database: Database, column: str) -> None:
    experiment = admitted(database)
    assert taken(database, experiment)
    ended(database, experiment)
    with pytest.raises(psycopg.errors.RestrictViolation, match="it is taken up once and ends once"):
        as_owner(database, f"UPDATE kronos.backtest_attempts SET {column} = {ANOTHER[column]}")


@pytest.mark.parametrize("column", ["node", "batch", "lead_attempt", "admitted_at", "leave_by", "run_id", "started_at"])
def test_what_an_attempt_began_with_never_changes(database: Database, column: str) -> None:
    assert taken(database, admitted(database))
    with pytest.raises(psycopg.errors.RestrictViolation, match="it is taken up once"):
        as_owner(database, f"UPDATE kronos.backtest_attempts SET {column} = {ANOTHER[column]}")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ("outcome = 'COMPLETED'", "backtest_attempts_end"),
        ("ended_at = now()", "backtest_attempts_end"),
        ("outcome = 'VANISHED', ended_at = now()", "backtest_attempts_outcome"),
        ("run_id = 'r'", "backtest_attempts_start"),
    ],
)
def test_half_an_end_or_an_unknown_one_is_refused(database: Database, changes: str, rule: str) -> None:
    admitted(database)
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        as_owner(database, f"UPDATE kronos.backtest_attempts SET {changes}")
    assert refused.value.diag.constraint_name == rule


@pytest.mark.parametrize("table", TABLES[:4])
def test_not_even_the_owner_removes_rows(database: Database, table: str) -> None:
    record(database, admitted(database), "fold-001")
    for statement in ("DELETE FROM kronos.{}", "TRUNCATE kronos.{} CASCADE"):
        with pytest.raises(psycopg.errors.RestrictViolation):
            as_owner(database, statement.format(table))


@pytest.mark.parametrize(("table", "column"), [("backtest_specs", "spec"), ("backtest_pieces", "counts")])
def test_not_even_the_owner_changes_a_spec_or_a_piece(database: Database, table: str, column: str) -> None:
    record(database, admitted(database), "fold-001")
    with pytest.raises(psycopg.errors.RestrictViolation):
        as_owner(database, f"UPDATE kronos.{table} SET {column} = '{{}}'")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("role", [Role.READER, Role.CHAT, Role.CHANGE_MANAGER, Role.UPSTREAM])
def test_only_the_orchestrator_writes_them(database: Database, role: Role, table: str) -> None:
    for statement in (f"INSERT INTO kronos.{table} DEFAULT VALUES", f"DELETE FROM kronos.{table}"):
        with database.connect(role) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(statement)
    for column in _columns(database, table):
        with database.connect(role) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(f"UPDATE kronos.{table} SET {column} = DEFAULT")


def _columns(database: Database, table: str) -> list[str]:
    query = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'kronos' AND table_name = %s"
    with database.connect(Role.OWNER) as session:
        return [row[0] for row in session.execute(query, [table])]


@pytest.mark.parametrize("table", TABLES)
def test_the_orchestrator_removes_none_of_them(database: Database, table: str) -> None:
    with database.connect(Role.ORCHESTRATOR) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(f"DELETE FROM kronos.{table}")


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("backtest_specs", "created_at"),
        ("backtest_attempts", "admitted_at"),
        ("backtest_pieces", "recorded_at"),
        ("node_readings", "taken_at"),
    ],
)
def test_the_database_says_when(database: Database, table: str, column: str) -> None:
    with database.connect(Role.ORCHESTRATOR) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(f"INSERT INTO kronos.{table} ({column}) VALUES (now())")


# -- the heartbeat


def test_a_heartbeat_prolongs_the_lease_from_now_and_brings_no_news(database: Database) -> None:
    experiment = admitted(database)
    assert renewed(database, experiment, 60.0) == Renewed(told=False, why="", forced=False, seconds_left=None)
    with database.connect(Role.OWNER) as session:
        left = session.execute("SELECT leased_until - clock_timestamp() FROM kronos.experiments").fetchone()
    assert left is not None and timedelta(0) < left[0] <= timedelta(seconds=60)


def test_a_heartbeat_notes_the_run_that_took_the_attempt_up(database: Database) -> None:
    experiment = admitted(database)
    renewed(database, experiment)
    assert reloaded(database, experiment).run_id is None
    assert taken(database, experiment, "run 7")
    renewed(database, experiment)
    assert reloaded(database, experiment).run_id == "run 7"


@pytest.mark.parametrize(("minutes", "low", "high"), [(10, 500, 600), (-10, -700, -600)])
def test_a_heartbeat_says_how_much_time_is_left(database: Database, minutes: int, low: float, high: float) -> None:
    with database.connect(Role.READER) as session:
        now = session.execute("SELECT clock_timestamp()").fetchone()
    assert now is not None
    heard = renewed(database, admitted(database, leave_by=now[0] + timedelta(minutes=minutes)))
    assert heard is not None and heard.seconds_left is not None and low <= heard.seconds_left <= high


def test_what_was_told_first_stays_and_may_yet_be_forced(database: Database) -> None:
    experiment = admitted(database)
    told(database, experiment, "WINDOW US_EQ")
    heard, since = renewed(database, experiment), attempts(database, experiment)[0].told_at
    told(database, experiment, "again")
    assert heard == renewed(database, experiment) == Renewed(True, "WINDOW US_EQ", False, None)
    told(database, experiment, "TIER1_BUSY", forced=True)
    told(database, experiment, "calm down")
    assert renewed(database, experiment) == Renewed(True, "WINDOW US_EQ", True, None)
    assert attempts(database, experiment)[0].told_at == since is not None


@pytest.mark.parametrize(("outcome", "target"), [(LOST, QUEUED), (COMPLETED, REVIEW), (CANCELLED, REJECTED)])
def test_who_lost_the_experiment_hears_nothing_more(
    database: Database, outcome: AttemptOutcome, target: ExperimentStatus
) -> None:
    experiment = admitted(database)
    ended(database, experiment, outcome, target)
    assert renewed(database, experiment) is None


def test_a_lapsed_lease_is_seen_and_a_heartbeat_makes_it_good(database: Database) -> None:
    experiment = admitted(database)
    renewed(database, experiment, -1.0)
    assert [one.lapsed for one in running(database)] == [True]
    renewed(database, experiment, 60.0)
    assert [one.lapsed for one in running(database)] == [False]


# -- the scheduler's memory


def _queued_at(database: Database) -> datetime:
    with database.connect(Role.READER) as session:
        (one,) = queued_backtests(session)
    return one.queued_at


def _logged(database: Database, experiment: Experiment) -> list[datetime]:
    """When the experiment was put into the queue, each time."""
    with database.connect(Role.READER) as session:
        entries = newest_entries(session, 100, str(experiment.experiment_id))
    return [entry.logged_at for entry in entries if entry.to_status == QUEUED]


def test_time_in_the_queue_counts_on_through_a_preemption_and_anew_when_testing_continues(database: Database) -> None:
    experiment = at_status(database, QUEUED)
    (asked,) = _logged(database, experiment)
    assert _queued_at(database) == asked
    ended(database, admitted(database, experiment))
    ended(database, admitted(database, experiment), CRASHED)
    assert _queued_at(database) == asked and len(_logged(database, experiment)) == 3
    ended(database, admitted(database, experiment), COMPLETED, REVIEW)
    moved(database, experiment, QUEUED)
    assert _queued_at(database) == _logged(database, experiment)[-1] > asked


def test_attempts_of_the_queue_are_those_of_the_experiments_in_it(database: Database) -> None:
    queued = ended(database, admitted(database))
    admitted(database, ended(database, admitted(database)))
    ended(database, admitted(database), COMPLETED, REVIEW)
    with database.connect(Role.READER) as session:
        found = attempts_of_queued(session)
    assert {one: [attempt.outcome for attempt in held] for one, held in found.items()} == {
        queued.experiment_id: [PREEMPTED]
    }


def test_running_backtests_are_the_open_attempts_oldest_first(database: Database) -> None:
    first, second = admitted(database), admitted(database, node="n1", pieces=3)
    ended(database, admitted(database))
    record(database, second, "fold-001", "fold-002")
    found = running(database)
    assert [one.experiment for one in found] == [first, second]
    assert [one.attempt.pieces_made for one in found] == [0, 2]
    assert [one.attempt for one in found] == [*attempts(database, first), *attempts(database, second)]
    assert found[0].attempt.last_piece_at is None and found[1].attempt.last_piece_at is not None


def test_the_number_of_pieces_is_told_while_the_attempt_is_open(database: Database) -> None:
    experiment = admitted(database)
    with database.connect(Role.ORCHESTRATOR) as session:
        plan_pieces(session, experiment.experiment_id, 1, 12, 0)
    ended(database, experiment)
    assert attempts(database, experiment)[0].pieces == 12


def test_an_experiment_that_was_never_started_has_no_attempts(database: Database) -> None:
    assert attempts(database, created(database)) == []
