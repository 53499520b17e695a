"""COPY into the source tables keeps every value as it is."""

from datetime import UTC, date, datetime

import polars as pl
import psycopg
import pytest

from kronos.store.database import Database, Role
from kronos.store.source_writer import act_as, copy_rows, holds_decisions

ID = "20170102-0000-8000-a000-000000000001"
FOUND = 'SELECT "return"::text, pnl, label, risk_metrics, recorded_at FROM source.decision_outcomes'


def test_quotes_nulls_nan_and_instants_survive(database: Database) -> None:
    at = datetime(2017, 1, 2, 21, 20, 0, 123456, tzinfo=UTC)
    row = {"decision_id": ID, "horizon_days": 1, "return": float("nan"), "pnl": None, "recorded_at": at}
    texts = {"label": 'a "b", c\n', "risk_metrics": '{"x":"it\'s, \\"y\\""}'}
    rows = pl.DataFrame([{**row, **texts}], schema_overrides={"pnl": pl.Float64})
    with database.connect(Role.UPSTREAM) as connection:
        assert copy_rows(connection, "decision_outcomes", rows) == 1
        found = connection.execute(FOUND).fetchone()
    assert found == ("NaN", None, 'a "b", c\n', {"x": 'it\'s, "y"'}, at)


def test_a_role_taken_on_ends_with_the_transaction(database: Database) -> None:
    with database.connect(Role.ORCHESTRATOR) as connection:
        act_as(connection, Role.UPSTREAM)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT FROM kronos.sandbox_clock")
        connection.rollback()
        connection.execute("SELECT FROM kronos.sandbox_clock")


def test_decisions_are_noticed(database: Database) -> None:
    rows = pl.DataFrame({"decision_id": [ID], "as_of_date": [date(2017, 1, 2)]})
    with database.connect(Role.UPSTREAM) as connection:
        assert not holds_decisions(connection)
        copy_rows(connection, "engine_decisions", rows)
        assert holds_decisions(connection)
