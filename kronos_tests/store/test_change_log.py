"""The change log in the live database: written by transitions alone, one chain under any number of writers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from kronos.core.changes.chain import Damage, Entry, Root, verify
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import ChangeRefused
from kronos.store.change_log import begin_change, entries, newest_entries, subjects
from kronos.store.database import Database, Role
from kronos.store.experiments import move_experiment
from kronos_tests.store.changes import at_status, begin, created, moved, proposed

PENDING, QUEUED, _, REVIEW, _, _ = ExperimentStatus


def _log(database: Database) -> list[Entry]:
    with database.connect(Role.READER) as session:
        return list(entries(session))


def _tamper(database: Database, *statements: str) -> list[Entry]:
    """What the log reads like after an owner switched the triggers off."""
    with database.connect(Role.OWNER) as session:
        session.execute("ALTER TABLE kronos.change_log DISABLE TRIGGER USER")
        for statement in statements:
            session.execute(statement)
        session.execute("ALTER TABLE kronos.change_log ENABLE TRIGGER USER")
    return _log(database)


def _damage(found: Sequence[Entry], *roots: Root) -> tuple[Damage, int] | None:
    broken = verify(found, roots).broken
    return broken and (broken.damage, broken.entry_id)


def test_the_database_and_core_agree_on_every_hash(database: Database) -> None:
    """With quotes, control characters, other scripts, nulls and links in the rows."""
    experiment = created(database, 'Zoë "Z" \t\n O\'Neill 🦉')
    with database.connect(Role.ORCHESTRATOR) as session:
        begin_change(
            session, "Kronos", "naïve\\ 1,5", code_version="1", run_id="r-1", lake_version={"cells": 12, "a": 1}
        )
        move_experiment(session, experiment.experiment_id, [PENDING], QUEUED)
    found = _log(database)
    assert verify(found).broken is None
    assert [entry.entry_id for entry in found] == [1, 2]
    assert (found[1].run_id, found[1].lake_version, found[1].code_version) == ("r-1", '{"a": 1, "cells": 12}', "1")


def test_an_entry_says_who_when_what_and_why(database: Database) -> None:
    experiment = moved(database, created(database), ExperimentStatus.REJECTED, author="ben")
    entry = _log(database)[-1]
    assert (entry.subject, entry.subject_id) == ("experiment", str(experiment.experiment_id))
    assert (entry.from_status, entry.to_status, entry.author) == ("PENDING", "REJECTED", "ben")
    assert entry.evidence == "HUMAN_TRIGGERED"
    assert '"reason": "because"' in entry.detail
    assert entry.logged_at.utcoffset() == timedelta(0)
    assert _log(database)[0].acted_as == "kronos_orchestrator"


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (["UPDATE kronos.change_log SET author = 'eve' WHERE entry_id = 2"], (Damage.EDITED, 2)),
        (["UPDATE kronos.change_log SET detail = '{}' WHERE entry_id = 4"], (Damage.EDITED, 4)),
        (["UPDATE kronos.change_log SET logged_at = logged_at + interval '1 microsecond' WHERE entry_id = 1"],
         (Damage.EDITED, 1)),
        (["DELETE FROM kronos.change_log WHERE entry_id = 3"], (Damage.MISSING, 3)),
        (["DELETE FROM kronos.change_log WHERE entry_id < 3"], (Damage.MISSING, 1)),
        (["DELETE FROM kronos.change_log WHERE entry_id = 2",
          "UPDATE kronos.change_log SET entry_id = entry_id - 1 WHERE entry_id > 2"], (Damage.INSERTED, 2)),
        (["UPDATE kronos.change_log SET entry_id = 99 WHERE entry_id = 2",
          "UPDATE kronos.change_log SET entry_id = 2 WHERE entry_id = 3",
          "UPDATE kronos.change_log SET entry_id = 3 WHERE entry_id = 99"], (Damage.INSERTED, 2)),
        (["""INSERT INTO kronos.change_log SELECT 5, subject, subject_id, from_status, to_status, author, acted_as,
             logged_at, evidence, run_id, lake_version, code_version, detail, previous_hash, repeat('a', 64)
             FROM kronos.change_log WHERE entry_id = 4"""], (Damage.INSERTED, 5)),
    ],
)  # fmt: skip
def test_tampering_is_found(database: Database, statements: list[str], found: tuple[Damage, int]) -> None:
    at_status(database, REVIEW)
    assert _damage(_log(database)) is None
    assert _damage(_tamper(database, *statements)) == found


def test_a_cut_end_and_a_rewritten_chain_are_found_against_a_root(database: Database) -> None:
    at_status(database, REVIEW)
    root = verify(_log(database)).root
    cut = _tamper(database, "DELETE FROM kronos.change_log WHERE entry_id = 4")
    assert (_damage(cut), _damage(cut, root)) == (None, (Damage.TRUNCATED, 4))
    created(database)
    # the same length again, every link sound, another history
    assert (_damage(_log(database)), _damage(_log(database), root)) == (None, (Damage.REWRITTEN, 4))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE kronos.change_log SET author = 'eve'",
        "DELETE FROM kronos.change_log",
        "TRUNCATE kronos.change_log",
    ],
)
def test_not_even_the_owner_rewrites_it(database: Database, statement: str) -> None:
    created(database)
    with database.connect(Role.OWNER) as session, pytest.raises(psycopg.errors.RestrictViolation):
        session.execute(statement)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OWNER])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO kronos.change_log (subject, subject_id, to_status, author) VALUES ('x', 'x', 'x', 'x')",
        "UPDATE kronos.change_log SET author = 'eve'",
        "DELETE FROM kronos.change_log",
        "TRUNCATE kronos.change_log",
        "SELECT kronos.log_change('x', 'x', null, 'x', null, null, '{}')",
    ],
)
def test_no_role_writes_it(database: Database, role: Role, statement: str) -> None:
    with database.connect(role) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(statement)


@pytest.mark.parametrize("author", ["", " ", "\n"])
def test_an_author_has_a_name(database: Database, author: str) -> None:
    with database.connect(Role.ORCHESTRATOR) as session, pytest.raises(ChangeRefused) as refused:
        begin(session, author)
    assert refused.value.rule == "change_log_author"


def test_an_author_ends_with_its_transaction(database: Database) -> None:
    experiment = created(database)
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session)
        session.commit()
        with pytest.raises(ChangeRefused, match="needs an author"):
            move_experiment(session, experiment.experiment_id, [PENDING], QUEUED)


SAY_SO = "SELECT set_config('kronos.author', 'ida', true)"
CLOSE_LATCH = "SELECT kronos.close_latch('REGIME', 'SUSPECT', '{}')"


@pytest.mark.parametrize("role", [Role.ORCHESTRATOR, Role.CHANGE_MANAGER])
def test_a_setting_anyone_can_set_is_no_author(database: Database, role: Role) -> None:
    with database.connect(role) as session, pytest.raises(psycopg.errors.CheckViolation, match="needs an author"):
        session.execute(SAY_SO)
        session.execute(CLOSE_LATCH)


@pytest.mark.parametrize("role", [Role.ORCHESTRATOR, Role.CHANGE_MANAGER])
def test_whose_change_it_is_stays_as_it_was_begun(database: Database, role: Role) -> None:
    """Through settings, and through what is rolled back to a savepoint."""
    with database.connect(role) as session:
        begin(session, "ann")
        session.execute(SAY_SO)
        with session.transaction(force_rollback=True):
            begin(session, "ben")
        with session.transaction():
            session.execute(CLOSE_LATCH)
    assert [(entry.author, entry.detail) for entry in _log(database)] == [
        ("ann", '{"cause": "SUSPECT", "detail": {}, "reason": "because"}')
    ]


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OWNER])
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT FROM kronos.changes_under_way",
        "INSERT INTO kronos.changes_under_way VALUES (pg_current_xact_id(), 'ida')",
        "UPDATE kronos.changes_under_way SET author = 'ida'",
        "DELETE FROM kronos.changes_under_way",
        "TRUNCATE kronos.changes_under_way",
        "SELECT kronos.said('author')",
    ],
)
def test_no_role_touches_what_a_change_under_way_said(database: Database, role: Role, statement: str) -> None:
    with database.connect(role) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(statement)


def test_what_ended_changes_said_does_not_pile_up(database: Database) -> None:
    for author in ("ann", "ben"):
        with database.connect(Role.ORCHESTRATOR) as session:
            begin(session, author)
            begin(session, author)
    with database.connect(Role.OWNER) as session:
        assert session.execute("SELECT author FROM kronos.changes_under_way").fetchall() == [("ben",)]


def test_writers_at_once_make_one_chain_and_never_deadlock(database: Database) -> None:
    """Eight writers, each with two experiments in one transaction, half of them in the opposite order."""
    pairs = [(created(database), created(database)) for _ in range(4)]

    def reject(number: int) -> None:
        pair = pairs[number % 4][:: 1 if number < 4 else -1]
        with database.connect(Role.ORCHESTRATOR) as session:
            begin(session, f"writer {number}")
            for experiment in pair:
                move_experiment(session, experiment.experiment_id, [PENDING], ExperimentStatus.REJECTED)

    with ThreadPoolExecutor(8) as pool:
        refusals = [future.exception() for future in [pool.submit(reject, number) for number in range(8)]]
    found = _log(database)
    assert verify(found).broken is None
    assert [entry.to_status for entry in found].count("REJECTED") == 8
    assert [type(error) for error in refusals if error] == [ChangeRefused] * 4
    assert [entry.logged_at for entry in found] == sorted(entry.logged_at for entry in found)


DYING = """
import sys
from kronos.store.database import Database, Role
from kronos_tests.store.changes import begin, new_experiment, register_config
from kronos.store.experiments import insert_experiment
with Database(sys.argv[1]).connect(Role.ORCHESTRATOR) as session:
    begin(session)
    register_config(session, "base")
    register_config(session, "proposed")
    insert_experiment(session, new_experiment())
    sys.stdout.write("written")
    sys.stdout.flush()
    sys.stdin.read()
