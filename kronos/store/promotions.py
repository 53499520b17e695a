"""Approvals, promotions, rollbacks and adoptions: each write is one function of the database. Nothing here commits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row, scalar_row

from kronos.store.engine_configs import EVERYWHERE
from kronos.store.principals import allowed
from kronos.store.queries import query
from kronos.store.refusals import refusals

Session = psycopg.Connection[Any]


@dataclass(frozen=True)
class Review:
    """What an approval of an experiment would be of at this moment; evidence: who brought it about.

    digest: what an approver who saw this passes back. content: what the digest is of.
    """

    verdict_id: UUID
    experiment_id: UUID
    engine_name: str
    verdict: str
    recommendation: str
    refused_by: list[str]
    evidence: str
    data_until: date
    judged_at: datetime
    expires_at: datetime
    policy_engine: str
    policy_version: int
    content: dict[str, Any]
    digest: str


@dataclass(frozen=True)
class Approval:
    """One approval; promotion_id: the promotion it was used for, None while it was not."""

    approval_id: UUID
    experiment_id: UUID
    verdict_id: UUID
    digest: str
    content: dict[str, Any]
    kind: str
    approver: str
    reason: str
    evidence: str
    approved_at: datetime
    promotion_id: UUID | None


@dataclass(frozen=True)
class Promotion:
    """One change of an incumbent: kind PROMOTION or ROLLBACK, status SCHEDULED, ACTIVATED or CANCELLED.

    activates_at goes by the data's clock, the other times by the database's. settled_why: why it was cancelled.
    """

    promotion_id: UUID
    kind: str
    engine_name: str
    scope: str
    config_id: str
    expected_incumbent: str | None
    experiment_id: UUID | None
    approval_id: UUID | None
    evidence: str | None
    requested_by: str
    requested_at: datetime
    reason: str
    activates_at: datetime
    status: str
    settled_at: datetime | None
    settled_why: str | None
    activation_id: int | None


@dataclass(frozen=True)
class LiveRecord:
    """First and last day on which a config decided LIVE (None: never), and the last day of the data."""

    live_from: date | None
    live_until: date | None
    data_until: date


@dataclass(frozen=True)
class ActiveConfig:
    """What was active, since when, and why: through FIRST, PROMOTION (with approver and verdict) or ROLLBACK.

    FIRST: adopted as what trades upstream, or the sandbox's seed; the reason says which.
    """

    engine_name: str
    scope: str
    config_id: str
    activated_at: datetime
    deactivated_at: datetime | None
    activated_by: str
    reason: str
    through: str
    promotion_id: UUID | None
    experiment_id: UUID | None
    evidence: str | None
    approver: str | None
    verdict: str | None


def review_of(session: Session, experiment_id: UUID) -> Review | None:
    """What an approval of the experiment would be of now; None while it has no verdict."""
    with session.cursor(row_factory=class_row(Review)) as cursor:
        return cursor.execute(query("promotions", "reviewed"), {"experiment_id": experiment_id}).fetchone()


def approve(
    session: Session, token: str | None, experiment_id: UUID, *, digest: str, reason: str, code_version: str
) -> UUID:
    """Approve what has this digest, by the person whose token it is; the approval's id."""
    values = {"experiment_id": experiment_id, "digest": digest}
    return _id(session, "approve", token, str(experiment_id), reason, code_version, values)


def auto_approve(session: Session, experiment_id: UUID, *, code_version: str) -> UUID:
    """Approve by the gate policy, as the orchestrator; the approval's id."""
    return _id(session, "auto_approve", None, str(experiment_id), None, code_version, {"experiment_id": experiment_id})


def reject(session: Session, token: str | None, experiment_id: UUID, *, reason: str, code_version: str) -> None:
    """Reject what awaits review or is approved and not promoted, by the person whose token it is."""
    _call(session, "reject", token, str(experiment_id), reason, code_version, {"experiment_id": experiment_id})


def promote(
    session: Session,
    token: str | None,
    experiment_id: UUID,
    *,
    reason: str,
    at: datetime | None = None,
    code_version: str,
) -> UUID:
    """Make an approved config the incumbent, at once or at a time to come; the promotion's id."""
    values = {"experiment_id": experiment_id, "at": at}
    return _id(session, "promote", token, str(experiment_id), reason, code_version, values)


