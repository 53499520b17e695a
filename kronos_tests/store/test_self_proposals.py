"""Kronos's own proposals in the live database: never the same twice, never more than the bounds, under many writers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from kronos.core.canonical import canonical_hash
from kronos.core.changes.request import KRONOS
from kronos.core.policy import SelfProposalPolicy
from kronos.core.vocabulary import ExpectedOutcome, ProposalStatus
from kronos.errors import ChangeRefused
from kronos.store.database import Database, Role
from kronos.store.proposals import list_proposals, settle_proposal
from kronos.store.self_proposals import BOUNDED, ONCE, attempts, propose_own
from kronos_tests.store.changes import begin, created, proposed, register_config

DAY = date(2020, 7, 10)
UNTIL = date(2020, 6, 30)
MANY = SelfProposalPolicy(most_per_day=100, most_per_engine=100)


@pytest.fixture
def based(database: Database) -> Database:
    """With the configs `base` of two engines."""
    with database.connect(Role.ORCHESTRATOR) as session:
        register_config(session, "base")
        register_config(session, "other", "UNIVERSE")
    return database


def own(
    database: Database,
    window: int = 3,
    *,
    day: date = DAY,
    until: date = UNTIL,
    policy: SelfProposalPolicy = MANY,
    role: Role = Role.ORCHESTRATOR,
    **changes: Any,
) -> UUID:
    """A proposal by Kronos for REGIME."""
    values = {"engine_name": "REGIME", "base_config_id": "base", "config_body": {"window": window}}
    dates = {"as_of": day.isoformat(), "mined_until": until.isoformat()}
    with database.connect(role) as session:
        return propose_own(
            session, **(values | changes), rationale="better", about=dates, policy=policy, code_version="test"
        )  # type: ignore[arg-type]


def discard(database: Database, proposal_id: UUID) -> None:
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session, "ben", "no")
        settle_proposal(session, proposal_id, ProposalStatus.DISCARDED)


def refused(rule: str, make: Callable[[], object]) -> None:
    with pytest.raises(ChangeRefused) as caught:
        make()
    assert caught.value.rule == rule, caught.value


def at_once(make: Callable[[int], object], count: int = 8) -> list[str | None]:
    """Rules that refused of so many writers at once, each with a connection of its own."""
    with ThreadPoolExecutor(count) as pool:
        errors = [future.exception() for future in [pool.submit(make, n) for n in range(count)]]
    assert all(error is None or isinstance(error, ChangeRefused) for error in errors), errors
    return [error.rule for error in errors if isinstance(error, ChangeRefused)]


def test_kronos_proposes_and_signs(based: Database) -> None:
    own(based)
    with based.connect(Role.READER) as session:
        (found,) = list_proposals(session)
        (attempt,) = attempts(session, "REGIME")
    assert (found.created_by, found.metadata["rationale"], found.metadata["as_of"]) == (KRONOS, "better", "2020-07-10")
    assert attempt.is_open and attempt.canonical_hash == canonical_hash({"window": 3})


def test_of_eight_writers_of_one_proposal_one_makes_it(based: Database) -> None:
    assert at_once(lambda n: own(based)) == [ONCE] * 7


def test_of_eight_writers_of_eight_proposals_only_the_days_number_does(based: Database) -> None:
    three = SelfProposalPolicy(most_per_day=3, most_per_engine=100)
    assert at_once(lambda n: own(based, n, policy=three)) == [BOUNDED] * 5


def test_of_eight_writers_only_the_engines_number_does(based: Database) -> None:
    one = SelfProposalPolicy(most_per_day=100, most_per_engine=1)
    assert at_once(lambda n: own(based, n, policy=one)) == [BOUNDED] * 7
    own(based, policy=one, engine_name="UNIVERSE", base_config_id="other")


def test_another_day_of_the_data_has_its_own_number(based: Database) -> None:
    one = SelfProposalPolicy(most_per_day=1)
    own(based, 1, policy=one)
    refused(BOUNDED, lambda: own(based, 2, policy=one))
    own(based, 2, policy=one, day=DAY + timedelta(days=1))


def test_what_people_propose_does_not_use_the_number_up(based: Database) -> None:
    proposed(based)
    own(based, 4, policy=SelfProposalPolicy(most_per_day=1))


@pytest.mark.parametrize("by", ["ann", KRONOS])
def test_what_anyone_has_in_review_is_not_proposed(based: Database, by: str) -> None:
    proposed(based, by)
    refused(ONCE, lambda: own(based))


def test_the_same_parameters_written_differently_are_the_same(based: Database) -> None:
    own(based, config_body={"a": 1, "b": 2})
    refused(ONCE, lambda: own(based, config_body={"b": 2.0, "a": 1.0}))


@pytest.mark.parametrize(("days", "again"), [(0, False), (364, False), (365, True)])
def test_what_was_decided_needs_new_evidence(based: Database, days: int, again: bool) -> None:
    discard(based, own(based))
    later = UNTIL + timedelta(days=days)
    if again:
        own(based, until=later)
    else:
        refused(ONCE, lambda: own(based, until=later))


def test_what_a_person_discarded_of_another_may_be_proposed(based: Database) -> None:
    discard(based, proposed(based))
    own(based)


def test_an_open_experiment_without_a_proposal_counts_and_a_control_does_not(based: Database) -> None:
    made = created(based)
    control = created(based, KRONOS, ExpectedOutcome.NEGATIVE_CONTROL)
    refused(ONCE, lambda: own(based, config_body={"name": made.proposed_config_id}))
    own(based, config_body={"name": control.proposed_config_id})


def test_the_table_holds_it_too_whoever_writes(based: Database) -> None:
    proposed(based, KRONOS)
    refused("config_proposals_one_by_kronos", lambda: proposed(based, KRONOS))


def test_nobody_elses_dates_can_break_the_count(based: Database) -> None:
    """A chat's proposal may say anything in its metadata."""
    with based.connect(Role.CHAT) as session:
        session.execute(
            "SELECT kronos.propose_config('REGIME', 'base', '{\"x\": 1}', 'ann', 'why', '{\"mined_until\": \"never\"}')"
        )
    own(based)


@pytest.mark.parametrize("role", [Role.CHAT, Role.READER, Role.CHANGE_MANAGER, Role.UPSTREAM])
def test_only_the_orchestrator_proposes_as_kronos(based: Database, role: Role) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        own(based, role=role)


@pytest.mark.parametrize("missing", ["as_of", "mined_until"])
def test_a_proposal_without_its_dates_is_refused(based: Database, missing: str) -> None:
    dates = {"as_of": "2020-07-10", "mined_until": "2020-06-30"}
    about = {name: value for name, value in dates.items() if name != missing}
    with based.connect(Role.ORCHESTRATOR) as session, pytest.raises(ChangeRefused, match="until when it was mined"):
        propose_own(
            session, engine_name="REGIME", base_config_id="base", config_body={}, rationale="x", about=about,
            policy=MANY, code_version="test",
        )  # fmt: skip
