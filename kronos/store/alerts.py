"""Alerts: raised once, answered by people. What the caller's transaction raises, its commit makes known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from kronos.errors import AlertConflict, BadValue, NotAllowed, NotFound
from kronos.store.database import Database, Role
from kronos.store.queries import query

Session = psycopg.Connection[Any]

DEGRADATION: Final = "DEGRADATION"
PROMOTION_LATCH: Final = "PROMOTION_LATCH"
"""Raised by the database when a latch closes; `metric` is then the cause."""


@dataclass(frozen=True)
class Alert:
    """One row of kronos.alerts; state OPEN, ACKNOWLEDGED or CLOSED. raised_on: the date in the data."""

    alert_id: int
    kind: str
    engine_name: str
    scope: str
    config_id: str
    metric: str
    monitored_from: date
    raised_on: date
    recorded_at: datetime
    evidence: dict[str, Any]
    state: str
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    acknowledged_reason: str | None
    closed_by: str | None
    closed_at: datetime | None
    closed_reason: str | None


def raise_alert(
    connection: Session,
    *,
    engine_name: str,
    scope: str,
    config_id: str,
    metric: str,
    monitored_from: date,
    raised_on: date,
    evidence: Mapping[str, Any],
    kind: str = DEGRADATION,
) -> int | None:
    """The id of the new alert; None when this very thing was raised before, whatever became of it."""
    values = {
        "kind": kind,
        "engine_name": engine_name,
        "scope": scope,
        "config_id": config_id,
        "metric": metric,
        "monitored_from": monitored_from,
        "raised_on": raised_on,
        "evidence": Jsonb(dict(evidence)),
    }
    row = connection.execute(query("alerts", "raise"), values).fetchone()
    return None if row is None else int(row[0])


def alerts(database: Database, engine_name: str | None = None, *, closed: bool = False) -> list[Alert]:
    """Alerts of one engine, or of all, newest first; those closed only when asked for."""
    values = {"engine_name": engine_name, "closed": closed}
    with database.connect(Role.READER) as connection, connection.cursor(row_factory=class_row(Alert)) as cursor:
        return cursor.execute(query("alerts", "list"), values).fetchall()


def undelivered(connection: Session) -> list[Alert]:
    """Alerts nobody closed that the webhook is to be given now, oldest first."""
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        return cursor.execute(query("alerts", "undelivered")).fetchall()


def record_delivery(connection: Session, alert_id: int, failure: str | None) -> None:
    """What came of giving an alert to the webhook; failure None: it was taken."""
    connection.execute(query("alerts", "record_delivery"), {"alert_id": alert_id, "failure": failure})


def acknowledge(database: Database, alert_id: int, *, by: str, reason: str, token: str | None = None) -> None:
    """Take an open alert up; NotFound for an unknown id, AlertConflict when it is not open any more.

    token: of the principal under whose name it is; NotAllowed for his name without it.
    """
    _answer(database, "acknowledge", alert_id, by, reason, token)


def close(database: Database, alert_id: int, *, by: str, reason: str, token: str | None = None) -> None:
    """Close an alert; NotFound for an unknown id, AlertConflict when it is closed already. token: as above."""
    _answer(database, "close", alert_id, by, reason, token)


def _answer(database: Database, name: str, alert_id: int, by: str, reason: str, token: str | None) -> None:
    values = {"alert_id": alert_id, "by": by, "reason": reason, "token": token}
    with database.connect(Role.CHANGE_MANAGER) as connection, _refusals(values):
        connection.execute(query("alerts", name), values)


@contextmanager
def _refusals(values: Mapping[str, Any]) -> Iterator[None]:
    """The database's constraints, in the words of the domain."""
    try:
        yield
    except psycopg.errors.NoDataFound as error:
        raise NotFound("alert", str(values["alert_id"])) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotAllowed(error.diag.message_primary or str(error), error.diag.constraint_name) from error
    except psycopg.errors.CheckViolation as error:
        raise BadValue("by, reason", (values["by"], values["reason"]), "a name and a reason, neither empty") from error
    except psycopg.errors.RestrictViolation as error:
        raise AlertConflict(error.diag.message_primary or str(error), error.diag.constraint_name) from error
