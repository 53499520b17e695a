"""Configs of the engines, and which one was active when, and why.

Registering inserts and never changes. Activating here is for the first configs of the sandbox; elsewhere a person
adopts an engine's first, and from then on promotions and rollbacks change it (`kronos.store.promotions`). Nothing here
commits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import class_row, scalar_row, tuple_row
from psycopg.types.json import Jsonb

from kronos.core.vocabulary import TrialFamily
from kronos.errors import ConfigConflict, NotFound
from kronos.store.queries import query
from kronos.store.refusals import refusals

Session = psycopg.Connection[Any]
"""A connection with any row factory."""

EVERYWHERE = "*"
"""Scope of an activation that holds in every market."""


@dataclass(frozen=True)
class EngineConfig:
    """One immutable version of an engine's parameters; status REGISTERED, ACTIVE or RETIRED.

    family CONTROL: made for a control experiment, never active, and no trial of the real search.
    """

    config_id: str
    engine_name: str
    version: str
    config_body: dict[str, Any]
    created_at: datetime
    created_by: str
    status: str
    family: TrialFamily


class Misfit(StrEnum):
    """Why a config of upstream's cannot be registered."""

    CONFIG_CHANGED = "CONFIG_CHANGED"
    """It is registered with another body: upstream changed it under its id."""
    CONFIG_ID_TAKEN = "CONFIG_ID_TAKEN"
    """Its id is another engine's."""
    WRONG_JSON_TYPE = "WRONG_JSON_TYPE"
    """Its body is no JSON that Postgres can hold, or nested deeper than its settings allow."""


@dataclass(frozen=True)
class Activation:
    """A config was active for an engine and scope from activated_at until before deactivated_at (None: still is)."""

    engine_name: str
    scope: str
    config_id: str
    activated_at: datetime
    deactivated_at: datetime | None
    activated_by: str
    reason: str


def register(
    connection: Session,
    *,
    config_id: str,
    engine_name: str,
    version: str,
    config_body: Mapping[str, Any],
    created_by: str,
    created_at: datetime,
    family: TrialFamily = TrialFamily.REAL,
) -> bool:
    """Add a config, which counts as a trial; False when it is registered already.

    Raises `ConfigConflict` when the id holds another.
    """
    values = {
        "config_id": config_id,
        "engine_name": engine_name,
        "version": version,
        "body": Jsonb(dict(config_body)),
        "created_by": created_by,
        "created_at": created_at,
        "family": family,
    }
    with config_refusals(config_id):
        return bool(_scalar(connection, "register", values))


def import_config(
    connection: Session,
    *,
    config_id: str,
    engine_name: str,
    version: str,
    config_body: str,
    created_by: str,
    created_at: datetime,
) -> tuple[Misfit, str] | None:
    """Add a config that upstream holds, unless it is registered; why it cannot be, and the value that is in the way.

    config_body: JSON text, so that no number goes through a float. What is registered never changes.
    """
    values = {
        "config_id": config_id,
        "engine_name": engine_name,
        "version": version,
        "body": config_body,
        "created_by": created_by,
        "created_at": created_at,
    }
    try:
        with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
            found = cursor.execute(query("engine_configs", "import"), values).fetchone()
    except (psycopg.DataError, psycopg.errors.StatementTooComplex) as error:
        return Misfit.WRONG_JSON_TYPE, error.diag.message_primary or str(error)
    holder, same, _ = found or (None, None, None)
    if holder not in (None, engine_name):
        return Misfit.CONFIG_ID_TAKEN, f"config_id={config_id} is registered for {holder}"
    return (Misfit.CONFIG_CHANGED, f"config_body={config_body}") if same is False else None


def activate(
    connection: Session,
    *,
    engine_name: str,
    config_id: str,
    by: str,
    reason: str,
    at: datetime,
    expected_incumbent: str | None,
    scope: str = EVERYWHERE,
) -> int:
    """Make a config an engine's first incumbent; its activation's id. at: no time to come.

    `ConfigConflict` when there is or was one in any scope, whatever is expected: only a promotion or rollback follows.
    `NotAllowed` when `by` is a principal: he promotes, with his token.
    """
    values = {
        "engine_name": engine_name,
        "config_id": config_id,
        "by": by,
        "reason": reason,
        "at": at,
        "expected_incumbent": expected_incumbent,
        "scope": scope,
    }
    with refusals(by), config_refusals(config_id):
        return int(_scalar(connection, "activate", values))


def active_at(connection: Session, engine_name: str, instant: datetime, scope: str = EVERYWHERE) -> Activation | None:
    """What was active for the engine at the instant, since when, by whom and why; None when nothing was."""
    values = {"engine_name": engine_name, "instant": instant, "scope": scope}
    with connection.cursor(row_factory=class_row(Activation)) as cursor:
        return cursor.execute(query("engine_configs", "active_at"), values).fetchone()


def earlier_config(connection: Session, engine_name: str, scope: str, config_id: str) -> str | None:
    """What a rollback from the config would return to; None when it is not the incumbent or had none before it."""
    found: str | None = _scalar(
        connection, "earlier", {"engine_name": engine_name, "scope": scope, "config_id": config_id}
    )
    return found


def activations(connection: Session, engine_name: str) -> list[Activation]:
    """The engine's whole activation history, oldest first within each scope."""
    with connection.cursor(row_factory=class_row(Activation)) as cursor:
        return cursor.execute(query("engine_configs", "activations"), {"engine_name": engine_name}).fetchall()


def list_configs(connection: Session, engine_name: str | None = None) -> list[EngineConfig]:
    """Registered configs of one engine, or of all."""
    with connection.cursor(row_factory=class_row(EngineConfig)) as cursor:
        return cursor.execute(query("engine_configs", "list"), {"engine_name": engine_name}).fetchall()


def bodiless_configs(connection: Session, engine_name: str) -> list[str]:
    """Ids of the engine's configs that were seen in decisions, and whose body nobody told."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query("engine_configs", "bodiless"), {"engine_name": engine_name}).fetchall()


def _scalar(connection: Session, name: str, values: dict[str, Any]) -> Any:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query("engine_configs", name), values).fetchone()


@contextmanager
def config_refusals(config_id: str) -> Iterator[None]:
    """The database's constraints, in the words of the domain."""
    try:
        yield
    except psycopg.errors.ForeignKeyViolation as error:
        raise NotFound("config of this engine", config_id) from error
    except psycopg.errors.IntegrityError as error:
        raise ConfigConflict(error.diag.message_primary or str(error), error.diag.constraint_name) from error
