"""Verdicts on experiments. The database fills in whose evidence it was, which look, and until when it counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import kwargs_row
from psycopg.types.json import Jsonb

from kronos.core.canonical import canonical_json
from kronos.core.gates.record import VerdictRecord
from kronos.store.queries import query
from kronos.store.refusals import refusals

Session = psycopg.Connection[Any]


@dataclass(frozen=True)
class NewVerdict:
    """What the judge found, before the database has looked at it."""

    experiment_id: UUID
    attempt: int
    incumbent: str | None
    verdict: str
    recommendation: str
    report: Mapping[str, Any]
    policy_engine: str
    policy_version: int
    policy_digest: str
    evidence_digest: str
    data_until: date
    lake: Mapping[str, str]
    code_version: str


@dataclass(frozen=True)
class Look:
    """One judgement of fresh evidence: of which experiment and attempt, and its number among that one's."""

    experiment_id: UUID
    attempt: int
    look: int


def insert_verdict(session: Session, new: NewVerdict) -> VerdictRecord | None:
    """Add a verdict, inside a change that has begun; None when this code judged this evidence under this policy."""
    values = {
        **vars(new),
        "verdict_id": uuid4(),
        "report": Jsonb(new.report, dumps=canonical_json),
        "lake": Jsonb(new.lake, dumps=canonical_json),
    }
    with refusals(str(new.experiment_id)), session.cursor(row_factory=kwargs_row(VerdictRecord.from_row)) as cursor:
        return cursor.execute(query("verdicts", "insert"), values).fetchone()


def verdicts_of(session: Session, experiment_id: UUID) -> list[VerdictRecord]:
    """The verdicts on an experiment, the one in force first."""
    return _records(session, "of_experiment", {"experiment_id": experiment_id})


def standing_verdict(
    session: Session, experiment_id: UUID, attempt: int, evidence_digest: str, policy_digest: str, code_version: str
) -> VerdictRecord | None:
    """The last verdict on this evidence under this policy, if one was reached by this code or by proven code."""
    values = {
        "experiment_id": experiment_id,
        "attempt": attempt,
        "evidence_digest": evidence_digest,
        "policy_digest": policy_digest,
        "code": code_version,
    }
    return next(iter(_records(session, "standing", values)), None)


def looks_at(session: Session, engine_name: str, experiment_id: UUID) -> list[Look]:
    """Every look there was at an experiment, judged or not, and, unless it is a control, within a year at its engine's
    others that are none."""
    values = {"engine_name": engine_name, "experiment_id": experiment_id}
    return [Look(*row) for row in session.execute(query("verdicts", "looks"), values).fetchall()]


@dataclass(frozen=True)
class Unjudged:
    """An experiment without a verdict that counts on its last attempt; no digest: no policy is in force yet.

    since: request of the newest weekly or monthly run, before which none counts; '' when there was none.
    """

    experiment_id: UUID
    attempt: int
    policy_digest: str
    since: str


def unjudged(session: Session, seconds: float, code_version: str) -> list[Unjudged]:
    """What has awaited review for so long without a verdict by this code or by proven code, the longest first."""
    rows = session.execute(query("verdicts", "unjudged"), {"seconds": seconds, "code": code_version}).fetchall()
    return [Unjudged(*row) for row in rows]


def duplicates_of(session: Session, experiment_id: UUID, incumbent: str | None) -> tuple[str, ...]:
    """Configs with the very parameters of the one that an experiment proposes, of which nothing new is learned.

    The incumbent, the active config, and what another experiment proposed that was seen within the last year, and
    before this one ever was: its results were there, judged or not.
    """
    values = {"experiment_id": experiment_id, "incumbent": incumbent}
    return tuple(row[0] for row in session.execute(query("verdicts", "duplicates"), values).fetchall())


def mined_until(session: Session, experiment_id: UUID) -> date | None:
    """Until when Kronos had looked at the data before it proposed this config by itself; None when it did not."""
    row = session.execute(query("verdicts", "mined_until"), {"experiment_id": experiment_id}).fetchone()
    return None if row is None else row[0]


def _records(session: Session, name: str, values: Mapping[str, Any]) -> list[VerdictRecord]:
    with session.cursor(row_factory=kwargs_row(VerdictRecord.from_row)) as cursor:
        return cursor.execute(query("verdicts", name), values).fetchall()
