"""Bulk writes into the stand-alone source tables, in the role of upstream."""

from __future__ import annotations

from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from kronos.store.database import Role
from kronos.store.queries import query

Session = psycopg.Connection[Any]

_SLICE_ROWS = 50_000
# one number for all releases: two processes must not play upstream at once
_LOCK = 0x73616E64626F78


def lock_sandbox(connection: Session) -> None:
    """Wait until no other process plays upstream in this database."""
    connection.execute(query("sandbox", "lock"), [_LOCK])


def act_as(connection: Session, role: Role) -> None:
    """Switch to a role for the rest of the transaction."""
    connection.execute(query("sandbox", "act_as"), [role.value])


def holds_decisions(connection: Session) -> bool:
    """Whether the source tables hold decisions already."""
    row = connection.execute(query("sandbox", "holds_decisions")).fetchone()
    return bool(row and row[0])


def refresh_statistics(connection: Session) -> None:
    """Let the planner know what was loaded."""
    connection.execute(query("sandbox", "analyze"))


def copy_rows(connection: Session, table: str, rows: pl.DataFrame) -> int:
    """Append rows to a source table by COPY; columns go by name, null stays null. Returns how many."""
    statement = sql.SQL("COPY source.{} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, rows.columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for part in rows.iter_slices(_SLICE_ROWS):
            copy.write(part.write_csv(include_header=False, datetime_format="%Y-%m-%d %H:%M:%S%.6fZ"))
    return len(rows)
