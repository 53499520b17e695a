"""The scheduler's memory: who plans, what the machines said, and decisions for as long as they lasted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from kronos.core.backtests.attempts import AttemptOutcome
from kronos.core.vocabulary import ExperimentStatus
from kronos.store.database import Database, Role
from kronos.store.scheduler import (
    Decision,
    KeptDecision,
    SchedulerState,
    database_now,
    decisions_of,
    last_decisions,
    node_readings,
    read_one_moment,
    save_decisions,
    save_reading,
    save_state,
    scheduler_state,
    try_lock,
)
from kronos_tests.store.attempts import QUEUED, admitted, ended
from kronos_tests.store.changes import at_status, created

T0 = datetime(2024, 6, 3, 12, tzinfo=UTC)


def later(minutes: int) -> datetime:
    return T0 + timedelta(minutes=minutes)


def waits(experiment: UUID, **changes: Any) -> Decision:
    usual: dict[str, Any] = {
        "experiment_id": experiment,
        "attempt": 1,
        "action": "WAIT",
        "reason": "NO_CAPACITY",
        "blocker": "n0",
        "node": "",
        "expected_start": later(60),
        "leave_by": None,
    }
    return Decision(**{**usual, **changes})


def decide(database: Database, minutes: int, *decisions: Decision) -> None:
    with database.connect(Role.ORCHESTRATOR) as session:
        save_decisions(session, later(minutes), decisions)


def kept(database: Database, experiment_id: UUID) -> list[KeptDecision]:
    with database.connect(Role.READER) as session:
        return decisions_of(session, experiment_id)


def spans(database: Database, experiment_id: UUID) -> list[tuple[int, int]]:
    """Minutes from and to which each decision held."""
    held = kept(database, experiment_id)
    return [tuple(int((at - T0).total_seconds()) // 60 for at in (one.first_at, one.last_at)) for one in held]  # type: ignore[misc]


@pytest.fixture
def one(database: Database) -> UUID:
    """An experiment in the queue."""
    return at_status(database, QUEUED).experiment_id


def test_a_decision_is_kept_as_it_was(database: Database, one: UUID) -> None:
    decision = waits(one, action="ADMIT", node="n1", leave_by=later(90))
    decide(database, 0, decision)
    assert kept(database, one) == [KeptDecision(**vars(decision), first_at=later(0), last_at=later(0))]


def test_the_same_decision_again_lasts_on(database: Database, one: UUID) -> None:
    for minutes in (0, 1, 5):
        decide(database, minutes, waits(one))
    assert spans(database, one) == [(0, 5)]


def test_when_it_is_expected_to_start_may_move_while_a_decision_lasts(database: Database, one: UUID) -> None:
    decide(database, 0, waits(one))
    decide(database, 1, waits(one, expected_start=later(99), leave_by=later(200)))
    (held,) = kept(database, one)
    assert (held.expected_start, held.leave_by, held.first_at) == (later(99), later(200), later(0))


@pytest.mark.parametrize(
    "changes", [{"attempt": 2}, {"action": "ADMIT"}, {"reason": "COOLDOWN"}, {"blocker": "n1"}, {"node": "n1"}]
)
def test_a_decision_that_says_something_else_is_another(database: Database, one: UUID, changes: dict[str, Any]) -> None:
    decide(database, 0, waits(one))
    decide(database, 1, waits(one, **changes))
    decide(database, 2, waits(one, **changes))
    assert spans(database, one) == [(0, 0), (1, 2)]


def test_what_was_decided_before_the_last_decision_is_decided_anew(database: Database, one: UUID) -> None:
    for minutes, reason in enumerate(["NO_CAPACITY", "COOLDOWN", "NO_CAPACITY"]):
        decide(database, minutes, waits(one, reason=reason))
    assert [held.reason for held in kept(database, one)] == ["NO_CAPACITY", "COOLDOWN", "NO_CAPACITY"]
    assert spans(database, one) == [(0, 0), (1, 1), (2, 2)]


def test_each_experiments_decisions_are_its_own(database: Database, one: UUID) -> None:
    other = at_status(database, QUEUED).experiment_id
    decide(database, 0, waits(one), waits(other, reason="COOLDOWN"))
    decide(database, 1, waits(one), waits(other))
    assert (spans(database, one), spans(database, other)) == ([(0, 1)], [(0, 0), (1, 1)])


def test_the_last_decisions_are_of_what_waits_or_runs(database: Database) -> None:
    queued, runs = at_status(database, QUEUED), admitted(database)
    done = ended(database, admitted(database), AttemptOutcome.COMPLETED, ExperimentStatus.AWAITING_REVIEW)
    ids = [each.experiment_id for each in (queued, runs, done, created(database))]
    for minutes, reason in enumerate(["COOLDOWN", "NO_CAPACITY"]):
        decide(database, minutes, *(waits(each, reason=reason) for each in ids))
    with database.connect(Role.READER) as session:
        found = last_decisions(session)
    assert {each: held.reason for each, held in found.items()} == dict.fromkeys(ids[:2], "NO_CAPACITY")


def test_no_decisions_are_no_statement(database: Database) -> None:
    decide(database, 0)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"action": "DANCE"}, psycopg.errors.CheckViolation),
        ({"reason": ""}, psycopg.errors.CheckViolation),
        ({"experiment_id": uuid4()}, psycopg.errors.ForeignKeyViolation),
    ],
)
def test_a_decision_that_cannot_be_is_refused(
    database: Database, one: UUID, changes: dict[str, Any], error: type[psycopg.Error]
) -> None:
    with pytest.raises(error):
        decide(database, 0, waits(one, **changes))


def test_of_two_schedulers_one_plans_until_its_transaction_ends(database: Database) -> None:
    with database.connect(Role.ORCHESTRATOR) as first, database.connect(Role.ORCHESTRATOR) as second:
        assert try_lock(first) and not try_lock(second)
        first.commit()
        assert try_lock(second) and not try_lock(first)
        second.rollback()
        assert try_lock(first)


def test_a_scheduler_that_died_holds_nothing(database: Database) -> None:
    dead = database.connect(Role.ORCHESTRATOR)
    assert try_lock(dead)
    dead.close()
    with database.connect(Role.ORCHESTRATOR) as session:
        assert _soon(session)


def _soon(session: psycopg.Connection[Any]) -> bool:
    """The lock, once the server has noticed that its holder is gone."""
    session.execute("SELECT pg_advisory_xact_lock(hashtextextended('kronos backtest scheduler', 0))")
    return try_lock(session)


def test_planning_elsewhere_does_not_hinder_this_database(database: Database, empty_database: Database) -> None:
    with database.connect(Role.ORCHESTRATOR) as here, empty_database.connect(Role.OWNER) as there:
        assert try_lock(here) and try_lock(there)


def test_the_newest_reading_of_each_machine_is_kept(database: Database) -> None:
    with database.connect(Role.ORCHESTRATOR) as session:
        before = database_now(session)
        for node, load in (("n1", 1), ("n0", 2), ("n1", 3)):
            save_reading(session, node, {"cpu_used": load, "gpus": [0.5]})
        found, after = node_readings(session), database_now(session)
    assert [(each.node, each.reading) for each in found] == [
        ("n0", {"cpu_used": 2, "gpus": [0.5]}),
        ("n1", {"cpu_used": 3, "gpus": [0.5]}),
    ]
    assert before <= found[0].taken_at <= found[1].taken_at <= after


def test_what_a_plan_saw_replaces_what_the_one_before_saw(database: Database) -> None:
    states = [SchedulerState(later(n), {"n0": n}, {"US_EQ": {"busy": False}}, {}, {"queued": n}) for n in range(2)]
    with database.connect(Role.ORCHESTRATOR) as session:
        assert scheduler_state(session) is None
        for state in states:
            save_state(session, state)
        assert scheduler_state(session) == states[1]


def test_there_is_one_state_and_never_a_second(database: Database) -> None:
    with database.connect(Role.OWNER) as session, pytest.raises(psycopg.errors.CheckViolation):
        session.execute(
            "INSERT INTO kronos.scheduler_state VALUES (false, now(), %(no)s, %(no)s, %(no)s, %(no)s)",
            {"no": Jsonb({})},
        )


def test_one_moment_shows_nothing_that_comes_later_and_writes_nothing(database: Database) -> None:
    with database.connect(Role.ORCHESTRATOR) as reading:
        read_one_moment(reading)
        assert node_readings(reading) == []
        with database.connect(Role.ORCHESTRATOR) as writing:
            save_reading(writing, "n0", {})
        assert node_readings(reading) == []
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            save_reading(reading, "n1", {})
