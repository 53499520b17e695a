"""Migrations: in order, once each, by one migrator at a time, never rewritten."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kronos.errors import MigrationConflict
from kronos.settings import sql_root
from kronos.store.database import Database, Role
from kronos.store.migrate import migrate, migrations


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two small migrations."""
    (tmp_path / "0001_create_one.sql").write_text("CREATE TABLE kronos.one (n int);")
    (tmp_path / "0002_fill_one.sql").write_text("INSERT INTO kronos.one VALUES (1);")
    return tmp_path


def _one(database: Database) -> int:
    with database.connect(Role.OWNER) as connection:
        return len(connection.execute("SELECT n FROM kronos.one").fetchall())


def test_migrating_twice_applies_everything_once(empty_database: Database) -> None:
    names = [path.stem for path in sorted((sql_root() / "migrations").glob("*.sql"))]
    assert [migrate(empty_database), migrate(empty_database)] == [names, []]


def test_migrations_have_numbers_without_gaps() -> None:
    numbers = [migration.number for migration in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_of_migrators_at_once_one_applies(empty_database: Database, folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(lambda _: migrate(empty_database, folder), range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, 2]
    assert _one(empty_database) == 1


def test_databases_of_one_server_can_be_migrated_at_once(empty_database: Database, database: Database) -> None:
    # roles belong to the server: both migrators want to create and grant the same ones
    with database.connect(Role.OWNER) as connection:
        connection.execute("DROP SCHEMA kronos, source CASCADE")
    with ThreadPoolExecutor(2) as pool:
        applied = list(pool.map(migrate, [empty_database, database]))
    assert applied[0] == applied[1] != []


def test_a_migration_changed_after_it_was_applied_is_refused(empty_database: Database, folder: Path) -> None:
    migrate(empty_database, folder)
    (folder / "0001_create_one.sql").write_text("CREATE TABLE kronos.one (n bigint);")
    with pytest.raises(MigrationConflict, match="0001_create_one was changed after it was applied"):
        migrate(empty_database, folder)


def test_a_database_of_an_earlier_text_of_0023_is_brought_up_to_date(empty_database: Database, tmp_path: Path) -> None:
    """A release had 0023 ask whether the verdict is proven; 0024 replaces the function in which it did."""
    files = sorted((sql_root() / "migrations").glob("*.sql"))
    for path in files[:23]:
        asked = "kronos.code_broken(judged.engine_name, kronos.code_of_evidence(judged)) THEN"
        text = path.read_text().replace(f"ELSIF {asked}", "ELSIF NOT kronos.verdict_proven(judged) THEN")
        (tmp_path / path.name).write_text(text)
    assert migrate(empty_database, tmp_path)[-1] == "0023_prove_code"
    assert migrations(tmp_path)[-1].checksum != migrations()[22].checksum
    assert migrate(empty_database) == [path.stem for path in files[23:]]


def test_a_database_from_a_newer_kronos_is_refused(empty_database: Database, folder: Path) -> None:
    migrate(empty_database, folder)
    (folder / "0002_fill_one.sql").unlink()
    with pytest.raises(MigrationConflict, match="0002_fill_one, which this Kronos does not know"):
        migrate(empty_database, folder)


def test_a_migration_slipped_in_before_applied_ones_is_refused(empty_database: Database, folder: Path) -> None:
    migrate(empty_database, folder)
    (folder / "0002_fill_one.sql").rename(folder / "0003_fill_one.sql")
    (folder / "0002_create_two.sql").write_text("CREATE TABLE kronos.two ();")
    with pytest.raises(MigrationConflict):
        migrate(empty_database, folder)


def test_a_failing_migration_leaves_no_trace(empty_database: Database, folder: Path) -> None:
    (folder / "0002_fill_one.sql").write_text("INSERT INTO kronos.one VALUES (1); SELECT 1 / 0;")
    with pytest.raises(MigrationConflict, match="0002_fill_one cannot be applied: division by zero"):
        migrate(empty_database, folder)
    assert _one(empty_database) == 0
    (folder / "0002_fill_one.sql").write_text("INSERT INTO kronos.one VALUES (1);")
    assert migrate(empty_database, folder) == ["0002_fill_one"]


@pytest.mark.parametrize("name", ["one.sql", "1_one.sql", "0003-one.sql", "0003_One.sql"])
def test_a_misnamed_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_text("")
    with pytest.raises(MigrationConflict, match="expected a name like"):
        migrations(folder)


def test_a_number_used_twice_is_refused(folder: Path) -> None:
    (folder / "0002_also.sql").write_text("")
    with pytest.raises(MigrationConflict, match="two migrations have the number 0002"):
        migrations(folder)
