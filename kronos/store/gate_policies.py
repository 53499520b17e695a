"""Versions of the gate policy. Nothing here commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from kronos.core.canonical import canonical_json
from kronos.store.principals import allowed
from kronos.store.queries import query

Session = psycopg.Connection[Any]


@dataclass(frozen=True)
class GatePolicyVersion:
    """One version, for an engine or (`*`) for all that have none of their own."""

    engine_name: str
    version: int
    digest: str
    body: dict[str, Any]
    created_at: datetime
    created_by: str
    reason: str


def policy_in_force(session: Session, engine_name: str) -> GatePolicyVersion | None:
    """What an engine is judged by now; None before there is any policy."""
    with session.cursor(row_factory=class_row(GatePolicyVersion)) as cursor:
        return cursor.execute(query("gate_policies", "in_force"), {"engine_name": engine_name}).fetchone()


def policy_history(session: Session, engine_name: str | None = None) -> list[GatePolicyVersion]:
    """Every version that ever was in force for an engine, or all of them, newest first."""
    with session.cursor(row_factory=class_row(GatePolicyVersion)) as cursor:
        return cursor.execute(query("gate_policies", "history"), {"engine_name": engine_name}).fetchall()


def begin_policy(session: Session, body: Mapping[str, Any]) -> None:
    """Make the defaults version 1 for all engines unless there is a policy."""
    session.execute(query("gate_policies", "begin"), {"body": Jsonb(body, dumps=canonical_json)})


def set_policy(
    session: Session,
    token: str | None,
    engine_name: str,
    body: Mapping[str, Any],
    expected: int,
    *,
    reason: str,
    code_version: str,
) -> int:
    """Number of the new version, by whose token it is; `ChangeRefused` unless it replaces the expected one."""
    values = {
        "token": token,
        "engine_name": engine_name,
        "body": Jsonb(body, dumps=canonical_json),
        "expected": expected,
        "reason": reason,
        "code_version": code_version,
    }
    with allowed(engine_name, "gate policy"):
        row = session.execute(query("gate_policies", "set"), values).fetchone()
    assert row is not None
    return int(row[0])
