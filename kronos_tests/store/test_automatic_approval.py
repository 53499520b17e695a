"""What the gate policy approves without a person: small changes, where it is told to."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from kronos.core.changes.model import Experiment
from kronos.core.gates.policy import AutoApprovalTerms
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import ChangeRefused
from kronos.services.experiments import requeue
from kronos.services.promotion import approve_by_policy
from kronos.store import promotions
from kronos.store.database import Role
from kronos.store.experiments import move_experiment
from kronos_tests.store.changes import at_status, begin, moved
from kronos_tests.store.promoting import BOT, CODE, FUTURE, IDA, MIA, POLICY, REVIEW, SET_POLICY, Gated

RULES = AutoApprovalTerms(enabled=True).model_dump(mode="json")
SMALL = {"window": 22, "fast": True}


def automatic(
    gated: Gated,
    rules: dict[str, Any],
    proposed: dict[str, Any] = SMALL,
    code: str = CODE,
    by: tuple[str, str | None] = ("ida", IDA),
) -> Experiment:
    """A passed experiment under a proven policy with these rules for automatic approval; it changes window 20."""
    gated.set_policy({**POLICY, "auto_approval": rules}, expected=1)
    gated.suite()
    experiment = at_status(gated.database, REVIEW, author=by[0], token=by[1])
    bodies = {"base": {"window": 20, "fast": True}, experiment.proposed_config_id: proposed}
    gated.as_owner(
        *(
            f"UPDATE kronos.engine_configs SET config_body = '{json.dumps(body)}' WHERE config_id = '{config_id}'"
            for config_id, body in bodies.items()
        )
    )
    gated.judge(experiment, code=code)
    return experiment


def auto_approve(gated: Gated, experiment: Experiment) -> None:
    with gated.database.connect(Role.ORCHESTRATOR) as session:
        promotions.auto_approve(session, experiment.experiment_id, code_version=CODE)


def test_the_policy_approves_a_small_change_if_told_to(gated: Gated) -> None:
    experiment = automatic(gated, RULES)
    auto_approve(gated, experiment)
    assert gated.log("approval") == [(None, "POLICY", "policy")]
    assert gated.status(experiment) is ExperimentStatus.APPROVED
    gated.promote(experiment, BOT)
    assert gated.incumbent() == experiment.proposed_config_id


@pytest.mark.parametrize(("rules", "proposed"), [
    ({}, SMALL), ({**RULES, "enabled": False}, SMALL), ({**RULES, "enabled": "true"}, SMALL),
    ({**RULES, "evidence": ["AUTO_PRESCREEN"]}, SMALL), ({**RULES, "most_changed_parameters": 0}, SMALL),
    (RULES, {"window": 25, "fast": True}), (RULES, {"window": 21, "fast": False}),
    (RULES, {"window": 20, "fast": False}),
    (RULES, {"window": 20, "fast": True, "added": 1}), (RULES, {"window": "21", "fast": True}), (RULES, {"fast": True}),
])  # fmt: skip
def test_the_policy_approves_nothing_else(gated: Gated, rules: dict[str, Any], proposed: dict[str, Any]) -> None:
    """Neither more parameters, nor larger steps, nor what is no number."""
    experiment = automatic(gated, rules, proposed)
    with pytest.raises(ChangeRefused) as refused:
        auto_approve(gated, experiment)
    assert refused.value.rule == "approvals_by_policy"
    assert gated.status(experiment) is REVIEW


def test_the_policy_approves_what_awaits_review_alone(gated: Gated) -> None:
    """Not again what was approved and taken back, though its verdict stands."""
    experiment = automatic(gated, RULES)
    auto_approve(gated, experiment)
    promotion = gated.promote(experiment, at=FUTURE)
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        promotions.cancel_promotion(session, MIA, promotion, reason="not now", code_version=CODE)
    with pytest.raises(ChangeRefused, match="is APPROVED"):
        auto_approve(gated, experiment)


def test_what_the_setter_of_the_policy_brought_about_is_left_to_a_person(gated: Gated) -> None:
    experiment = automatic(gated, RULES)
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        session.execute(SET_POLICY, [IDA, "*", Jsonb({**POLICY, "auto_approval": RULES, "strict": True}), 2])
    gated.suite()
    gated.judge(experiment)
    with pytest.raises(ChangeRefused, match="brought about by ida, who set the gate policy in force") as refused:
        auto_approve(gated, experiment)
    assert refused.value.rule == "approvals_by_policy"
    gated.approve(experiment)


def test_what_nobody_knows_the_author_of_is_left_to_a_person(gated: Gated) -> None:
    """It may have been whoever set the policy, under another name."""
    experiment = automatic(gated, RULES, by=("somebody", None))
    with pytest.raises(ChangeRefused, match="somebody without the token of a person"):
        auto_approve(gated, experiment)
    assert gated.status(experiment) is REVIEW


def test_the_policys_name_is_good_for_its_approval_alone(gated: Gated) -> None:
    experiment, other = automatic(gated, RULES), gated.passed()
    with gated.database.connect(Role.ORCHESTRATOR) as session:
        promotions.auto_approve(session, experiment.experiment_id, code_version=CODE)
        with pytest.raises(ChangeRefused, match="a change needs an author"):
            move_experiment(session, other.experiment_id, [REVIEW], ExperimentStatus.QUEUED_FOR_BACKTEST)


def test_while_the_latch_is_closed_nothing_goes_by_itself(gated: Gated) -> None:
    experiment = automatic(gated, RULES)
    gated.suite("PASS")
    with pytest.raises(ChangeRefused, match="UNEXPECTED_CONTROL"):
        auto_approve(gated, experiment)


def test_a_verdict_by_unproven_code_does_not_go_by_itself(gated: Gated) -> None:
    experiment = automatic(gated, RULES, code="edited")
    with pytest.raises(ChangeRefused, match="judged by code edited, which no suite"):
        auto_approve(gated, experiment)


def test_what_passed_before_its_suite_came_is_approved_once_it_has_come(gated: Gated) -> None:
    experiment = automatic(gated, RULES, code="edited")
    assert approve_by_policy(gated.workplace(None)) == {}
    gated.suite(code="edited")
    assert approve_by_policy(gated.workplace(None)) == {experiment.experiment_id: "APPROVED"}
    assert gated.status(experiment) is ExperimentStatus.APPROVED
    assert approve_by_policy(gated.workplace(None)) == {}


def test_what_the_policy_leaves_to_a_person_says_why_and_is_no_refusal(gated: Gated) -> None:
    experiment = automatic(gated, RULES, {"window": 25, "fast": True})
    told = approve_by_policy(gated.workplace(None))
    assert "does not approve" in told[experiment.experiment_id]
    assert (gated.status(experiment), gated.log("refusal")) == (REVIEW, [])


def test_a_policy_that_approves_nothing_is_not_asked(gated: Gated) -> None:
    automatic(gated, {})
    assert approve_by_policy(gated.workplace(None)) == {}


def test_an_old_approval_by_the_policy_does_not_let_the_orchestrator_approve(gated: Gated) -> None:
    experiment = automatic(gated, RULES)
    auto_approve(gated, experiment)
    requeue(gated.workplace(), experiment.experiment_id, "mia", "it changed")
    moved(gated.database, experiment, ExperimentStatus.RUNNING_BACKTESTS, REVIEW)
    with gated.database.connect(Role.ORCHESTRATOR) as session:
        begin(session, "Kronos")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="change manager only"):
            move_experiment(session, experiment.experiment_id, [REVIEW], ExperimentStatus.APPROVED)
