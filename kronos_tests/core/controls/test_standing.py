"""What the newest suite proves, and which experiments may therefore be promoted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from kronos.core.controls.outcomes import Suite
from kronos.core.controls.standing import JudgedExperiment, Proof, Standing, candidates, standing
from kronos.core.gates.model import Gate
from kronos.core.gates.policy import PromotionTerms
from kronos_tests.core.controls.suites import DONE, FAIL, LET_THROUGH, MISSED, PASS, RIGHT, name, suite

TERMS = PromotionTerms()
DAY = timedelta(days=1)


def stands(*suites: Suite, now: datetime = DONE + DAY) -> Standing:
    return standing("REGIME", suites, "policy", TERMS, now)


def test_a_fresh_suite_as_expected_proves_the_gates() -> None:
    assert stands(suite(*RIGHT)).proof is Proof.PROVEN


def test_without_a_suite_nothing_is_proven() -> None:
    assert stands().proof is Proof.MISSING


def test_a_suite_counts_for_its_days_and_no_longer() -> None:
    last = DONE + TERMS.suite_days * DAY
    assert stands(suite(*RIGHT), now=last - timedelta(seconds=1)).proof is Proof.PROVEN
    assert stands(suite(*RIGHT), now=last).proof is Proof.STALE


def test_a_suite_proves_its_own_policy_only() -> None:
    assert stands(suite(*RIGHT, policy_digest="another")).proof is Proof.OTHER_POLICY


def test_a_negative_let_through_is_told_by_name() -> None:
    found = stands(suite(LET_THROUGH))
    assert found.proof is Proof.FAILED
    assert "inverted_signal let through" in found.why


def test_the_newest_suite_decides() -> None:
    assert stands(suite(*RIGHT), suite(LET_THROUGH)).proof is Proof.FAILED
    assert stands(suite(LET_THROUGH), suite(*RIGHT)).proof is Proof.PROVEN


def test_one_missed_positive_is_told_and_refuses_nothing() -> None:
    found = stands(suite(*RIGHT, MISSED))
    assert found.proof is Proof.PROVEN
    assert "positive_edge missed" in found.why


def test_a_broken_promise_of_power_refuses() -> None:
    assert stands(suite(MISSED), suite(MISSED), suite(*RIGHT[:2], MISSED)).proof is Proof.MISSED_POSITIVES


def judged(**changes: Any) -> JudgedExperiment:
    values: dict[str, Any] = {
        "experiment_id": name("e"),
        "engine_name": "REGIME",
        "proposed_config_id": "new",
        "status": "AWAITING_REVIEW",
        "attempt": 2,
        "judged_attempt": 2,
        "evidence": "HUMAN_TRIGGERED",
        "verdict": PASS,
        "refused_by": (),
        "incumbent": "old",
        "policy_digest": "policy",
        "code_version": "test",
        "code_proven": True,
        "broken_code": None,
        "judged_at": DONE,
        "expires_at": DONE + 90 * DAY,
        "rolled_back_at": None,
    }
    return JudgedExperiment(**values | changes)


PROVEN = Standing("REGIME", Proof.PROVEN, "all as expected")


def reasons(one: JudgedExperiment, proven: Standing | None = PROVEN, closings: Sequence[str] = ()) -> str:
    standings = {proven.engine_name: proven} if proven else {}
    policies, incumbents = {"REGIME": "policy"}, {"REGIME": "old"}
    (found,) = candidates([one], standings, policies, incumbents, {"REGIME": closings}, DONE + DAY)
    assert found.promotable == (not found.reasons)
    return "; ".join(found.reasons)


def test_what_passed_under_proven_gates_is_promotable() -> None:
    assert reasons(judged()) == ""


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"verdict": FAIL, "refused_by": (Gate.STRESS,)}, "verdict FAIL by STRESS"),
        ({"attempt": 3}, "the verdict is of attempt 2, its results are of attempt 3"),
        ({"expires_at": DONE}, "evidence expired"),
        ({"policy_digest": "older"}, "another gate policy"),
        (
            {"code_version": "edited", "code_proven": False},
            "judged by code edited, which no suite of controls has proven",
        ),
        ({"broken_code": "edited"}, "its backtest ran by code edited, whose suite of controls was not as expected"),
        ({"broken_code": ""}, "does not say which code ran its backtest"),
        ({"incumbent": "older"}, "held against older, active is old"),
        ({"rolled_back_at": DONE}, "its config was rolled back at"),
    ],
)
def test_whatever_stands_against_an_experiment_is_told(changes: dict[str, Any], why: str) -> None:
    assert why in reasons(judged(**changes))


@pytest.mark.parametrize("proof", [one for one in Proof if one is not Proof.PROVEN])
def test_unproven_gates_promote_nothing(proof: Proof) -> None:
    assert f"controls {proof}" in reasons(judged(), Standing("REGIME", proof, "so"))


def test_a_closed_latch_promotes_nothing_and_each_closing_is_told() -> None:
    told = reasons(judged(), closings=["UNEXPECTED_CONTROL, event 3", "SUSPECT, event 5"])
    assert told == "the latch is closed: UNEXPECTED_CONTROL, event 3; the latch is closed: SUSPECT, event 5"


def test_an_engine_whose_suites_are_unknown_promotes_nothing() -> None:
    assert "controls MISSING" in reasons(judged(), None)
