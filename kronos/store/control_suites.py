"""Suites of controls: their experiments while they run, and what was recorded of them. Nothing here commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from kronos.core.canonical import canonical_json
from kronos.core.controls.outcomes import ControlOutcome, Suite
from kronos.core.controls.progress import Member, SuiteUnderWay, under_way
from kronos.core.controls.standing import Candidate, JudgedExperiment
from kronos.core.controls.suite import SuiteKey
from kronos.core.gates.model import Gate, GateVerdict
from kronos.core.vocabulary import ExperimentStatus
from kronos.store.queries import query
from kronos.store.refusals import refusals

Session = psycopg.Connection[Any]


def record_suite(session: Session, key: SuiteKey, outcomes: Sequence[ControlOutcome]) -> None:
    """Write what the gates said of all of a suite's controls; `ChangeRefused` unless their verdicts say the same."""
    values = {
        "suite_id": key.suite_id,
        "engine_name": key.engine_name,
        "period": key.period,
        "seed": key.seed,
        "policy_digest": key.policy_digest,
        "code_version": key.code_version,
        "outcomes": Jsonb([one.to_json_dict() for one in outcomes], dumps=canonical_json),
        "planned": len(outcomes),
    }
    with refusals(str(key.suite_id)):
        session.execute(query("control_suites", "insert"), values)


def suites(session: Session, engine_name: str | None = None, period: str | None = None) -> list[Suite]:
    """Recorded suites of an engine and week, or of all, by completion."""
    values = {"engine_name": engine_name, "period": period}
    with session.cursor(row_factory=dict_row) as cursor:
        return [_suite(row) for row in cursor.execute(query("control_suites", "suites"), values)]


def unrecorded(session: Session, period: str) -> tuple[SuiteUnderWay, ...]:
    """Suites that are not recorded: of a week, and of any other with a control still open."""
    with session.cursor(row_factory=dict_row) as cursor:
        return under_way(
            [_member(row) for row in cursor.execute(query("control_suites", "members"), {"period": period})]
        )


def candidates(session: Session) -> list[Candidate]:
    """Open experiments that are no controls, judged, each with all that stands against promoting it."""
    with session.cursor(row_factory=dict_row) as cursor:
        return [_candidate(row) for row in cursor.execute(query("control_suites", "candidates"))]


def promotable_experiments(session: Session) -> list[UUID]:
    """Experiments that the tables alone say may be promoted."""
    return [row[0] for row in session.execute(query("control_suites", "promotable"))]


def _candidate(row: dict[str, Any]) -> Candidate:
    reasons = tuple(row.pop("reasons"))
    return Candidate(JudgedExperiment(**row | {"verdict": GateVerdict(row["verdict"])}), reasons)


def _member(row: dict[str, Any]) -> Member:
    return Member(
        row["experiment_id"],
        ExperimentStatus(row["status"]),
        row["about"],
        row["created_at"],
        row["reason"],
        row["verdict_id"],
        None if row["verdict"] is None else GateVerdict(row["verdict"]),
        None if row["gate_verdict"] is None else GateVerdict(row["gate_verdict"]),
        tuple(Gate(one) for one in row["refused_by"] or ()),
        row["ran_by"],
        tuple(row["gate_reasons"] or ()),
    )


def _suite(row: dict[str, Any]) -> Suite:
    return Suite(**row | {"outcomes": tuple(ControlOutcome.from_json_dict(one) for one in row["outcomes"])})
