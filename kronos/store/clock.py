"""The sandbox's clock: which session it has reached and the instant it plays as now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from kronos.errors import NotFound
from kronos.store.database import Database, Role
from kronos.store.queries import query
from kronos.store.refusals import refusals

Session = psycopg.Connection[Any]


@dataclass(frozen=True)
class SandboxClock:
    """Today's session, the instant after its close that is played as now, and where the data begins and ends."""

    today: date
    now: datetime
    loaded_from: date
    data_end: date


def read_clock(database: Database) -> SandboxClock | None:
    """The clock, or None before the history is loaded."""
    with database.connect(Role.ORCHESTRATOR) as connection:
        return clock_in(connection)


def running_clock(database: Database) -> SandboxClock:
    """The clock; NotFound before the history is loaded."""
    clock = read_clock(database)
    if clock is None:
        raise NotFound("sandbox clock (it starts when `kronos up` has loaded the history) in database", str(database))
    return clock


def sandbox_now(database: Database) -> datetime:
    """The instant the sandbox plays as now."""
    return running_clock(database).now


def clock_in(connection: Session) -> SandboxClock | None:
    """The clock as this transaction sees it."""
    with connection.cursor(row_factory=class_row(SandboxClock)) as cursor:
        return cursor.execute(query("sandbox", "clock")).fetchone()


def start_clock(connection: Session, clock: SandboxClock) -> None:
    """Start the clock, in the transaction that loads the history.

    `ChangeRefused` once anybody but the first admin was added or anything was approved: activations go by this clock.
    """
    with refusals("sandbox"):
        connection.execute(query("sandbox", "start_clock"), vars(clock))


def move_clock(connection: Session, expected: date, today: date, now: datetime) -> bool:
    """Move the clock on from the expected session; False when another process has moved it meanwhile."""
    values = {"expected": expected, "today": today, "now": now}
    return connection.execute(query("sandbox", "move_clock"), values).fetchone() is not None
