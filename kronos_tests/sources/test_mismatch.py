"""A source that is not what was promised ends in one clear sentence, and is never written to."""

from __future__ import annotations

import re

import pytest

from kronos.core.policy import ObservationPolicy
from kronos.errors import BadValue, DatabaseUnavailable, KronosError, SourceMismatch
from kronos.settings import Dialect, RecordedBy
from kronos.sources.connection import SourceConnection
from kronos.sources.reader import SourceReader
from kronos.store.database import Database
from kronos_tests.sources.foreign import Foreign
from kronos_tests.sources.reading import TODAY


def opened(url: str, dialect: Dialect) -> SourceReader:
    return SourceReader(url, dialect, RecordedBy.AS_OF_DATE, ObservationPolicy())


def check(url: str, dialect: Dialect) -> None:
    with opened(url, dialect) as reader:
        reader.check()


def test_both_dialects_are_what_they_promise(database: Database, foreign: Foreign) -> None:
    for url, dialect in ((database.url, Dialect.SPEC), (foreign.url, Dialect.PROMETHEUS_V2)):
        check(url, dialect)


def test_a_database_without_the_tables_is_refused_by_name(empty_database: Database) -> None:
    with pytest.raises(SourceMismatch, match=r"engine_decisions of dialect 'spec': relation .* does not exist"):
        check(empty_database.url, Dialect.SPEC)


def test_the_wrong_dialect_is_refused_naming_table_and_column(foreign: Foreign) -> None:
    with pytest.raises(SourceMismatch, match=r"table engine_decisions of dialect 'spec': column .* does not exist"):
        check(foreign.url, Dialect.SPEC)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("engine_decisions", "output_refs"),
        ("decision_outcomes", "realized_vol"),
        ("stability_vectors", "overall_score"),
        ("regimes", "regime_label"),
        ("engine_runs", "phase"),
    ],
)
def test_a_missing_column_is_named_with_its_table(foreign: Foreign, table: str, column: str) -> None:
    foreign.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    with pytest.raises(SourceMismatch, match=rf"{table} .*{column}"):
        check(foreign.url, Dialect.PROMETHEUS_V2)


def test_a_missing_table_is_named(foreign: Foreign) -> None:
    foreign.execute("DROP TABLE job_executions")
    with pytest.raises(SourceMismatch, match=r'"job_executions" does not exist'):
        check(foreign.url, Dialect.PROMETHEUS_V2)


def test_a_column_of_another_type_is_refused(foreign: Foreign) -> None:
    foreign.execute("ALTER TABLE engine_decisions ALTER COLUMN output_refs TYPE bytea USING NULL")
    with pytest.raises(SourceMismatch, match=r"engine_decisions .*cannot cast type bytea to jsonb"):
        check(foreign.url, Dialect.PROMETHEUS_V2)


def test_a_table_the_login_may_not_read_is_named(foreign: Foreign) -> None:
    role = re.search(r"//(\w+):", foreign.url)
    assert role is not None
    foreign.execute(f"REVOKE SELECT ON fragility_measures FROM {role[1]}")
    with pytest.raises(SourceMismatch, match="permission denied for table fragility_measures"):
        check(foreign.url, Dialect.PROMETHEUS_V2)


def test_the_tables_may_live_in_a_schema_of_the_logins_search_path(foreign: Foreign) -> None:
    role = re.search(r"//(\w+):", foreign.url)
    assert role is not None
    foreign.execute("ALTER SCHEMA public RENAME TO prometheus")
    foreign.execute(f"ALTER ROLE {role[1]} SET search_path = prometheus")
    check(foreign.url, Dialect.PROMETHEUS_V2)


def test_even_an_owner_cannot_write_through_the_source_session(database: Database) -> None:
    with SourceConnection(database.url) as connection:
        for statement in ("CREATE TABLE mine (a int)", "DELETE FROM source.regimes"):
            with pytest.raises(KronosError, match="read-only transaction"):
                connection.fetch(statement)


def test_a_refused_statement_does_not_end_the_session(foreign_reader: SourceReader, foreign: Foreign) -> None:
    foreign.execute("ALTER TABLE regimes RENAME TO elsewhere")
    with pytest.raises(SourceMismatch):
        foreign_reader.fingerprints(TODAY)
    foreign.execute("ALTER TABLE elsewhere RENAME TO regimes")
    assert foreign_reader.fingerprints(TODAY).is_empty()


@pytest.mark.parametrize("change", [(":watch@", ":wr0ng@"), ("empty_", "missing_")])
def test_a_refused_login_is_one_sentence_without_the_password(foreign: Foreign, change: tuple[str, str]) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        check(foreign.url.replace(*change), Dialect.PROMETHEUS_V2)
    text = str(caught.value)
    assert text.startswith("the source database") and "cannot be used" in text
    assert "wr0ng" not in text and "watch@" not in text and "\n" not in text


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(DatabaseUnavailable, match=r"'db' at 127.0.0.1:1 cannot be used: .*[Cc]onnection refused"):
        check("postgresql://a:secret@127.0.0.1:1/db", Dialect.SPEC)


def test_only_postgres_addresses_are_taken() -> None:
    with pytest.raises(BadValue, match="expected postgresql://") as caught:
        opened("postgresql+psycopg2://a:secret@127.0.0.1:1/db", Dialect.SPEC)
    assert "secret" not in str(caught.value)
