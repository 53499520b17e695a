"""Specs, attempts and checkpoints of backtests. An attempt is fenced by its number; nothing here commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row, kwargs_row
from psycopg.types.json import Jsonb

from kronos.core.backtests.attempts import Attempt, AttemptOutcome
from kronos.core.backtests.spec import BacktestSpec
from kronos.core.canonical import canonical_json
from kronos.core.changes.model import Experiment
from kronos.core.vocabulary import ResourceClass
from kronos.store.queries import query
from kronos.store.refusals import refusals

Session = psycopg.Connection[Any]


@dataclass(frozen=True)
class Renewed:
    """What a worker is told when it prolongs its lease. seconds_left: until it leaves by itself; None: never."""

    told: bool
    why: str
    forced: bool
    seconds_left: float | None


@dataclass(frozen=True)
class RunningBacktest:
    """An open attempt.

    lapsed: its lease is over by the database's clock. begun: whether its run took up any attempt of those that share
    it, ended ones too.
    """

    attempt: Attempt
    experiment: Experiment
    lapsed: bool
    begun: bool


@dataclass(frozen=True)
class QueuedBacktest:
    """An experiment in the queue; queued_at: when it was last asked for, whatever sent it back since."""

    experiment: Experiment
    queued_at: datetime


@dataclass(frozen=True)
class PieceRecord:
    """A checkpoint: lake says in which version of each table its rows were written; refused: why there are none;
    failed: because making them failed.

    found: per config what a probe found, or why a neighbour was not run, under the `LeftOut` it is of, and nothing of
    one that was tried again and is whole; None: nothing was looked for.
    """

    piece: str
    attempt: int
    lake: dict[str, str]
    counts: dict[str, int]
    seconds: float
    refused: str | None
    found: dict[str, Any] | None = None
    failed: bool = False


@dataclass(frozen=True)
class Runtime:
    """Seconds one completed backtest took."""

    engine_name: str
    resource_class: ResourceClass
    seconds: float


def save_spec(session: Session, experiment_id: UUID, spec: BacktestSpec) -> None:
    """Keep the spec under its digest."""
    values = {
        "experiment_id": experiment_id,
        "digest": spec.digest,
        "spec": Jsonb(spec.model_dump(mode="json"), dumps=canonical_json),
    }
    session.execute(query("backtests", "save_spec"), values)


def specs_of(session: Session, experiment_id: UUID) -> list[BacktestSpec]:
    """The specs of an experiment's backtests, oldest first."""
    rows = session.execute(query("backtests", "specs"), {"experiment_id": experiment_id}).fetchall()
    return [BacktestSpec.model_validate(row[0]) for row in rows]


def neighbours_among(session: Session, config_ids: Sequence[str]) -> list[tuple[str, str, str]]:
    """Those that are neighbours in a backtest: engine, experiment and config id."""
    return session.execute(query("backtests", "neighbours"), {"config_ids": list(config_ids)}).fetchall()


def admit(
    session: Session,
    experiment_id: UUID,
    attempt: int,
    *,
    node: str,
    batch: UUID,
    leave_by: datetime | None,
    pieces: int,
    pieces_before: int,
) -> None:
    """Begin the attempt of an experiment that was moved to RUNNING_BACKTESTS in this transaction."""
    values = {
        "experiment_id": experiment_id,
        "attempt": attempt,
        "node": node,
        "batch": batch,
        "leave_by": leave_by,
        "pieces": pieces,
        "pieces_before": pieces_before,
    }
    with refusals(str(experiment_id)):
        session.execute(query("backtests", "admit"), values)


def take_up(session: Session, experiment_id: UUID, attempt: int, run_id: str) -> bool:
    """Whether this run is the one that works on the attempt: the first to ask is, while the attempt is open."""
    values = {"experiment_id": experiment_id, "attempt": attempt, "run_id": run_id}
    with refusals(str(experiment_id)):
        return session.execute(query("backtests", "take_up"), values).fetchone() is not None


def plan_pieces(session: Session, experiment_id: UUID, attempt: int, pieces: int, standing: int) -> None:
    """Say how many pieces the backtest has, and how many of them stand already."""
    values = {"experiment_id": experiment_id, "attempt": attempt, "pieces": pieces, "pieces_before": standing}
    with refusals(str(experiment_id)):
        session.execute(query("backtests", "plan_pieces"), values)


