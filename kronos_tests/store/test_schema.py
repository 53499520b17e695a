"""schema.sql, the README's grants and the named queries against a live database."""

from __future__ import annotations

import psycopg
import pytest

from kronos.errors import NotFound
from kronos.settings import sql_root
from kronos.store.database import Database, Role
from kronos.store.queries import query
from kronos.store.schema import grants_of, schema_of

THE_OWNERS = ("kronos.changes_under_way",)
"""Tables that no role may read."""

WRITE_AGAIN = "run: python -m kronos.store.schema"


def test_schema_sql_is_what_the_migrations_add_up_to(database: Database) -> None:
    assert (sql_root() / "schema.sql").read_text() == schema_of(database), WRITE_AGAIN


def test_the_readme_states_the_grants_the_database_holds(database: Database) -> None:
    assert grants_of(database) in (sql_root() / "README.md").read_text(), WRITE_AGAIN


def _tables(database: Database, schema: str) -> list[str]:
    with database.connect(Role.OWNER) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1", [schema])
        return [f"{schema}.{row[0]}" for row in found]


@pytest.mark.parametrize("schema", ["kronos", "source"])
@pytest.mark.parametrize("role", [Role.READER, Role.ORCHESTRATOR, Role.CHAT, Role.CHANGE_MANAGER])
def test_readers_read_every_table_but_the_owners_own(database: Database, role: Role, schema: str) -> None:
    with database.connect(role) as connection:
        for table in set(_tables(database, schema)) - set(THE_OWNERS):
            connection.execute(f"SELECT * FROM {table} LIMIT 1")


@pytest.mark.parametrize("role", [Role.READER, Role.ORCHESTRATOR, Role.CHAT, Role.CHANGE_MANAGER])
def test_only_upstream_writes_the_source(database: Database, role: Role) -> None:
    with database.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("INSERT INTO source.models (model_id) VALUES ('m')")


def test_upstream_sees_nothing_of_kronos(database: Database) -> None:
    with database.connect(Role.UPSTREAM) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT * FROM kronos.engine_configs")


@pytest.mark.parametrize("role", [Role.READER, Role.CHAT])
def test_who_only_reads_writes_nowhere(database: Database, role: Role) -> None:
    for table in _tables(database, "kronos"):
        with database.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"DELETE FROM {table}")


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OWNER])
def test_no_role_creates_objects(database: Database, role: Role) -> None:
    for schema in ("kronos", "source"):
        with database.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"CREATE TABLE {schema}.mine ()")


PUBLIC = """
SELECT relname FROM pg_class, aclexplode(relacl) AS held
WHERE held.grantee = 0 AND relnamespace::regnamespace::text IN ('kronos', 'source')
UNION ALL
SELECT nspname FROM pg_namespace, aclexplode(nspacl) AS held
WHERE held.grantee = 0 AND nspname IN ('kronos', 'source')
UNION ALL
SELECT proname FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) AS held
WHERE held.grantee = 0 AND pronamespace::regnamespace::text IN ('kronos', 'source')
"""


def test_public_holds_nothing(database: Database) -> None:
    with database.connect(Role.OWNER) as connection:
        assert connection.execute(PUBLIC).fetchall() == []


def test_every_query_has_a_sentence() -> None:
    for path in (sql_root() / "queries").glob("*.sql"):
        blocks = path.read_text().split("-- name: ")[1:]
        assert blocks
        assert [block for block in blocks if not block.splitlines()[1].startswith("-- ")] == [], path.name


@pytest.mark.parametrize(("noun", "name"), [("nothing", "applied"), ("migrations", "nothing")])
def test_an_unknown_query_is_an_error_that_names_it(noun: str, name: str) -> None:
    with pytest.raises(NotFound, match="nothing"):
        query(noun, name)
