"""The promotion latch: what closes it, what it takes to open it, and that someone is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kronos.errors import ChangeRefused, NotAllowed
from kronos.store import alerts
from kronos.store.database import Database, Role
from kronos.store.latch import LatchCause, alert_closed_latches, close_latch, latch_causes, latch_history, reopen_latch
from kronos_tests.store.changes import begin
from kronos_tests.store.promoting import BOT, CODE, ENGINE, MIA, POLICY, Gated


def causes(gated: Gated, engine: str = ENGINE) -> list[str]:
    with gated.database.connect(Role.READER) as session:
        return [one.cause for one in latch_causes(session, engine)]


def newest(gated: Gated) -> int:
    with gated.database.connect(Role.READER) as session:
        events = latch_history(session, ENGINE)
    return events[-1].event_id if events else 0


def close(gated: Gated, cause: str = "MISSED_POSITIVES", role: Role = Role.ORCHESTRATOR) -> int:
    with gated.database.connect(role) as session:
        begin(session, "Kronos" if role is Role.ORCHESTRATOR else "ann")
        return close_latch(session, ENGINE, cause, {"p": 0.001})


def reopen(gated: Gated, token: str | None = MIA, reason: str = "investigated", seen: int | None = None) -> None:
    """seen: by default the newest event there is."""
    known = newest(gated) if seen is None else seen
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        reopen_latch(session, token, ENGINE, seen=known, reason=reason, code_version=CODE)


def test_a_fresh_suite_as_expected_leaves_the_latch_open(gated: Gated) -> None:
    assert causes(gated) == []


def test_without_a_suite_or_a_policy_the_latch_is_closed(database: Database) -> None:
    assert causes(Gated(database)) == ["NO_SUITE", "NO_POLICY"]


def test_another_engines_suite_opens_nothing(gated: Gated) -> None:
    assert causes(gated, "PORTFOLIO") == ["NO_SUITE"]


def test_a_control_that_passes_closes_the_latch_in_the_transaction_of_its_suite(gated: Gated) -> None:
    suite = gated.suite("PASS")
    with gated.database.connect(Role.READER) as session:
        (cause,) = latch_causes(session, ENGINE)
    assert isinstance(cause, LatchCause)
    assert (cause.cause, cause.detail["suite_id"]) == ("UNEXPECTED_CONTROL", str(suite))
    assert [one["control"] for one in cause.detail["outcomes"]] == ["inverted signal"]


def test_later_suites_as_expected_do_not_reopen_it(gated: Gated) -> None:
    gated.suite("PASS")
    gated.suite("FAIL")
    assert causes(gated) == ["UNEXPECTED_CONTROL"]


def test_a_new_policy_closes_the_latch_until_a_suite_proves_it(gated: Gated) -> None:
    gated.set_policy({**POLICY, "strict": True}, expected=1)
    assert causes(gated) == ["POLICY_UNPROVEN"]
    gated.suite()
    assert causes(gated) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"control": None}, {"reason": None}, {"verdict_id": None}, {"experiment_id": None}, {"as_expected": None},
        {"verdict": "INVALID"}, {"gate_verdict": "INCONCLUSIVE"}, {"expected_verdicts": ["PASS", "FAIL"]},
        {"gate_reasons": ["WORSE"]}, {"gate_reasons": None}, {"expected_reasons": None},
    ],
)  # fmt: skip
def test_a_suite_that_does_not_tell_all_its_verdicts_opens_nothing(gated: Gated, changes: dict[str, Any]) -> None:
    """None: left out."""
    gated.set_policy({**POLICY, "strict": True}, expected=1)
    told = {name: value for name, value in (gated.negative() | changes).items() if changes.get(name, 0) is not None}
    with pytest.raises(ChangeRefused, match=r"outcomes of controls .* are not those of their verdicts") as refused:
        gated.record(ENGINE, told)
    assert refused.value.rule == "control_suites_as_judged"
    assert causes(gated) == ["POLICY_UNPROVEN"]


@pytest.mark.parametrize("outcome", [{}, {"as_expected": None}])
def test_a_suite_without_a_control_opens_nothing(gated: Gated, outcome: dict[str, Any]) -> None:
    gated.set_policy({**POLICY, "strict": True}, expected=1)
    with pytest.raises(ChangeRefused, match=r"outcomes of controls \? are not"):
        gated.record(ENGINE, outcome)
    assert causes(gated) == ["POLICY_UNPROVEN"]


def test_an_outcome_that_says_neither_right_nor_wrong_is_none(gated: Gated) -> None:
    told = gated.negative() | {"expected_gate": None, "gate_verdict": None, "as_expected": None}
    with pytest.raises(ChangeRefused, match="are not those of their verdicts"):
        gated.record(ENGINE, told)


def told_again(gated: Gated, told: dict[str, Any]) -> None:
    gated.record(ENGINE, told, gated.positive())


def rejected_since(gated: Gated, told: dict[str, Any]) -> None:
    gated.as_owner(
        "UPDATE kronos.experiments SET status = 'REJECTED', metadata = '{\"reason\": \"as judged\"}' "
        f"WHERE experiment_id = '{told['experiment_id']}'"
    )


def run_anew(gated: Gated, told: dict[str, Any]) -> None:
    gated.as_owner(
        f"UPDATE kronos.experiments SET attempt = attempt + 1 WHERE experiment_id = '{told['experiment_id']}'"
    )


def aged(gated: Gated, told: dict[str, Any]) -> None:
    gated.as_owner(
        "UPDATE kronos.experiment_verdicts SET judged_at = judged_at - interval '90 days', "
        f"expires_at = expires_at - interval '90 days' WHERE verdict_id = '{told['verdict_id']}'"
    )


@pytest.mark.parametrize("change", [told_again, rejected_since, run_anew, aged])
def test_controls_that_were_told_of_before_or_are_stale_prove_nothing(
    gated: Gated, change: Callable[[Gated, dict[str, Any]], None]
) -> None:
    told = gated.negative()
    change(gated, told)
    gated.as_owner("UPDATE kronos.control_suites SET completed_at = completed_at - interval '9 days'")
    with pytest.raises(ChangeRefused) as refused:
        gated.record(ENGINE, told)
    assert refused.value.rule == "control_suites_fresh"
    assert causes(gated) == ["STALE_SUITE"]


def test_a_suite_tells_of_each_control_once(gated: Gated) -> None:
    told = gated.negative()
    with pytest.raises(ChangeRefused) as refused:
        gated.record(ENGINE, told, told)
    assert refused.value.rule == "control_suites_fresh"


def test_an_old_suite_closes_the_latch(gated: Gated) -> None:
    gated.as_owner("UPDATE kronos.control_suites SET completed_at = completed_at - interval '9 days'")
    assert causes(gated) == ["STALE_SUITE"]


def test_a_suite_that_let_a_control_through_leaves_an_old_proof_old(gated: Gated) -> None:
    """Whatever code it is of, and although a person has looked into it."""
    gated.as_owner("UPDATE kronos.control_suites SET completed_at = completed_at - interval '9 days'")
    gated.suite("PASS", code="other")
    reopen(gated)
    assert causes(gated) == ["STALE_SUITE"]


def test_a_suite_that_let_a_control_through_proves_no_policy(gated: Gated) -> None:
    gated.set_policy({**POLICY, "strict": True}, expected=1)
    gated.suite("PASS", code="other")
    reopen(gated)
    assert causes(gated) == ["POLICY_UNPROVEN"]


def test_the_policy_says_when_a_suite_is_old(gated: Gated) -> None:
    gated.set_policy({**POLICY, "promotion": {"suite_days": 10}}, expected=1)
    gated.suite()
    gated.as_owner("UPDATE kronos.control_suites SET completed_at = completed_at - interval '9 days'")
    assert causes(gated) == []


@pytest.mark.parametrize("role", [Role.ORCHESTRATOR, Role.CHANGE_MANAGER])
def test_the_orchestrator_and_the_change_manager_close_it(gated: Gated, role: Role) -> None:
    close(gated, role=role)
    assert causes(gated) == ["MISSED_POSITIVES"]


def test_the_same_closing_told_twice_is_one(gated: Gated) -> None:
    assert close(gated) == close(gated)
    with gated.database.connect(Role.READER) as session:
        assert [event.state for event in latch_history(session, ENGINE)] == ["CLOSED"]


def test_a_cause_is_a_word_in_capitals(gated: Gated) -> None:
    with pytest.raises(ChangeRefused, match="a word in capitals"):
        close(gated, "because")


def test_a_person_reopens_it_with_a_reason_that_stays(gated: Gated) -> None:
    close(gated)
    reopen(gated, reason="the binomial was fed twice")
    assert causes(gated) == []
    with gated.database.connect(Role.READER) as session:
        history = latch_history(session, ENGINE)
    assert [(event.state, event.author, event.reason) for event in history][-1] == (
        "OPEN", "mia", "the binomial was fed twice",
    )  # fmt: skip
    assert gated.log("latch") == [(None, "CLOSED", "Kronos"), ("CLOSED", "OPEN", "mia")]


@pytest.mark.parametrize("token", [None, "nobody's", BOT])
def test_nobody_else_reopens_it(gated: Gated, token: str | None) -> None:
    close(gated)
    with pytest.raises(NotAllowed):
        reopen(gated, token)
    assert causes(gated) == ["MISSED_POSITIVES"]


def test_what_closed_it_after_the_look_is_not_reopened_unseen(gated: Gated) -> None:
    seen = close(gated)
    gated.suite("PASS")
    with pytest.raises(ChangeRefused, match=r"newest event .* UNEXPECTED_CONTROL .*: look at it again") as refused:
        reopen(gated, seen=seen)
    assert refused.value.rule == "promotion_latch_seen"
    assert causes(gated) == ["MISSED_POSITIVES", "UNEXPECTED_CONTROL"]


def test_every_closing_since_the_last_opening_is_a_cause(gated: Gated) -> None:
    close(gated, "BY_HAND")
    reopen(gated)
    gated.suite("PASS")
    close(gated)
    assert causes(gated) == ["UNEXPECTED_CONTROL", "MISSED_POSITIVES"]
    reopen(gated)
    assert causes(gated) == []


def test_reopening_needs_a_reason(gated: Gated) -> None:
    close(gated)
    with pytest.raises(ChangeRefused, match="needs a reason"):
        reopen(gated, reason=" ")


def test_what_time_closed_only_a_suite_opens(gated: Gated) -> None:
    gated.as_owner("UPDATE kronos.control_suites SET completed_at = completed_at - interval '9 days'")
    with pytest.raises(ChangeRefused, match=r"nothing to reopen: .* is STALE_SUITE"):
        reopen(gated)


def test_every_closing_raises_an_alert_that_tells_what_is_known(gated: Gated) -> None:
    suite = gated.suite("PASS")
    reopen(gated)
    close(gated)
    newest, first = alerts.alerts(gated.database)
    assert (first.kind, first.metric, first.config_id) == ("PROMOTION_LATCH", "UNEXPECTED_CONTROL", "base")
    assert (first.evidence["suite_id"], newest.metric) == (str(suite), "MISSED_POSITIVES")


def test_a_missed_positive_alerts_and_leaves_the_latch_open(gated: Gated) -> None:
    suites = [gated.missed(), gated.missed()]
    assert causes(gated) == []
    raised = alerts.alerts(gated.database)
    assert {one.kind for one in raised} == {"MISSED_CONTROL"}
    assert [one.evidence["suite_id"] for one in raised] == [str(suite) for suite in reversed(suites)]
    assert [one.evidence["outcomes"][0]["why"] for one in raised] == ["missed", "missed"]


def test_what_closes_by_itself_raises_one_alert_however_often_it_is_looked_at(gated: Gated) -> None:
    gated.set_policy({**POLICY, "strict": True}, expected=1)
    for _ in range(2):
        with gated.database.connect(Role.ORCHESTRATOR) as session:
            alert_closed_latches(session)
    assert [one.metric for one in alerts.alerts(gated.database)] == ["POLICY_UNPROVEN"]
