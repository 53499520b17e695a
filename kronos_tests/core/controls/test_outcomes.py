"""The right answer to a control, and how the gates' answer is held against it."""

from __future__ import annotations

import pytest

from kronos.core.controls.outcomes import ControlOutcome, Expectation, as_expected
from kronos.core.gates.model import Gate, GateVerdict
from kronos.errors import BadValue
from kronos_tests.core.controls.suites import FAIL, HOLES, INVALID, INVERTED, LET_THROUGH, MISSED, PASS, POSITIVE, RIGHT


@pytest.mark.parametrize("verdict", [FAIL, GateVerdict.INCONCLUSIVE])
def test_a_negative_refused_by_its_gate_is_as_expected(verdict: GateVerdict) -> None:
    assert as_expected(INVERTED, FAIL, verdict, ["WORSE"], [Gate.IMPROVEMENT, Gate.STRESS])[0]


def test_another_gate_may_say_something_worse() -> None:
    assert as_expected(HOLES, FAIL, INVALID, ["COVERAGE", "STALE"], [Gate.INTEGRITY, Gate.STRESS])[0]


def test_a_negative_that_passes_was_let_through() -> None:
    said = "let through: expected FAIL or INCONCLUSIVE by IMPROVEMENT (NOT_SHOWN or WORSE)"
    assert as_expected(INVERTED, PASS, PASS, ["BETTER"], []) == (False, said)


def test_a_negative_whose_gate_says_something_else_is_not_as_expected() -> None:
    right, why = as_expected(INVERTED, INVALID, INVALID, ["NO_PAIR"], [Gate.INTEGRITY, Gate.IMPROVEMENT])
    assert not right
    assert why.startswith("refused otherwise: INVALID by INTEGRITY, IMPROVEMENT, IMPROVEMENT says INVALID")


def test_a_negative_refused_by_other_gates_alone_is_not_as_expected() -> None:
    """It shows nothing about the gate that it is there to test."""
    right, why = as_expected(INVERTED, FAIL, PASS, ["BETTER"], [Gate.STRESS])
    assert not right
    assert "IMPROVEMENT says PASS" in why


def test_a_negative_whose_gate_refuses_it_for_something_else_is_not_as_expected() -> None:
    """Holes that a gate overlooks show nothing of it where the evidence is too old as well."""
    right, why = as_expected(HOLES, INVALID, INVALID, ["STALE"], [Gate.INTEGRITY])
    assert not right
    assert "INTEGRITY says INVALID (STALE), expected INVALID by INTEGRITY (COVERAGE)" in why


def test_what_was_told_before_reasons_were_is_read_as_it_was_meant() -> None:
    told = RIGHT[1].to_json_dict()
    before = ControlOutcome.from_json_dict({k: told[k] for k in told if k not in ("expected_reasons", "gate_reasons")})
    assert before.as_expected and before.expected.gate_reasons == ()


@pytest.mark.parametrize("verdict", [one for one in GateVerdict if one is not PASS])
def test_a_positive_has_to_pass(verdict: GateVerdict) -> None:
    assert as_expected(POSITIVE, PASS, None, [], [])[0]
    assert as_expected(POSITIVE, verdict, None, [], [Gate.EVIDENCE])[1].startswith("missed")


@pytest.mark.parametrize(
    ("verdicts", "gate"),
    [((), Gate.STRESS), ((PASS, FAIL), Gate.STRESS), ((PASS,), Gate.STRESS), ((FAIL,), None)],
)
def test_an_expectation_that_contradicts_itself_is_refused(verdicts: tuple[GateVerdict, ...], gate: Gate) -> None:
    with pytest.raises(BadValue, match="of control odd"):
        Expectation("odd", "IMPROVEMENT", verdicts, gate, "why")


def test_a_positive_is_refused_for_no_reason() -> None:
    with pytest.raises(BadValue, match="none for a positive"):
        Expectation("odd", "POSITIVE", (PASS,), None, "why", ("NOT_SHOWN",))


@pytest.mark.parametrize("one", [*RIGHT, LET_THROUGH, MISSED], ids=lambda one: one.why)
def test_outcomes_are_read_back_as_they_were_written(one: ControlOutcome) -> None:
    assert ControlOutcome.from_json_dict(one.to_json_dict()) == one
