"""A suite is of all its controls, and of each what was planned when its experiment was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest

from kronos.errors import ChangeRefused
from kronos_tests.store.promoting import ENGINE, Gated
from kronos_tests.store.test_latch import causes

SUITE = UUID(int=24)


def planned(gated: Gated, told: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """The outcome of a control whose experiment says that it is of SUITE, and what is expected of it."""
    gated.plan(told, {"suite_id": str(SUITE), "planned": 2} | changes)
    return dict(told)


def refusal(gated: Gated, *told: Mapping[str, Any], suite_id: UUID = SUITE) -> str:
    """The rule that refuses a suite of these outcomes."""
    with pytest.raises(ChangeRefused) as refused:
        gated.record(ENGINE, *told, suite_id=suite_id)
    return str(refused.value.rule)


def test_a_suite_told_as_planned_is_recorded(gated: Gated) -> None:
    assert gated.record(ENGINE, planned(gated, gated.negative()), planned(gated, gated.positive()), suite_id=SUITE)


@pytest.mark.parametrize("changes", [
    {"control": "look_ahead"}, {"family": "INTEGRITY"}, {"expected_gate": "INTEGRITY"}, {"expected_verdicts": ["FAIL"]},
    {"expected_reasons": ["BUDGET_SPENT"]},
    {"planned": 3}, {"seed": 999}, {"period": "2017-W51"}, {"engine_name": "PORTFOLIO"}, {"suite_id": str(uuid4())},
    {"code_version": "older"}, {"policy_digest": "older"},
])  # fmt: skip
def test_a_control_told_otherwise_than_planned_is_refused(gated: Gated, changes: dict[str, Any]) -> None:
    told = planned(gated, gated.negative(), **changes), planned(gated, gated.positive())
    assert refusal(gated, *told) == "control_suites_as_planned"


def test_a_negative_told_as_a_positive_is_refused(gated: Gated) -> None:
    told = gated.negative("PASS")
    told |= {"expected_verdicts": ["PASS"], "expected_gate": None, "gate_verdict": None, "as_expected": True}
    told |= {"expected_reasons": [], "gate_reasons": []}
    assert refusal(gated, told, gated.negative()) == "control_suites_as_planned"


def test_a_positive_told_as_a_negative_is_refused(gated: Gated) -> None:
    told = gated.positive("INCONCLUSIVE")
    told |= {"expected_verdicts": ["INCONCLUSIVE"], "expected_gate": "IMPROVEMENT", "gate_verdict": "INCONCLUSIVE"}
    told |= {"gate_reasons": ["NOT_SHOWN"], "as_expected": True}
    assert refusal(gated, told, gated.positive()) == "control_suites_as_planned"


def test_a_negative_that_is_refused_for_something_else_is_not_as_expected(gated: Gated) -> None:
    gated.record(ENGINE, gated.negative(reason="BUDGET_SPENT"), gated.positive())
    assert causes(gated) == ["UNEXPECTED_CONTROL"]


def test_a_negative_that_is_refused_for_something_else_is_not_told_as_expected(gated: Gated) -> None:
    told = planned(gated, gated.negative(reason="BUDGET_SPENT") | {"as_expected": True})
    assert refusal(gated, told, planned(gated, gated.positive())) == "control_suites_as_judged"


def test_a_suite_planned_before_reasons_were_asked_for_counts_for_any(gated: Gated) -> None:
    before = gated.negative(reason="BUDGET_SPENT") | {"expected_reasons": [], "as_expected": True}
    assert gated.record(ENGINE, planned(gated, before), planned(gated, gated.positive()), suite_id=SUITE)


def test_controls_that_say_nothing_of_a_suite_are_of_none(gated: Gated) -> None:
    told = gated.negative(), gated.positive()
    with pytest.raises(ChangeRefused, match="controls inverted signal, positive_edge are not of suite") as refused:
        gated.record(ENGINE, *told, planned=False)
    assert refused.value.rule == "control_suites_as_planned"


@pytest.mark.parametrize("unsaid", ["suite_id", "seed", "expected_verdicts", "expected_gate", "planned"])
def test_what_was_not_planned_of_a_control_cannot_be_told(gated: Gated, unsaid: str) -> None:
    told = planned(gated, gated.negative()), planned(gated, gated.positive())
    gated.as_owner(f"UPDATE kronos.experiments SET metadata = metadata #- '{{suite,{unsaid}}}'")
    assert refusal(gated, *told) == "control_suites_as_planned"


def test_a_suite_that_leaves_a_control_out_is_refused(gated: Gated) -> None:
    """As one would the negative that passed."""
    planned(gated, gated.negative("PASS"))
    told = planned(gated, gated.negative()), planned(gated, gated.positive())
    assert refusal(gated, *told) == "control_suites_whole"


@pytest.mark.parametrize("kind", ["negative", "positive"])
def test_a_suite_has_controls_of_both_kinds(gated: Gated, kind: str) -> None:
    assert refusal(gated, getattr(gated, kind)(), getattr(gated, kind)()) == "control_suites_both_kinds"
