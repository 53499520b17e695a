"""Opening the database the settings name: complete and migrated, wherever it is."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from kronos.errors import DatabaseUnavailable
from kronos.settings import Settings
from kronos.store.database import Database, Role
from kronos.store.locks import is_held
from kronos.store.open import open_database
from kronos.store.server import EmbeddedServer
from kronos_tests.databases import drop, execute


@pytest.fixture
def unmade(server: EmbeddedServer) -> Iterator[Database]:
    """The address of a database that does not exist; dropped afterwards with Dagster's."""
    database = Database(server.url(f"unmade_{uuid.uuid4().hex[:8]}"))
    yield database
    for one in (database, database.sibling(f"{database.name}_dagster")):
        drop(one)


def _settings(url: str) -> Settings:
    return Settings(database_url=url)


def test_the_embedded_database_is_migrated_and_gone_after_the_block(home: Path) -> None:
    with open_database(Settings(home=home, database_url=None)) as database, database.connect(Role.READER) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM kronos.migrations").fetchone() == (True,)
    assert not is_held(home / "postgres" / "alive")


def test_the_embedded_data_is_there_at_the_next_opening(home: Path) -> None:
    with (
        open_database(Settings(home=home, database_url=None)) as database,
        database.connect(Role.UPSTREAM) as connection,
    ):
        connection.execute("INSERT INTO source.models (model_id) VALUES ('m')")
    with open_database(Settings(home=home, database_url=None)) as database, database.connect(Role.READER) as connection:
        assert connection.execute("SELECT model_id FROM source.models").fetchall() == [("m",)]


def test_an_external_server_gets_both_databases(unmade: Database) -> None:
    with open_database(_settings(unmade.url)) as database:
        with database.connect(Role.READER) as connection:
            connection.execute("SELECT * FROM kronos.engine_configs")
        Database(database.dagster_url).connect(Role.OWNER).close()


def test_a_login_that_may_not_create_databases_is_told_what_to_ask_for(unmade: Database) -> None:
    login = f"limited_{uuid.uuid4().hex[:8]}"
    execute(unmade, "CREATE ROLE {} LOGIN PASSWORD 'x'", login)
    url = unmade.url.replace(unmade.url.split("//")[1].split("@")[0], f"{login}:x")
    with pytest.raises(DatabaseUnavailable, match=rf"'{login}' may not create it"), open_database(_settings(url)):
        pass
    execute(unmade, "DROP ROLE {}", login)


def test_an_unreachable_external_server_is_one_sentence() -> None:
    down = _settings("postgresql://kronos:pw@127.0.0.1:1/kronos")
    with pytest.raises(DatabaseUnavailable, match=r"'kronos' at 127\.0\.0\.1:1 cannot be used"), open_database(down):
        pass
