"""What Kronos proposes by itself. The database counts under its lock; nothing here commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from kronos.core.canonical import canonical_json
from kronos.core.policy import SelfProposalPolicy
from kronos.store.queries import query
from kronos.store.refusals import refusals

Session = psycopg.Connection[Any]

ONCE: Final = "self_proposals_once"
BOUNDED: Final = "self_proposals_bounded"
"""Rules that a refused proposal names: somebody was quicker."""


@dataclass(frozen=True)
class StoredAttempt:
    """One row of kronos.tried_configs; as_of and mined_until are ISO dates, of Kronos's own proposals alone."""

    engine_name: str
    base_config_id: str
    canonical_hash: str
    created_by: str
    as_of: str | None
    mined_until: str | None
    is_open: bool


def propose_own(
    session: Session,
    *,
    engine_name: str,
    base_config_id: str,
    config_body: Mapping[str, Any],
    rationale: str,
    about: Mapping[str, Any],
    policy: SelfProposalPolicy,
    code_version: str,
) -> UUID:
    """Add a proposal by Kronos; its id. `ChangeRefused` with the rule ONCE or BOUNDED when it is one too many.

    about: with the ISO dates as_of and mined_until.
    """
    values = {
        "engine_name": engine_name,
        "base_config_id": base_config_id,
        "body": Jsonb(config_body, dumps=canonical_json),
        "rationale": rationale,
        "about": Jsonb(about, dumps=canonical_json),
        "new_evidence": policy.new_evidence.days,
        "most_per_day": policy.most_per_day,
        "most_per_engine": policy.most_per_engine,
        "code_version": code_version,
    }
    with refusals(base_config_id), session.cursor(row_factory=scalar_row) as cursor:
        return UUID(str(cursor.execute(query("self_proposals", "propose"), values).fetchone()))


def attempts(session: Session, engine_name: str | None = None) -> list[StoredAttempt]:
    """What was proposed or tested for an engine, or for all, by whomever; controls are left out."""
    with session.cursor(row_factory=class_row(StoredAttempt)) as cursor:
        return cursor.execute(query("self_proposals", "attempts"), {"engine_name": engine_name}).fetchall()
