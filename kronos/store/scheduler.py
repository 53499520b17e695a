"""What the scheduler sees and decides: readings of the nodes, decisions while they last, the last plan's state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from kronos.store.queries import query

Session = psycopg.Connection[Any]


@dataclass(frozen=True)
class NodeReading:
    """A machine's newest reading."""

    node: str
    taken_at: datetime
    reading: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a plan said about one experiment. attempt: the one that runs, or that would be started."""

    experiment_id: UUID
    attempt: int
    action: str
    reason: str
    blocker: str
    node: str
    expected_start: datetime | None
    leave_by: datetime | None


@dataclass(frozen=True, kw_only=True)
class KeptDecision(Decision):
    """A decision for as long as every plan said the same."""

    first_at: datetime
    last_at: datetime


@dataclass(frozen=True)
class SchedulerState:
    """What the last plan saw."""

    planned_at: datetime
    nodes: dict[str, Any]
    tier1: dict[str, Any]
    windows: dict[str, Any]
    counts: dict[str, Any]


def try_lock(session: Session) -> bool:
    """Whether this transaction is the one that plans, until it ends."""
    row = session.execute(query("scheduler", "lock")).fetchone()
    return row is not None and bool(row[0])


def read_one_moment(session: Session) -> None:
    """Everything this transaction reads is of one moment; its first statement."""
    session.execute(query("scheduler", "one_moment"))


def database_now(session: Session) -> datetime:
    """The database's clock."""
    row = session.execute(query("scheduler", "now")).fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


def save_reading(session: Session, node: str, reading: Mapping[str, Any]) -> None:
    """Keep a machine's newest reading, taken now."""
    session.execute(query("scheduler", "read_node"), {"node": node, "reading": Jsonb(dict(reading))})


def node_readings(session: Session) -> list[NodeReading]:
    """The newest reading of every machine that ever gave one, by name."""
    with session.cursor(row_factory=class_row(NodeReading)) as cursor:
        return cursor.execute(query("scheduler", "nodes")).fetchall()


def save_decisions(session: Session, now: datetime, decisions: Sequence[Decision]) -> None:
    """Keep decisions, at most one per experiment; what was decided last time as well lasts on."""
    if not decisions:
        return
    values = {
        "now": now,
        "ids": [one.experiment_id for one in decisions],
        "attempts": [one.attempt for one in decisions],
        "actions": [one.action for one in decisions],
        "reasons": [one.reason for one in decisions],
        "blockers": [one.blocker for one in decisions],
        "nodes": [one.node for one in decisions],
        "starts": [one.expected_start for one in decisions],
        "leaves": [one.leave_by for one in decisions],
    }
    session.execute(query("scheduler", "decide"), values)


def last_decisions(session: Session) -> dict[UUID, KeptDecision]:
    """The newest decision about every experiment that waits or runs."""
    with session.cursor(row_factory=class_row(KeptDecision)) as cursor:
        return {one.experiment_id: one for one in cursor.execute(query("scheduler", "last_decisions")).fetchall()}


def decisions_of(session: Session, experiment_id: UUID) -> list[KeptDecision]:
    """Every decision about an experiment, oldest first."""
    with session.cursor(row_factory=class_row(KeptDecision)) as cursor:
        return cursor.execute(query("scheduler", "decisions_of"), {"experiment_id": experiment_id}).fetchall()


def save_state(session: Session, state: SchedulerState) -> None:
    """Keep what a plan saw."""
    values = {
        "planned_at": state.planned_at,
        **{name: Jsonb(getattr(state, name)) for name in ("nodes", "tier1", "windows", "counts")},
    }
    session.execute(query("scheduler", "save_state"), values)


def scheduler_state(session: Session) -> SchedulerState | None:
    """What the last plan saw; None before the first."""
    with session.cursor(row_factory=class_row(SchedulerState)) as cursor:
        return cursor.execute(query("scheduler", "state")).fetchone()