def renew(session: Session, experiment_id: UUID, attempt: int, lease_seconds: float) -> Renewed | None:
    """Prolong the lease and hear what is wanted; None: the attempt no longer holds the experiment."""
    values = {"experiment_id": experiment_id, "attempt": attempt, "lease_seconds": lease_seconds}
    with session.cursor(row_factory=class_row(Renewed)) as cursor:
        return cursor.execute(query("backtests", "renew"), values).fetchone()


def tell(session: Session, experiment_id: UUID, attempt: int, why: str, *, forced: bool) -> None:
    """Tell a run to leave; forced: without waiting for a checkpoint."""
    values = {"experiment_id": experiment_id, "attempt": attempt, "why": why, "forced": forced}
    session.execute(query("backtests", "tell"), values)


def end_attempt(
    session: Session, experiment_id: UUID, outcome: AttemptOutcome, *, attempt: int | None = None, why: str = ""
) -> bool:
    """End the open attempt (None: whichever it is); false when it is over already or there is none."""
    values = {"experiment_id": experiment_id, "attempt": attempt, "outcome": outcome, "why": why or None}
    with refusals(str(experiment_id)):
        return session.execute(query("backtests", "end"), values).fetchone() is not None


def attempts_of(session: Session, experiment_id: UUID) -> list[Attempt]:
    """Every attempt of an experiment, in order."""
    return _attempts(session, "attempts_of", {"experiment_id": experiment_id})


def attempts_of_queued(session: Session) -> dict[UUID, list[Attempt]]:
    """The ended attempts of every experiment in the queue, in order."""
    found: dict[UUID, list[Attempt]] = {}
    for attempt in _attempts(session, "attempts_of_queued", {}):
        found.setdefault(attempt.experiment_id, []).append(attempt)
    return found


def running_backtests(session: Session) -> list[RunningBacktest]:
    """The open attempts, oldest first."""
    rows = session.execute(query("backtests", "running")).fetchall()
    return [
        RunningBacktest(Attempt.from_row(**attempt), Experiment.from_row(**experiment), lapsed, begun)
        for attempt, experiment, lapsed, begun in rows
    ]


def queued_backtests(session: Session) -> list[QueuedBacktest]:
    """The queue, by id."""
    rows = session.execute(query("backtests", "queued")).fetchall()
    return [QueuedBacktest(Experiment.from_row(**experiment), queued_at) for experiment, queued_at in rows]


def runtimes(session: Session, newest: int) -> list[Runtime]:
    """How long the newest completed backtests of each engine and class took, oldest first."""
    with session.cursor(row_factory=class_row(Runtime)) as cursor:
        found = cursor.execute(query("backtests", "runtimes"), {"newest": newest}).fetchall()
    return [Runtime(one.engine_name, ResourceClass(one.resource_class), one.seconds) for one in found]


def record_piece(session: Session, experiment_id: UUID, digest: str, code_version: str, record: PieceRecord) -> None:
    """Record a checkpoint; `ChangeRefused` when its attempt no longer holds the experiment."""
    values = {
        "experiment_id": experiment_id,
        "digest": digest,
        "code_version": code_version,
        **vars(record),
        "lake": Jsonb(record.lake),
        "counts": Jsonb(record.counts),
        "found": None if record.found is None else Jsonb(record.found),
    }
    with refusals(str(experiment_id)):
        session.execute(query("backtests", "record_piece"), values)


def pieces_of(session: Session, experiment_id: UUID, digest: str, code_version: str) -> dict[str, PieceRecord]:
    """The checkpoints of a backtest as this code makes them."""
    values = {"experiment_id": experiment_id, "digest": digest, "code_version": code_version}
    with session.cursor(row_factory=class_row(PieceRecord)) as cursor:
        return {one.piece: one for one in cursor.execute(query("backtests", "pieces"), values).fetchall()}


def _attempts(session: Session, name: str, values: Mapping[str, Any]) -> list[Attempt]:
    with session.cursor(row_factory=kwargs_row(Attempt.from_row)) as cursor:
        return cursor.execute(query("backtests", name), values).fetchall()
