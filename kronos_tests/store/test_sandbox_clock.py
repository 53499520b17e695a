"""The clock that activations go by in the sandbox, and where none may begin."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from kronos.errors import ChangeRefused
from kronos.store import promotions
from kronos.store.clock import SandboxClock, clock_in, start_clock
from kronos.store.database import Database, Role
from kronos.store.principals import begin_principals, hash_of
from kronos_tests.store.promoting import ADMIN, CODE, ENGINE, FUTURE, Gated


def begin_sandbox(database: Database, day: date) -> None:
    with database.connect(Role.ORCHESTRATOR) as session:
        now = datetime(day.year, day.month, day.day, 22, 30, tzinfo=UTC)
        start_clock(session, SandboxClock(day, now, date(1990, 1, 2), date(2200, 1, 1)))


def test_the_sandboxs_clock_is_the_one_of_activations(database: Database) -> None:
    """Standing still, it does not keep a promotion from being rolled back."""
    begin_sandbox(database, date(2017, 12, 29))
    gated = Gated(database).begin()
    experiment = gated.approved()
    gated.promote(experiment)
    gated.roll_back(experiment.proposed_config_id)
    with gated.database.connect(Role.READER) as session:
        (active,) = promotions.active_configs(session, ENGINE, datetime(2017, 12, 30, tzinfo=UTC))
    assert (active.config_id, active.activated_at.year, active.through) == ("base", 2017, "ROLLBACK")


def test_no_sandbox_begins_where_people_have_a_part_in_changes(gated: Gated) -> None:
    """Its clock would make every scheduled promotion due."""
    promotion = gated.promote(gated.approved(), at=FUTURE)
    with pytest.raises(ChangeRefused, match="ida, mia, bot") as refused:
        begin_sandbox(gated.database, date(2101, 1, 1))
    assert refused.value.rule == "sandbox_clock_first"
    (one,) = gated.found(promotion_id=promotion)
    assert one.status == "SCHEDULED"


def test_no_sandbox_begins_where_anything_was_approved(gated: Gated) -> None:
    gated.approved()
    gated.as_owner("DELETE FROM kronos.principals WHERE name <> 'admin'")
    with pytest.raises(ChangeRefused, match="approvals: 1"):
        begin_sandbox(gated.database, date(2101, 1, 1))


def test_a_sandbox_begins_beside_the_first_admin(database: Database) -> None:
    with database.connect(Role.OWNER) as session:
        begin_principals(session, "admin", hash_of(ADMIN), code_version=CODE)
    begin_sandbox(database, date(2017, 12, 29))
    with database.connect(Role.READER) as session:
        assert clock_in(session) is not None
