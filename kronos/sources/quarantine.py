"""Keeps the source rows that broke the contract, with the reason, in kronos.quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from kronos.core.frames import QUARANTINE, conform, month_of
from kronos.errors import BadValue
from kronos.store.database import Database, Role
from kronos.store.queries import query

ORPHANS: Final = "orphans"
"""Batch of the rows that belong to no month."""
_COUNTS: Final = {"batch": pl.String, "source_table": pl.String, "rule": pl.String, "rows": pl.Int64}


def replace_months(database: Database, months: Sequence[str], rows: pl.DataFrame) -> None:
    """Make QUARANTINE rows the whole truth about the months they are dated in; a month without rows is clean."""
    batched = conform(rows, QUARANTINE, "quarantine").select(month_of().alias("batch"), *QUARANTINE)
    strange = batched.filter(~pl.col("batch").is_in(list(months)).fill_null(False))
    if not strange.is_empty():
        raise BadValue("the quarantine's as_of_date", strange["as_of_date"][0], f"a day of {', '.join(months)}")
    _replace(database, months, batched)


def replace_orphans(database: Database, rows: pl.DataFrame) -> None:
    """Make QUARANTINE rows the whole truth about what belongs to no month."""
    _replace(
        database, [ORPHANS], conform(rows, QUARANTINE, "quarantine").select(pl.lit(ORPHANS).alias("batch"), *QUARANTINE)
    )


def quarantine_counts(database: Database) -> pl.DataFrame:
    """batch (a month, or `orphans`), source_table, rule, rows."""
    with database.connect(Role.READER) as connection:
        found = connection.execute(query("quarantine", "counts")).fetchall()
    return pl.DataFrame(found, schema=_COUNTS, orient="row")


def quarantined(database: Database, batch: str) -> pl.DataFrame:
    """QUARANTINE rows of one batch."""
    with database.connect(Role.READER) as connection:
        found = connection.execute(query("quarantine", "rows"), [batch]).fetchall()
    return pl.DataFrame(found, schema=QUARANTINE, orient="row")


def _replace(database: Database, batches: Sequence[str], rows: pl.DataFrame) -> None:
    with database.connect(Role.ORCHESTRATOR) as connection, connection.cursor() as cursor:
        cursor.execute(query("quarantine", "clear"), [list(batches)])
        with cursor.copy(query("quarantine", "fill")) as copy:
            for row in rows.iter_rows():
                copy.write_row(row)
