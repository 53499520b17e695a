"""Brings a database to the newest schema: sql/migrations in order, each in one transaction, each once."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from kronos.errors import MigrationConflict
from kronos.settings import sql_root
from kronos.store.database import Connection, Database, Role
from kronos.store.queries import query

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
# one number for all releases: two of them must not migrate one database at once
_LOCK = 0x6B726F6E6F73
_ALSO_APPLIED: Final = {
    # of a function that 0024 replaces
    "0023_prove_code": "086aabcc889120b306d3fd85bfc85753798d5ca7b542b85a416f2a004d6d6ad0",
}
"""Checksum of a text that a migration once had, where a later migration replaces all that has changed in it."""


@dataclass(frozen=True)
class Migration:
    """One file of sql/migrations."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, with line ends as git stores them."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations(folder: Path | None = None) -> list[Migration]:
    """The files in order; a misnamed file or a number used twice is refused."""
    paths = sorted((folder or sql_root() / "migrations").glob("*.sql"))
    found = [_read(path) for path in paths]
    numbers = [migration.number for migration in found]
    for number in numbers:
        if numbers.count(number) > 1:
            raise MigrationConflict(f"two migrations have the number {number:04}")
    return found


def migrate(database: Database, folder: Path | None = None) -> list[str]:
    """Apply what is missing; returns the names applied, nothing when the database is up to date."""
    wanted = migrations(folder)
    with database.connect(Role.OWNER, autocommit=True) as connection:
        if _missing(connection, wanted):
            connection.execute(query("migrations", "lock"), [_LOCK])
            return _apply_missing(connection, wanted)
    return []


def _read(path: Path) -> Migration:
    match = _FILE_NAME.fullmatch(path.name)
    if match is None:
        raise MigrationConflict(f"migration {path.name}: expected a name like 0001_verb_noun.sql")
    return Migration(int(match[1]), path.stem, path.read_text(encoding="utf-8"))


def _missing(connection: Connection, wanted: list[Migration]) -> list[Migration]:
    """What is not applied yet; refuses a history that is not the beginning of the files."""
    applied = _applied(connection)
    known = {migration.name for migration in wanted}
    for name in applied:
        if name not in known:
            raise MigrationConflict(f"the database has migration {name}, which this Kronos does not know: is it older?")
    for position, migration in enumerate(wanted):
        checksum = applied.get(migration.name)
        if checksum is None and position < len(applied):
            raise MigrationConflict(f"migration {migration.name} comes before one that is already applied: renumber it")
        if checksum not in (None, migration.checksum, _ALSO_APPLIED.get(migration.name)):
            raise MigrationConflict(
                f"migration {migration.name} was changed after it was applied: add a new one instead"
            )
    return [migration for migration in wanted if migration.name not in applied]


def _applied(connection: Connection) -> dict[str, str]:
    exists = connection.execute(query("migrations", "history_exists")).fetchone()
    if not exists or not exists[0]:
        return {}
    return dict(connection.execute(query("migrations", "applied")).fetchall())


def _apply_missing(connection: Connection, wanted: list[Migration]) -> list[str]:
    # read again: whoever held the lock before us may have applied some
    missing = _missing(connection, wanted)
    for migration in missing:
        try:
            with connection.transaction():
                connection.execute(query("migrations", "create_history"))
                connection.execute(migration.text.encode())
                connection.execute(query("migrations", "record"), [migration.name, migration.checksum])
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            raise MigrationConflict(f"migration {migration.name} cannot be applied: {_reason(error)}") from error
    return [migration.name for migration in missing]


def _reason(error: psycopg.Error) -> str:
    said = error.diag.message_primary or str(error)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"{said} (the login must own the database, and hold CREATEROLE or be granted the roles of sql/README.md)"
    return said
