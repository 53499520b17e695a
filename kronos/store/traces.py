"""Everything the database holds about how a config came to be tested, judged and active."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from kronos.store.queries import query

Session = psycopg.Connection[Any]
Rows = list[dict[str, Any]]

LINKS: Final = (
    "activations",
    "promotions",
    "approvals",
    "verdicts",
    "results",
    "attempts",
    "pieces",
    "experiments",
    "proposals",
)
"""What a config's way leads through, from the live config back to the idea."""


def config_row(session: Session, config_id: str) -> dict[str, Any] | None:
    """The registered config with its canonical hash; None when there is none of that id."""
    with session.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query("traces", "config"), {"config_id": config_id}).fetchone()


def linked_rows(session: Session, link: str, config_id: str) -> Rows:
    """The rows of one of `LINKS`, oldest first."""
    with session.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query("traces", link), {"config_id": config_id}).fetchall()
