"""Roots outside the database: kept when the log holds, and proof against whoever owns the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from kronos.core.changes.chain import Damage
from kronos.errors import BadValue, NotFound
from kronos.services.audit import change_entries, keep_end, kept_roots, seal_log, verify_log
from kronos.store.database import Database, Role
from kronos_tests.store.changes import created


def _tamper(database: Database, statement: str) -> None:
    with database.connect(Role.OWNER) as session:
        session.execute("ALTER TABLE kronos.change_log DISABLE TRIGGER USER")
        session.execute(statement)
        session.execute("ALTER TABLE kronos.change_log ENABLE TRIGGER USER")


def test_an_empty_log_is_whole_and_has_no_root(database: Database, tmp_path: Path) -> None:
    audit = seal_log(database, tmp_path)
    assert (audit.verified.broken, audit.sealed, kept_roots(tmp_path)) == (None, False, [])


def test_a_root_is_kept_once_per_end_of_the_log(database: Database, tmp_path: Path) -> None:
    created(database)
    assert [seal_log(database, tmp_path).sealed for _ in range(2)] == [True, False]
    created(database)
    assert seal_log(database, tmp_path).roots == 2
    assert [root.entry_id for root in kept_roots(tmp_path)] == [1, 2]


def test_a_log_restored_from_an_old_backup_is_found(database: Database, tmp_path: Path) -> None:
    created(database)
    created(database)
    seal_log(database, tmp_path)
    _tamper(database, "DELETE FROM kronos.change_log WHERE entry_id = 2")
    broken = verify_log(database, tmp_path).verified.broken
    assert broken and (broken.damage, broken.entry_id) == (Damage.TRUNCATED, 2)
    created(database)
    broken = verify_log(database, tmp_path).verified.broken
    assert broken and (broken.damage, broken.entry_id) == (Damage.REWRITTEN, 2)


def test_the_end_is_kept_without_following_the_chain_and_once(database: Database, tmp_path: Path) -> None:
    assert not keep_end(database, tmp_path)
    created(database)
    assert [keep_end(database, tmp_path) for _ in range(2)] == [True, False]
    created(database)
    assert keep_end(database, tmp_path) and not seal_log(database, tmp_path).sealed
    _tamper(database, "DELETE FROM kronos.change_log WHERE entry_id = 2")
    with pytest.raises(BadValue, match="entry of the change log has value 2"):
        keep_end(database, tmp_path)


def test_the_end_of_another_log_is_no_root_of_this_one(database: Database, tmp_path: Path) -> None:
    """As after an old backup was restored and written on."""
    for _ in range(2):
        created(database)
    keep_end(database, tmp_path)
    _tamper(database, "DELETE FROM kronos.change_log WHERE entry_id = 2")
    for _ in range(2):
        created(database)
    with pytest.raises(BadValue, match="entry of the change log has value 2"):
        keep_end(database, tmp_path)
    assert [root.entry_id for root in kept_roots(tmp_path)] == [2]


def test_entries_without_a_root_are_not_proven(database: Database, tmp_path: Path) -> None:
    assert verify_log(database, tmp_path).proven
    created(database)
    assert not verify_log(database, tmp_path).proven
    assert seal_log(database, tmp_path).proven and verify_log(database, tmp_path).proven
    _tamper(database, "UPDATE kronos.change_log SET author = 'eve'")
    assert not verify_log(database, tmp_path).proven


SWAP = """UPDATE kronos.change_log SET entry_id = -entry_id;
UPDATE kronos.change_log SET entry_id = CASE entry_id WHEN -2 THEN 3 WHEN -3 THEN 2 ELSE -entry_id END"""
INSERT = """UPDATE kronos.change_log SET entry_id = 9 WHERE entry_id = 3;
CREATE TEMPORARY TABLE forged AS SELECT * FROM kronos.change_log WHERE entry_id = 2;
UPDATE forged SET entry_id = 3, author = 'eve', hash = repeat('a', 64);
INSERT INTO kronos.change_log SELECT * FROM forged;
UPDATE kronos.change_log SET entry_id = 4 WHERE entry_id = 9"""


@pytest.mark.parametrize(("tampering", "damage", "entry"), [
    ("UPDATE kronos.change_log SET author = 'eve' WHERE entry_id = 2", Damage.EDITED, 2),
    ("DELETE FROM kronos.change_log WHERE entry_id = 2", Damage.MISSING, 2),
    (INSERT, Damage.INSERTED, 3),
    (SWAP, Damage.INSERTED, 2),
    ("DELETE FROM kronos.change_log WHERE entry_id = 3", Damage.TRUNCATED, 3),
])  # fmt: skip
def test_each_kind_of_tampering_with_the_table_is_found(
    database: Database, tmp_path: Path, tampering: str, damage: Damage, entry: int
) -> None:
    """By the owner, with the triggers off: edited, deleted, inserted, swapped, and the end cut off."""
    for _ in range(3):
        created(database)
    seal_log(database, tmp_path)
    with database.connect(Role.OWNER) as session:
        session.execute("ALTER TABLE kronos.change_log DISABLE TRIGGER USER")
        session.execute("ALTER TABLE kronos.change_log DROP CONSTRAINT change_log_entry_id_check")
        for statement in tampering.split(";"):
            session.execute(statement)
    broken = verify_log(database, tmp_path).verified.broken
    assert broken and (broken.damage, broken.entry_id) == (damage, entry)


def test_a_broken_log_gets_no_root(database: Database, tmp_path: Path) -> None:
    created(database)
    _tamper(database, "UPDATE kronos.change_log SET author = 'eve'")
    audit = seal_log(database, tmp_path)
    assert audit.verified.broken and not audit.sealed
    assert kept_roots(tmp_path) == []


@pytest.mark.parametrize("line", ["", "nonsense", "[]", '{"entry_id": "x", "hash": "y"}', '{"hash": "y"}'])
def test_a_root_that_cannot_be_read_is_named(database: Database, tmp_path: Path, line: str) -> None:
    (tmp_path / "roots.jsonl").write_text(line + "\n")
    with pytest.raises(BadValue, match=r"roots\.jsonl line 1 has value"):
        verify_log(database, tmp_path)


def test_entries_are_found_by_how_the_id_begins(database: Database) -> None:
    first, _ = created(database), created(database)
    found = change_entries(database, 10, str(first.experiment_id)[:8])
    assert [entry.subject_id for entry in found] == [str(first.experiment_id)]
    assert len(change_entries(database, 10)) == 2
    with pytest.raises(NotFound, match="subject"):
        change_entries(database, 10, "zzzz")
    with pytest.raises(BadValue, match="number of entries has value 0"):
        change_entries(database, 0)
