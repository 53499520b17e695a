"""The change log: who changes what, said at the start of a transaction; the database writes the entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from kronos.core.changes.chain import Entry
from kronos.store.queries import query
from kronos.store.refusals import refusals

Session = psycopg.Connection[Any]

_BATCH = 10_000


def begin_change(
    session: Session,
    author: str,
    reason: str | None = None,
    *,
    code_version: str,
    run_id: str | None = None,
    lake_version: Mapping[str, int] | None = None,
    token: str | None = None,
) -> None:
    """Say who changes what in this transaction, and why; the first statement of every transaction that is logged.

    Such transactions wait for each other, so hold none open. token: of the principal under whose name it is; another
    author than his, and a principal's name without his token, are refused.
    """
    values = {
        "author": author,
        "reason": reason,
        "run_id": run_id,
        "lake_version": None if lake_version is None else Jsonb(dict(lake_version)),
        "code_version": code_version,
        "token": token,
    }
    with refusals(author):
        session.execute(query("change_log", "begin"), values)


def entries(session: Session) -> Iterator[Entry]:
    """The whole chain in order, read batch by batch."""
    with session.cursor(f"entries_{uuid4().hex}", row_factory=class_row(Entry)) as cursor:
        cursor.itersize = _BATCH
        yield from cursor.execute(query("change_log", "entries"))


def newest_entries(session: Session, count: int, subject_id: str | None = None) -> list[Entry]:
    """The last entries, of one subject or of all, oldest first."""
    with session.cursor(row_factory=class_row(Entry)) as cursor:
        values = {"count": count, "subject_id": subject_id}
        return cursor.execute(query("change_log", "newest"), values).fetchall()


def subjects(session: Session, prefix: str) -> list[str]:
    """Ids of subjects that begin so, three at most."""
    return [row[0] for row in session.execute(query("change_log", "subjects"), {"prefix": prefix})]
