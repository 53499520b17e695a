"""Proposals: make one, turn it into a queued experiment, or discard it. Each is one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from kronos.core.changes.model import ConfigProposal, Experiment
from kronos.core.changes.request import KRONOS, EngineDates, ExperimentRequest, config_body, text, word
from kronos.core.vocabulary import ProposalStatus, ResourceClass
from kronos.services.experiments import Session, changing, create_within, enqueue_within, require_base
from kronos.services.identifiers import by_prefix
from kronos.services.workplace import Workplace
from kronos.store.database import Database, Role
from kronos.store.proposals import list_proposals as stored_proposals
from kronos.store.proposals import matching_proposals, propose, settle_proposal


@dataclass(frozen=True)
class Conversion:
    """How a proposal is to be tested; None: as a new experiment would be."""

    description: str | None = None
    start_date: date | None = None
    end_date: date | None = None
    priority: int | None = None
    resource_class: str = ResourceClass.CPU_HEAVY
    hoped_ratio: float | None = None


def create_proposal(
    workplace: Workplace,
    engine_name: str,
    base_config_id: str,
    proposed_config: object,
    rationale: str,
    author: str,
    *,
    role: Role = Role.ORCHESTRATOR,
    about: Mapping[str, Any] | None = None,
) -> ConfigProposal:
    """Propose a config; it waits for review and is a trial from now on. role: the chat proposes as `Role.CHAT`."""
    why, body = text("rationale", rationale), config_body(proposed_config)
    with workplace.database.connect(role) as session:
        require_base(session, engine_name, base_config_id)
        workplace.check_config(engine_name, body)
        new_id = propose(
            session,
            engine_name=engine_name,
            base_config_id=base_config_id,
            config_body=body,
            author=author,
            rationale=why,
            about=about or {},
            code_version=workplace.code_version,
            token=workplace.token_of(author),
        )
        return matching_proposals(session, str(new_id))[0]


def convert_proposal(
    workplace: Workplace, proposal_id: UUID, author: str, conversion: Conversion | None = None
) -> Experiment:
    """Make the proposal's experiment and put it in the queue; `ChangeRefused` when the proposal was settled before."""
    data = workplace.data(find_proposal(workplace.database, proposal_id).engine_name)
    with changing(workplace, author) as session:
        return convert_within(session, workplace, proposal_id, author, conversion or Conversion(), data)


def convert_within(
    session: Session, workplace: Workplace, proposal_id: UUID, author: str, how: Conversion, data: EngineDates
) -> Experiment:
    """`convert_proposal` inside a transaction that has begun its change; data: the engine's dates."""
    proposal = settle_proposal(session, proposal_id, ProposalStatus.CONVERTED_TO_EXPERIMENT)
    created = create_within(
        session,
        workplace,
        _request(proposal, how),
        author,
        data,
        auto_generated=proposal.created_by == KRONOS,
        proposal_id=proposal_id,
    )
    return enqueue_within(session, created.experiment_id)


def discard_proposal(workplace: Workplace, proposal_id: UUID, author: str, reason: str) -> ConfigProposal:
    """Put a proposal aside for good; the reason stays with it."""
    why = text("reason", reason)
    with changing(workplace, author, why) as session:
        return settle_proposal(session, proposal_id, ProposalStatus.DISCARDED)


def list_proposals(
    database: Database, engine_name: str | None = None, status: str | None = None
) -> list[ConfigProposal]:
    """Proposals of an engine and status, or of all, oldest first."""
    wanted = None if status is None else word(ProposalStatus, "status", status)
    with database.connect(Role.READER) as session:
        return stored_proposals(session, engine_name, wanted)


def find_proposal(database: Database, proposal_id: str | UUID) -> ConfigProposal:
    """The proposal whose id is this or begins so; `NotFound`, or `BadValue` when several do."""
    with database.connect(Role.READER) as session:
        return by_prefix("proposal", str(proposal_id), lambda prefix: matching_proposals(session, prefix))


def _request(proposal: ConfigProposal, how: Conversion) -> ExperimentRequest:
    return ExperimentRequest(
        engine_name=proposal.engine_name,
        base_config_id=proposal.base_config_id,
        proposed_config=proposal.proposed_config_body,
        description=how.description or str(proposal.metadata.get("rationale") or f"proposal {proposal.proposal_id}"),
        start_date=how.start_date,
        end_date=how.end_date,
        priority=how.priority,
        resource_class=how.resource_class,
        hoped_ratio=how.hoped_ratio,
    )