def cancel_promotion(
    session: Session, token: str | None, promotion_id: UUID, *, reason: str, code_version: str
) -> None:
    """Take a scheduled promotion back."""
    _call(session, "cancel", token, str(promotion_id), reason, code_version, {"promotion_id": promotion_id})


def roll_back(
    session: Session,
    token: str | None,
    engine_name: str,
    *,
    expected_incumbent: str,
    reason: str,
    code_version: str,
    scope: str = EVERYWHERE,
) -> UUID:
    """Return to the config that was active before the expected incumbent; the rollback's id."""
    values = {"engine_name": engine_name, "scope": scope, "expected_incumbent": expected_incumbent}
    return _id(session, "rollback", token, engine_name, reason, code_version, values)


def adopt(
    session: Session,
    token: str | None,
    engine_name: str,
    config_id: str,
    *,
    live: LiveRecord,
    reason: str,
    code_version: str,
) -> int:
    """Make what trades upstream already the engine's first active config, by the person whose token it is."""
    values = {"engine_name": engine_name, "config_id": config_id, **asdict(live)}
    return int(_call(session, "adopt", token, engine_name, reason, code_version, values))


def activate_due(session: Session, *, code_version: str) -> list[UUID]:
    """Activate, or cancel with the reason, every scheduled promotion whose time has come; their ids."""
    return [row[0] for row in session.execute(query("promotions", "activate_due"), {"code_version": code_version})]


def log_refusal(
    session: Session,
    token: str | None,
    *,
    account: str,
    act: str,
    subject_id: str,
    rule: str | None,
    why: str,
    code_version: str,
) -> None:
    """Say in the change log that an attempt was refused; account: of the process, for who showed no valid token."""
    values = {"token": token, "account": account, "act": act, "subject_id": subject_id, "rule": rule, "why": why}
    with refusals(subject_id):
        session.execute(query("promotions", "log_refusal"), values | {"code_version": code_version})


def find_promotions(
    session: Session,
    *,
    promotion_id: UUID | None = None,
    engine_name: str | None = None,
    config_id: str | None = None,
    experiment_id: UUID | None = None,
) -> list[Promotion]:
    """Promotions and rollbacks that fit, all by default, oldest first."""
    values = {
        "promotion_id": promotion_id,
        "engine_name": engine_name,
        "config_id": config_id,
        "experiment_id": experiment_id,
    }
    with session.cursor(row_factory=class_row(Promotion)) as cursor:
        return cursor.execute(query("promotions", "find"), values).fetchall()


def approvals_of(session: Session, experiment_id: UUID) -> list[Approval]:
    """The approvals of an experiment, oldest first."""
    with session.cursor(row_factory=class_row(Approval)) as cursor:
        return cursor.execute(query("promotions", "approvals"), {"experiment_id": experiment_id}).fetchall()


def active_configs(
    session: Session, engine_name: str | None = None, instant: datetime | None = None
) -> list[ActiveConfig]:
    """What was active at the instant (None: is now) of one engine, or of all, and by what it became so."""
    with session.cursor(row_factory=class_row(ActiveConfig)) as cursor:
        values = {"engine_name": engine_name, "instant": instant}
        return cursor.execute(query("promotions", "active"), values).fetchall()


def _id(
    session: Session,
    name: str,
    token: str | None,
    subject: str,
    reason: str | None,
    code_version: str,
    values: dict[str, Any],
) -> UUID:
    return UUID(str(_call(session, name, token, subject, reason, code_version, values)))


def _call(
    session: Session,
    name: str,
    token: str | None,
    subject: str,
    reason: str | None,
    code_version: str,
    values: dict[str, Any],
) -> Any:
    shared = {"token": token, "reason": reason, "code_version": code_version}
    with (
        allowed(subject, "promotion" if name == "cancel" else "experiment"),
        session.cursor(row_factory=scalar_row) as cursor,
    ):
        return cursor.execute(query("promotions", name), shared | values).fetchone()
