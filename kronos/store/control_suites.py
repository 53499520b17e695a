"""Suites of controls: their experiments while they run, and what was recorded of them. Nothing here commits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from kronos.core.canonical import canonical_json
from kronos.core.controls.outcomes import ControlOutcome, Suite
from kronos.core.controls.standing import JudgedExperiment
from kronos.core.gates.model import Gate, GateVerdict
from kronos.store.queries import query
from kronos.store.refusals import refusals

Session = psycopg.Connection[Any]


@dataclass(frozen=True)
class SuiteMember:
    """A control's experiment. suite: what was planned, as its metadata holds it; verdict: None until it is judged."""

    experiment_id: UUID
    engine_name: str
    status: str
    suite: dict[str, Any]
    reason: str | None
    verdict_id: UUID | None
    verdict: str | None
    refused_by: list[str] | None
    gate_verdict: str | None


def record_suite(
    session: Session,
    *,
    suite_id: UUID,
    engine_name: str,
    period: str,
    seed: int,
    policy_digest: str,
    code_version: str,
    outcomes: tuple[ControlOutcome, ...],
) -> None:
    """Write what the gates said of all of a suite's controls; `ChangeRefused` unless their verdicts say the same."""
    values = {
        "suite_id": suite_id,
        "engine_name": engine_name,
        "period": period,
        "seed": seed,
        "policy_digest": policy_digest,
        "code_version": code_version,
        "outcomes": Jsonb([one.to_json_dict() for one in outcomes], dumps=canonical_json),
        "planned": len(outcomes),
    }
    with refusals(str(suite_id)):
        session.execute(query("control_suites", "insert"), values)


def suites(session: Session, engine_name: str | None = None, period: str | None = None) -> list[Suite]:
    """Recorded suites of an engine and week, or of all, by completion."""
    values = {"engine_name": engine_name, "period": period}
    with session.cursor(row_factory=dict_row) as cursor:
        return [_suite(row) for row in cursor.execute(query("control_suites", "suites"), values)]


def open_members(session: Session, period: str) -> list[SuiteMember]:
    """The controls of suites that are not recorded: of a week, and of any other with a control still open."""
    with session.cursor(row_factory=class_row(SuiteMember)) as cursor:
        return cursor.execute(query("control_suites", "members"), {"period": period}).fetchall()


def gate_policy(session: Session, engine_name: str) -> tuple[str, dict[str, Any]] | None:
    """Digest and body of the gate policy in force; None before there is any."""
    return session.execute(query("control_suites", "policy"), {"engine_name": engine_name}).fetchone()


def judged_experiments(session: Session) -> list[JudgedExperiment]:
    """Open experiments that are no controls, with their verdicts in force."""
    with session.cursor(row_factory=dict_row) as cursor:
        return [
            JudgedExperiment(
                **row
                | {
                    "verdict": GateVerdict(row["verdict"]),
                    "refused_by": tuple(Gate(one) for one in row["refused_by"]),
                }
            )
            for row in cursor.execute(query("control_suites", "judged"))
        ]


def _suite(row: dict[str, Any]) -> Suite:
    return Suite(**row | {"outcomes": tuple(ControlOutcome.from_json_dict(one) for one in row["outcomes"])})
