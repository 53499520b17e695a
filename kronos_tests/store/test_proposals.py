"""Proposals in the live database: in through one function, out once, and never without their experiment."""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest

from kronos.core.changes.model import ConfigProposal
from kronos.core.vocabulary import ExperimentStatus, ProposalStatus, TrialSource
from kronos.errors import ChangeRefused, NotFound
from kronos.store.change_log import newest_entries
from kronos.store.database import Database, Role
from kronos.store.engine_configs import register
from kronos.store.experiments import insert_experiment, move_experiment
from kronos.store.proposals import list_proposals, matching_proposals, settle_proposal
from kronos.store.trials import list_trials
from kronos_tests.store.changes import T0, begin, new_experiment, proposed

IN_REVIEW, CONVERTED, DISCARDED = ProposalStatus


def _proposal(database: Database, proposal_id: UUID) -> ConfigProposal:
    with database.connect(Role.READER) as session:
        return matching_proposals(session, str(proposal_id))[0]


def _settle(
    database: Database, proposal_id: UUID, target: ProposalStatus, *, body: object = None, reason: str | None = "so"
) -> None:
    """Settle a proposal; when converting, with an experiment of this body."""
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session, "ben", reason)
        settle_proposal(session, proposal_id, target)
        if body is not None:
            register(
                session,
                config_id=f"c-{proposal_id}",
                engine_name="REGIME",
                version="1",
                config_body=body,  # type: ignore[arg-type]
                created_by="ben",
                created_at=T0,
            )
            insert_experiment(session, new_experiment(f"c-{proposal_id}", proposal_id))


@pytest.mark.parametrize("role", [Role.CHAT, Role.ORCHESTRATOR])
def test_a_proposal_waits_for_review(database: Database, role: Role) -> None:
    found = _proposal(database, proposed(database, role=role))
    assert (found.status, found.created_by, found.proposed_config_body) == (IN_REVIEW, "ann", {"window": 3})
    assert found.metadata == {"rationale": "why not", "through": role.value}


def test_a_proposal_is_a_trial_whatever_becomes_of_it(database: Database) -> None:
    proposal_id = proposed(database)
    _settle(database, proposal_id, DISCARDED)
    with database.connect(Role.READER) as session:
        assert [trial.first_source for trial in list_trials(session)] == [TrialSource.REGISTERED, TrialSource.PROPOSAL]


def test_the_chat_inserts_by_the_function_alone(database: Database) -> None:
    proposed(database)
    for statement in (
        "INSERT INTO kronos.config_proposals (proposal_id) VALUES (gen_random_uuid())",
        "UPDATE kronos.config_proposals SET status = 'DISCARDED'",
        "SELECT kronos.register_config('x', 'REGIME', '1', '{}', 'x', now())",
    ):
        with database.connect(Role.CHAT) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(statement)


def test_the_orchestrator_inserts_by_the_function_too(database: Database) -> None:
    with database.connect(Role.ORCHESTRATOR) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("INSERT INTO kronos.config_proposals (proposal_id) VALUES (gen_random_uuid())")


@pytest.mark.parametrize("role", [Role.READER, Role.CHANGE_MANAGER, Role.UPSTREAM])
def test_others_propose_nothing(database: Database, role: Role) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        proposed(database, role=role)


def test_the_base_must_be_a_config_of_the_engine(database: Database) -> None:
    with pytest.raises(NotFound, match="config of this engine 'ghost'"):
        proposed(database, base_config_id="ghost")
    with pytest.raises(NotFound):
        proposed(database, engine_name="UNIVERSE")


def test_a_body_that_is_no_object_is_refused(database: Database) -> None:
    with pytest.raises(ChangeRefused, match="an object of parameters"):
        proposed(database, config_body=[1])


def test_converting_makes_its_experiment_and_both_are_logged(database: Database) -> None:
    proposal_id = proposed(database)
    _settle(database, proposal_id, CONVERTED, body={"window": 3})
    with database.connect(Role.READER) as session:
        log = newest_entries(session, 9)
    assert [(entry.subject, entry.to_status) for entry in log] == [
        ("proposal", IN_REVIEW), ("proposal", CONVERTED), ("experiment", ExperimentStatus.PENDING),
    ]  # fmt: skip
    assert str(proposal_id) in log[2].detail