"""


def test_a_writer_killed_before_its_commit_leaves_nothing(database: Database) -> None:
    """kill -9 after every statement of a creation was executed."""
    command = [sys.executable, "-c", DYING, database.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(7) == b"written"
        os.kill(process.pid, signal.SIGKILL)
    # the next writer waits for the lock that the dead one's session still holds
    experiment = created(database)
    with database.connect(Role.READER) as session:
        counts = [
            session.execute(f"SELECT count(*) FROM kronos.{table}").fetchone()
            for table in ("experiments", "change_log", "engine_configs", "trials")
        ]
    assert counts == [(1,), (1,), (2,), (2,)]
    assert [entry.subject_id for entry in _log(database)] == [str(experiment.experiment_id)]


def test_the_log_is_read_by_subject(database: Database) -> None:
    first, second = at_status(database, REVIEW), created(database)
    with database.connect(Role.READER) as session:
        assert len(newest_entries(session, 2, str(first.experiment_id))) == 2
        assert [entry.to_status for entry in newest_entries(session, 9, str(second.experiment_id))] == ["PENDING"]
        assert subjects(session, str(first.experiment_id)[:13]) == [str(first.experiment_id)]


def test_only_the_orchestrator_signs_as_kronos(database: Database) -> None:
    with database.connect(Role.CHANGE_MANAGER) as session, pytest.raises(ChangeRefused, match="only Kronos itself"):
        begin(session, "Kronos")
    with pytest.raises(ChangeRefused, match="only Kronos itself"):
        proposed(database, "Kronos", Role.CHAT)


@pytest.mark.parametrize("role", [Role.ORCHESTRATOR, Role.CHANGE_MANAGER])
@pytest.mark.parametrize("author", ["policy", " Policy", "KRONOS", "kronos "])
def test_nobody_signs_as_the_policy_or_like_kronos(database: Database, role: Role, author: str) -> None:
    with database.connect(role) as session, pytest.raises(ChangeRefused, match="nobody as policy"):
        begin(session, author)


@pytest.mark.parametrize("role", [Role.READER, Role.CHAT, Role.UPSTREAM])
def test_who_changes_nothing_begins_nothing(database: Database, role: Role) -> None:
    with database.connect(role) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        begin(session)
