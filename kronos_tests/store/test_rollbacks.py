"""Going back to the config before: one person may, and no further than he saw."""

from __future__ import annotations

import psycopg
import pytest

from kronos.core.changes.model import Experiment
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import ChangeRefused, NotAllowed
from kronos.services.experiments import requeue
from kronos.services.gate_standing import promotion_candidates
from kronos.services.promotion import reject, roll_back
from kronos.store import promotions
from kronos.store.control_suites import promotable_experiments
from kronos.store.database import Role
from kronos_tests.store.changes import at_status, moved
from kronos_tests.store.promoting import ADMIN, BOT, CODE, ENGINE, IDA, MIA, REVIEW, Gated


def test_a_rollback_returns_to_the_config_before(gated: Gated) -> None:
    first = gated.approved()
    gated.promote(first)
    gated.roll_back(first.proposed_config_id)
    assert gated.incumbent() == "base"
    assert gated.log("rollback") == [(None, "ACTIVATED", "mia")]


def test_two_rollbacks_go_back_twice_and_a_third_finds_nothing(gated: Gated) -> None:
    first = gated.approved()
    gated.promote(first)
    second = at_status(gated.database, REVIEW, author="ida", token=IDA)
    gated.judge(second, incumbent=first.proposed_config_id)
    gated.approve(second)
    gated.promote(second)
    gated.roll_back(second.proposed_config_id)
    assert gated.incumbent() == first.proposed_config_id
    gated.roll_back(first.proposed_config_id)
    assert gated.incumbent() == "base"
    with pytest.raises(ChangeRefused) as refused:
        gated.roll_back("base")
    assert refused.value.rule == "rollbacks_earlier"


def rolled_back(gated: Gated) -> Experiment:
    """An experiment whose config was promoted and left."""
    experiment = gated.approved()
    gated.promote(experiment)
    gated.roll_back(experiment.proposed_config_id)
    return experiment


def test_what_was_rolled_back_does_not_return_on_the_verdict_of_before(gated: Gated) -> None:
    """The incumbent is the one it was judged against, and still it is not approved or promoted again."""
    experiment = rolled_back(gated)
    for act in (gated.approve, gated.promote):
        with pytest.raises(ChangeRefused, match=r"was rolled back: test it again$") as refused:
            act(experiment)
        assert refused.value.rule == "promotions_rolled_back"
    assert gated.incumbent() == "base"


def test_what_was_rolled_back_is_no_candidate_for_promotion(gated: Gated) -> None:
    """Nor do the tables alone say so: what they would refuse is not offered to a person."""
    rolled_back(gated)
    (found,) = promotion_candidates(gated.database)
    assert [reason.endswith("it was rolled back: test it again") for reason in found.reasons] == [True]
    with gated.database.connect(Role.READER) as session:
        assert promotable_experiments(session) == []


def test_what_was_rolled_back_is_tested_again_and_returns_on_a_verdict_of_its_own(gated: Gated) -> None:
    experiment = rolled_back(gated)
    requeue(gated.workplace(), experiment.experiment_id, "mia", "with what was seen live")
    moved(gated.database, experiment, ExperimentStatus.RUNNING_BACKTESTS, REVIEW)
    gated.judge(experiment, evidence="second look")
    gated.approve(experiment)
    gated.promote(experiment)
    assert gated.incumbent() == experiment.proposed_config_id
    with pytest.raises(ChangeRefused) as refused:
        requeue(gated.workplace(), experiment.experiment_id, "mia", "again")
    assert refused.value.rule == "experiments_promoted"


def test_what_was_rolled_back_can_be_rejected(gated: Gated) -> None:
    experiment = rolled_back(gated)
    reject(gated.workplace(), experiment.experiment_id, "it lost money")
    assert gated.status(experiment) is ExperimentStatus.REJECTED


def test_what_a_rollback_returned_to_stays_approved(gated: Gated) -> None:
    first = gated.approved()
    gated.promote(first)
    second = at_status(gated.database, REVIEW, author="ida", token=IDA)
    gated.judge(second, incumbent=first.proposed_config_id)
    gated.approve(second)
    gated.promote(second)
    gated.roll_back(second.proposed_config_id)
    with pytest.raises(ChangeRefused, match="was promoted and stays approved"):
        reject(gated.workplace(), first.experiment_id, "no more")


def test_a_rollback_needs_no_open_latch_and_a_person(gated: Gated) -> None:
    experiment = gated.approved()
    gated.promote(experiment)
    gated.suite("PASS")
    with pytest.raises(NotAllowed, match="who may roll back is a person"):
        gated.roll_back(experiment.proposed_config_id, BOT)
    gated.roll_back(experiment.proposed_config_id)
    assert gated.incumbent() == "base"


@pytest.mark.parametrize("role", [Role.READER, Role.CHAT, Role.UPSTREAM])
def test_nobody_who_changes_nothing_keeps_a_rollback_waiting(gated: Gated, role: Role) -> None:
    """Advisory locks are everybody's to take: the turn is none of them, and its table is the owner's alone."""
    first = gated.approved()
    gated.promote(first)
    with gated.database.connect(role) as idler, gated.database.connect(Role.CHANGE_MANAGER) as session:
        for turn in ("change log", f"incumbent {ENGINE} in *"):
            idler.execute("SELECT pg_advisory_lock(hashtextextended('kronos ' || %s, 0))", [turn])
        with pytest.raises(psycopg.errors.InsufficientPrivilege), idler.transaction():
            idler.execute("LOCK TABLE kronos.changes_under_way IN ACCESS SHARE MODE")
        session.execute("SET LOCAL lock_timeout = '2s'")
        promotions.roll_back(
            session, MIA, ENGINE, expected_incumbent=first.proposed_config_id, reason="worse", code_version=CODE
        )
    assert gated.incumbent() == "base"


def test_two_who_roll_the_same_back_go_one_step(gated: Gated) -> None:
    first = gated.approved()
    gated.promote(first)
    second = at_status(gated.database, REVIEW, author="ida", token=IDA)
    gated.judge(second, incumbent=first.proposed_config_id)
    gated.approve(second)
    gated.promote(second)
    seen = second.proposed_config_id
    roll_back(gated.workplace(MIA), ENGINE, seen, "it loses money")
    with pytest.raises(ChangeRefused, match=f"is {first.proposed_config_id}: expected {seen}"):
        roll_back(gated.workplace(ADMIN), ENGINE, seen, "it loses money")
    assert gated.incumbent() == first.proposed_config_id


def test_a_rollback_of_another_incumbent_than_the_one_seen_is_refused(gated: Gated) -> None:
    gated.promote(gated.approved())
    with pytest.raises(ChangeRefused, match="the incumbent of REGIME in scope"):
        gated.roll_back("base")


def test_a_rollback_to_a_config_that_is_not_what_it_was_is_refused(gated: Gated) -> None:
    experiment = gated.approved()
    gated.promote(experiment)
    gated.as_owner("UPDATE kronos.engine_configs SET config_body = '{\"x\": 1}' WHERE config_id = 'base'")
    with pytest.raises(ChangeRefused) as refused:
        gated.roll_back(experiment.proposed_config_id)
    assert refused.value.rule == "rollbacks_unchanged"
