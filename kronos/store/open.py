"""The way in: the database the settings name, running, complete and migrated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from kronos.errors import DatabaseUnavailable
from kronos.settings import Settings
from kronos.store.database import Connection, Database, Role
from kronos.store.migrate import migrate
from kronos.store.queries import query
from kronos.store.server import running_server

_OLDEST_SERVER = 150000
_MAINTENANCE = "postgres"


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Kronos's database for the block: KRONOS_DATABASE_URL, else the embedded server, started when needed."""
    if settings.database_url is not None:
        yield _completed(external(settings.database_url))
        return
    with running_server(settings.home) as server:
        yield _completed(Database(server.url()))


def external(url: str) -> Database:
    """A database by address; a malformed one is refused without showing it, for it may hold a password."""
    try:
        parts = urlsplit(url)
        well_formed = parts.scheme in {"postgresql", "postgres"} and parts.path.strip("/") and parts.port != 0
    except ValueError:
        well_formed = False
    if not well_formed:
        raise DatabaseUnavailable("KRONOS_DATABASE_URL: expected postgresql://user:password@host:port/database")
    return Database(url)


def ensure_databases(database: Database) -> None:
    """Create Kronos's and Dagster's database where missing; a login that may not is told what to ask for."""
    names = [database.name, database.sibling(f"{database.name}_dagster").name]
    with _any_connection(database) as connection:
        if connection.info.server_version < _OLDEST_SERVER:
            raise DatabaseUnavailable(
                f"{database} runs Postgres {connection.info.server_version // 10000}: expected 15 or newer"
            )
        present = {row[0] for row in connection.execute(query("databases", "present"), [names])}
        for name in names:
            if name not in present:
                _create(connection, name)


def _completed(database: Database) -> Database:
    ensure_databases(database)
    migrate(database)
    return database


def _any_connection(database: Database) -> Connection:
    """A connection to the database or, when it may not exist yet, to the server's maintenance database."""
    try:
        return database.connect(Role.OWNER, autocommit=True)
    except DatabaseUnavailable as error:
        try:
            connection = database.sibling(_MAINTENANCE).connect(Role.OWNER, autocommit=True)
        except DatabaseUnavailable:
            raise error from None
        if connection.execute(query("databases", "present"), [[database.name]]).fetchone():
            connection.close()
            raise
        return connection


def _create(connection: Connection, name: str) -> None:
    try:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return  # another starter was quicker
    except psycopg.errors.InsufficientPrivilege as error:
        user = connection.info.user
        raise DatabaseUnavailable(
            f"the database {name!r} does not exist and {user!r} may not create it: "
            f"create it with owner {user!r}, or give {user!r} CREATEDB"
        ) from error
