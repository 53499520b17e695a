"""The promotion latch of each engine: why it is closed, its history, and who may do what to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from kronos.core.canonical import canonical_json
from kronos.store.principals import allowed
from kronos.store.queries import query
from kronos.store.refusals import refusals

Session = psycopg.Connection[Any]


@dataclass(frozen=True)
class LatchCause:
    """One reason why a latch is closed.

    cause: that of a closing since the last opening (UNEXPECTED_CONTROL, ...), or until a fresh suite NO_SUITE,
    STALE_SUITE, NO_POLICY or POLICY_UNPROVEN. detail: what is known of it. since: the epoch where there is no
    beginning. event_id: of the closing, None for what only a suite opens.
    """

    cause: str
    detail: dict[str, Any]
    since: datetime
    event_id: int | None


@dataclass(frozen=True)
class LatchEvent:
    """One closing or opening of an engine's latch."""

    event_id: int
    engine_name: str
    state: str
    cause: str
    detail: dict[str, Any]
    author: str
    reason: str | None
    occurred_at: datetime


def latch_causes(session: Session, engine_name: str) -> list[LatchCause]:
    """Why the latch is closed at this moment; empty when it is open."""
    with session.cursor(row_factory=class_row(LatchCause)) as cursor:
        return cursor.execute(query("latch", "causes"), {"engine_name": engine_name}).fetchall()


def latched_engines(session: Session) -> list[str]:
    """Engines that have a config to replace, or a latch that was ever moved."""
    return [row[0] for row in session.execute(query("latch", "engines"))]


def latch_history(session: Session, engine_name: str) -> list[LatchEvent]:
    """Every closing and opening, oldest first."""
    with session.cursor(row_factory=class_row(LatchEvent)) as cursor:
        return cursor.execute(query("latch", "history"), {"engine_name": engine_name}).fetchall()


def close_latch(session: Session, engine_name: str, cause: str, detail: Mapping[str, Any]) -> int:
    """Close an engine's latch and raise an alert, in a transaction that has begun its change; the event's number.

    cause: capitals and underscores. The last closing told again changes nothing.
    """
    values = {"engine_name": engine_name, "cause": cause, "detail": Jsonb(dict(detail), dumps=canonical_json)}
    with refusals(engine_name), session.cursor(row_factory=scalar_row) as cursor:
        return int(cursor.execute(query("latch", "close"), values).fetchone() or 0)


def reopen_latch(
    session: Session, token: str | None, engine_name: str, *, seen: int, reason: str, code_version: str
) -> int:
    """Reopen what events closed, by the person whose token it is; the event's number. seen: the newest of them."""
    values = {"token": token, "engine_name": engine_name, "seen": seen, "reason": reason, "code_version": code_version}
    with allowed(engine_name, "engine"), session.cursor(row_factory=scalar_row) as cursor:
        return int(cursor.execute(query("latch", "reopen"), values).fetchone() or 0)


def alert_closed_latches(session: Session) -> None:
    """Raise an alert, once each, for latches that closed by the passing of time or a new gate policy."""
    session.execute(query("latch", "alert"))
