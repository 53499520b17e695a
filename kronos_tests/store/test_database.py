"""Connections: roles, UTC, and failures in one sentence without the password."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psycopg
import pytest

from kronos.errors import DatabaseUnavailable
from kronos.store.database import Database, Role
from kronos.store.open import external
from kronos.store.server import EmbeddedServer, running_server

SECRET = "hush-hush"


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OWNER])
def test_a_connection_acts_as_its_role_in_utc(database: Database, role: Role) -> None:
    with database.connect(role) as connection:
        row = connection.execute("SELECT current_user, current_setting('timezone')").fetchone()
    assert row == (role.value, "UTC")


def test_leaving_the_block_commits_and_an_error_rolls_back(database: Database) -> None:
    insert = "INSERT INTO source.models (model_id) VALUES (%s)"
    with database.connect(Role.UPSTREAM) as connection:
        connection.execute(insert, ["kept"])
    with pytest.raises(ZeroDivisionError), database.connect(Role.UPSTREAM) as connection:
        connection.execute(insert, ["dropped"])
        raise ZeroDivisionError
    with database.connect(Role.READER) as connection:
        assert connection.execute("SELECT model_id FROM source.models").fetchall() == [("kept",)]


def test_a_wrong_password_is_one_sentence_without_it(server: EmbeddedServer) -> None:
    right = Database(server.url())
    wrong = Database(right.url.replace(right.url.split(":")[2].split("@")[0], SECRET))
    with pytest.raises(DatabaseUnavailable, match="password authentication failed for user") as refused:
        wrong.connect()
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_a_database_that_is_down_is_one_sentence() -> None:
    with pytest.raises(DatabaseUnavailable, match=r"'kronos' at 127\.0\.0\.1:1 cannot be used: ") as refused:
        Database(f"postgresql://kronos:{SECRET}@127.0.0.1:1/kronos").connect()
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_server_lost_in_the_middle_is_one_sentence(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running_server(home) as server:
        database = Database(server.url("postgres"))
        with (
            pytest.raises(DatabaseUnavailable, match=r"'postgres' at 127\.0\.0\.1:\d+ went away"),
            database.connect(Role.OWNER) as connection,
        ):
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            connection.execute("SELECT 1")
    assert caplog.messages == []


def test_a_statement_of_ours_that_fails_stays_a_database_error(database: Database) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable), database.connect() as connection:
        connection.execute("SELECT * FROM kronos.nothing")


def test_a_role_that_does_not_exist_yet_hints_at_migrating(empty_database: Database) -> None:
    with empty_database.connect(Role.OWNER, autocommit=True) as connection:
        connection.execute("CREATE ROLE outsider LOGIN PASSWORD 'x'")
    outsider = Database(empty_database.url.replace(f"//{_login(empty_database)}", "//outsider:x"))
    with pytest.raises(DatabaseUnavailable, match="does not let its login act as kronos_reader: is it migrated"):
        outsider.connect(Role.READER)


def _login(database: Database) -> str:
    return database.url.split("//")[1].split("@")[0]


def test_a_database_shows_itself_without_the_password() -> None:
    database = Database(f"postgresql://kronos:{SECRET}@db.example:6000/meta")
    assert f"{database} {database!r}" == "'meta' at db.example:6000 'meta' at db.example:6000"


def test_dagsters_database_is_a_sibling_with_the_same_login() -> None:
    database = Database("postgresql://kronos:pw@db.example:6000/meta?sslmode=require")
    assert database.dagster_url == "postgresql://kronos:pw@db.example:6000/meta_dagster?sslmode=require"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "meta",
        f"mysql://kronos:{SECRET}@host/meta",
        f"postgresql://kronos:{SECRET}@host",
        f"postgresql://kronos:{SECRET}@host:port/meta",
        f"postgresql://kronos:{SECRET}@[host/meta",
    ],
)
def test_a_malformed_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(DatabaseUnavailable, match="KRONOS_DATABASE_URL: expected postgresql://") as refused:
        external(url)
    assert SECRET not in str(refused.value)


def test_an_unknown_parameter_of_the_address_is_one_sentence() -> None:
    with pytest.raises(DatabaseUnavailable, match="colour") as refused:
        Database(f"postgresql://kronos:{SECRET}@127.0.0.1:1/meta?colour=red").connect()
    assert SECRET not in str(refused.value)