def test_converting_without_an_experiment_does_not_commit(database: Database) -> None:
    proposal_id = proposed(database)
    with pytest.raises(psycopg.errors.RestrictViolation, match="has no experiment"):
        _settle(database, proposal_id, CONVERTED)
    assert _proposal(database, proposal_id).status is IN_REVIEW


def test_the_experiment_must_be_of_what_was_proposed(database: Database) -> None:
    proposal_id = proposed(database)
    with pytest.raises(ChangeRefused) as refused:
        _settle(database, proposal_id, CONVERTED, body={"window": 4})
    assert refused.value.rule == "experiments_as_proposed"


def test_an_experiment_cannot_claim_a_proposal_in_review(database: Database) -> None:
    proposal_id = proposed(database)
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session)
        register(
            session, config_id="p", engine_name="REGIME", version="1", config_body={"window": 3}, created_by="ann",
            created_at=T0,
        )  # fmt: skip
        with pytest.raises(ChangeRefused, match="is PENDING_REVIEW"):
            insert_experiment(session, new_experiment("p", proposal_id))


@pytest.mark.parametrize("settled", [CONVERTED, DISCARDED])
@pytest.mark.parametrize("target", [CONVERTED, DISCARDED])
def test_a_settled_proposal_stays_so(database: Database, settled: ProposalStatus, target: ProposalStatus) -> None:
    proposal_id = proposed(database)
    _settle(database, proposal_id, settled, body={"window": 3} if settled is CONVERTED else None)
    with pytest.raises(ChangeRefused, match=f"has status {settled}: expected PENDING_REVIEW"):
        _settle(database, proposal_id, target)
    for status in {*ProposalStatus} - {settled}:
        with database.connect(Role.OWNER) as session, pytest.raises(psycopg.errors.RestrictViolation):
            begin(session)
            session.execute("UPDATE kronos.config_proposals SET status = %s", [status])


def test_discarding_needs_a_reason_and_keeps_it(database: Database) -> None:
    proposal_id = proposed(database)
    with pytest.raises(ChangeRefused, match="needs a reason"):
        _settle(database, proposal_id, DISCARDED, reason=None)
    _settle(database, proposal_id, DISCARDED)
    assert _proposal(database, proposal_id).metadata["reason"] == "so"


def test_settling_an_unknown_proposal_says_so(database: Database) -> None:
    with pytest.raises(NotFound, match="proposal"):
        _settle(database, uuid4(), DISCARDED)


@pytest.mark.parametrize("change", ["proposed_config_body = '{}'", "created_by = 'eve'", "metadata = '{\"a\": 1}'"])
def test_what_was_proposed_cannot_change(database: Database, change: str) -> None:
    proposed(database)
    with database.connect(Role.OWNER) as session:
        begin(session)
        with pytest.raises(psycopg.errors.RestrictViolation, match="is as proposed"):
            session.execute(f"UPDATE kronos.config_proposals SET {change}")


def test_lists_filter_by_engine_and_status(database: Database) -> None:
    first, second = proposed(database), proposed(database)
    _settle(database, first, DISCARDED)
    with database.connect(Role.READER) as session:
        assert [one.proposal_id for one in list_proposals(session, "REGIME", IN_REVIEW)] == [second]
        assert len(list_proposals(session)) == 2


def test_moving_an_experiment_leaves_its_proposal_alone(database: Database) -> None:
    proposal_id = proposed(database)
    _settle(database, proposal_id, CONVERTED, body={"window": 3})
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session)
        row = session.execute("SELECT experiment_id FROM kronos.experiments").fetchone()
        assert row is not None
        move_experiment(session, row[0], [ExperimentStatus.PENDING], ExperimentStatus.REJECTED)
    assert _proposal(database, proposal_id).status is CONVERTED
