"""Config proposals. Nothing here commits: the caller's transaction decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import kwargs_row, scalar_row
from psycopg.types.json import Jsonb

from kronos.core.canonical import canonical_json
from kronos.core.changes.model import ConfigProposal
from kronos.core.vocabulary import ProposalStatus
from kronos.errors import ChangeRefused, NotFound
from kronos.store.queries import query
from kronos.store.refusals import refusals

Session = psycopg.Connection[Any]


def propose(
    session: Session,
    *,
    engine_name: str,
    base_config_id: str,
    config_body: Mapping[str, Any],
    author: str,
    rationale: str,
    about: Mapping[str, Any],
    code_version: str,
    token: str | None = None,
) -> UUID:
    """Add a proposal through the one function the chat may call too; its id. token: the author's, if a principal."""
    values = {
        "engine_name": engine_name,
        "base_config_id": base_config_id,
        "body": Jsonb(config_body, dumps=canonical_json),
        "author": author,
        "rationale": rationale,
        "about": Jsonb(about, dumps=canonical_json),
        "code_version": code_version,
        "token": token,
    }
    with refusals(base_config_id), session.cursor(row_factory=scalar_row) as cursor:
        return UUID(str(cursor.execute(query("proposals", "propose"), values).fetchone()))


def matching_proposals(session: Session, prefix: str) -> list[ConfigProposal]:
    """The proposals whose id begins so, three at most."""
    with session.cursor(row_factory=kwargs_row(ConfigProposal.from_row)) as cursor:
        return cursor.execute(query("proposals", "matching"), {"prefix": prefix}).fetchall()


def list_proposals(
    session: Session, engine_name: str | None = None, status: ProposalStatus | None = None
) -> list[ConfigProposal]:
    """Proposals of an engine and status, or of all, oldest first."""
    with session.cursor(row_factory=kwargs_row(ConfigProposal.from_row)) as cursor:
        values = {"engine_name": engine_name, "status": status}
        return cursor.execute(query("proposals", "list"), values).fetchall()


def settle_proposal(session: Session, proposal_id: UUID, target: ProposalStatus) -> ConfigProposal:
    """Take a proposal out of review; `ChangeRefused` when it was settled before, by whomever."""
    values = {"proposal_id": proposal_id, "target": target}
    with refusals(str(proposal_id)), session.cursor(row_factory=kwargs_row(ConfigProposal.from_row)) as cursor:
        settled = cursor.execute(query("proposals", "settle"), values).fetchone()
    if settled is None:
        raise _not_in_review(session, proposal_id)
    return settled


def _not_in_review(session: Session, proposal_id: UUID) -> ChangeRefused | NotFound:
    found = matching_proposals(session, str(proposal_id))
    if not found:
        return NotFound("proposal", str(proposal_id))
    return ChangeRefused(
        f"proposal {proposal_id} has status {found[0].status}: expected {ProposalStatus.PENDING_REVIEW}"
    )
