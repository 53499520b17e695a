"""Experiments and their results. Every move is guarded by the expected status; nothing here commits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import kwargs_row
from psycopg.types.json import Jsonb

from kronos.core.canonical import canonical_json
from kronos.core.changes.model import Experiment, Metrics, PeriodResult
from kronos.core.changes.request import CheckedRequest
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import ChangeRefused, NotFound
from kronos.store.queries import query
from kronos.store.refusals import refusals

Session = psycopg.Connection[Any]


@dataclass(frozen=True)
class NewExperiment:
    """A checked request with what it was given when its config was registered."""

    experiment_id: UUID
    proposed_config_id: str
    request: CheckedRequest
    auto_generated: bool
    metadata: Mapping[str, Any]
    proposal_id: UUID | None = None


def insert_experiment(session: Session, new: NewExperiment) -> Experiment:
    """Add an experiment, PENDING, by the author of the transaction."""
    asked = new.request
    values = {
        "experiment_id": new.experiment_id,
        "engine_name": asked.engine_name,
        "base_config_id": asked.base_config_id,
        "proposed_config_id": new.proposed_config_id,
        "description": asked.description,
        "priority": asked.priority,
        "auto_generated": new.auto_generated,
        "resource_class": asked.resource_class,
        "expected_outcome": asked.expected_outcome,
        "start_date": asked.start_date,
        "end_date": asked.end_date,
        "metadata": Jsonb(new.metadata, dumps=canonical_json),
        "proposal_id": new.proposal_id,
    }
    with refusals(asked.base_config_id), session.cursor(row_factory=kwargs_row(Experiment.from_row)) as cursor:
        inserted = cursor.execute(query("experiments", "insert"), values).fetchone()
    assert inserted is not None
    return inserted


def matching_experiments(session: Session, prefix: str) -> list[Experiment]:
    """The experiments whose id begins so, three at most."""
    with session.cursor(row_factory=kwargs_row(Experiment.from_row)) as cursor:
        return cursor.execute(query("experiments", "matching"), {"prefix": prefix}).fetchall()


def list_experiments(
    session: Session, engine_name: str | None = None, status: ExperimentStatus | None = None
) -> list[Experiment]:
    """Experiments of an engine and status, or of all, oldest first."""
    with session.cursor(row_factory=kwargs_row(Experiment.from_row)) as cursor:
        values = {"engine_name": engine_name, "status": status}
        return cursor.execute(query("experiments", "list"), values).fetchall()


def move_experiment(
    session: Session,
    experiment_id: UUID,
    expected: Collection[ExperimentStatus],
    target: ExperimentStatus,
    *,
    attempt: int | None = None,
    priority: int | None = None,
    end_date: date | None = None,
    run_id: str | None = None,
    leased_until: datetime | None = None,
) -> Experiment:
    """Move an experiment on from one of the expected statuses; `ChangeRefused` when it is elsewhere by now.

    attempt: refuse unless this is still the attempt under way. leased_until: needed to run, and only then.
    """
    values = {
        "experiment_id": experiment_id,
        "expected": list(expected),
        "target": target,
        "attempt": attempt,
        "priority": priority,
        "end_date": end_date,
        "run_id": run_id,
        "leased_until": leased_until,
    }
    with refusals(str(experiment_id)), session.cursor(row_factory=kwargs_row(Experiment.from_row)) as cursor:
        moved = cursor.execute(query("experiments", "move"), values).fetchone()
    if moved is None:
        raise _elsewhere(session, experiment_id, expected, attempt)
    return moved


def record_result(
    session: Session,
    experiment_id: UUID,
    period: tuple[date, date],
    *,
    attempt: int,
    metrics: Metrics,
    by_regime: Mapping[str, Metrics],
    by_market: Mapping[str, Metrics],
    by_stability_bucket: Mapping[str, Metrics],
    provenance: Mapping[str, Any],
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write what the attempt's backtest of a period gave; the same again changes nothing.

    `ChangeRefused` when the attempt no longer holds the experiment. Numbers that differ replace those of an earlier
    backtest, which stay among the superseded results.
    """
    values = {
        "experiment_id": experiment_id,
        "period_start": period[0],
        "period_end": period[1],
        "attempt": attempt,
        "metrics": Jsonb(metrics, dumps=canonical_json),
        "by_regime": Jsonb(by_regime, dumps=canonical_json),
        "by_market": Jsonb(by_market, dumps=canonical_json),
        "by_stability_bucket": Jsonb(by_stability_bucket, dumps=canonical_json),
        "detail": Jsonb(detail or {}, dumps=canonical_json),
        "provenance": Jsonb(provenance, dumps=canonical_json),
    }
    with refusals(str(experiment_id)):
        session.execute(query("experiments", "record_result"), values)


def results_of(session: Session, experiment_id: UUID) -> tuple[PeriodResult, ...]:
    """What the experiment's backtests gave, by period."""
    with session.cursor(row_factory=kwargs_row(PeriodResult.from_row)) as cursor:
        return tuple(cursor.execute(query("experiments", "results"), {"experiment_id": experiment_id}).fetchall())


def _elsewhere(
    session: Session, experiment_id: UUID, expected: Collection[ExperimentStatus], attempt: int | None
) -> ChangeRefused | NotFound:
    found = matching_experiments(session, str(experiment_id))
    if not found:
        return NotFound("experiment", str(experiment_id))
    wanted = " or ".join(sorted(expected))
    if found[0].status in expected:
        return ChangeRefused(f"experiment {experiment_id} is in attempt {found[0].attempt}: expected {attempt}")
    return ChangeRefused(f"experiment {experiment_id} has status {found[0].status}: expected {wanted}")
