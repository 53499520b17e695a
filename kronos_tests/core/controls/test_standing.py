"""How an engine's gates stand: what the database says of its latch, in the words of the newest suite."""

from __future__ import annotations

from collections.abc import Sequence

from kronos.core.controls.outcomes import Suite
from kronos.core.controls.standing import PROVEN, Candidate, JudgedExperiment, Standing, standing
from kronos_tests.core.controls.suites import DONE, LET_THROUGH, MISSED, PASS, RIGHT, name, suite


def stands(*suites: Suite, causes: Sequence[str] = ()) -> Standing:
    return standing("REGIME", suites, causes)


def test_gates_without_anything_against_them_are_proven() -> None:
    assert stands(suite(*RIGHT)).proof == PROVEN


def test_every_cause_of_a_closed_latch_is_told() -> None:
    assert stands(suite(*RIGHT), causes=["SUSPECT", "STALE_SUITE"]).proof == "SUSPECT, STALE_SUITE"


def test_without_a_suite_what_to_do_is_told() -> None:
    assert "kronos controls run" in stands(causes=["NO_SUITE"]).why


def test_the_newest_suite_is_told_with_every_control_that_is_not_as_expected() -> None:
    assert "inverted_signal let through" in stands(suite(*RIGHT), suite(LET_THROUGH, MISSED)).why
    assert "positive_edge missed" in stands(suite(*RIGHT), suite(LET_THROUGH, MISSED)).why
    assert "let through" not in stands(suite(LET_THROUGH), suite(*RIGHT)).why


def test_what_nothing_stands_against_is_promotable() -> None:
    judged = JudgedExperiment(name("e"), "REGIME", "new", "AWAITING_REVIEW", "HUMAN_TRIGGERED", PASS, DONE)
    assert Candidate(judged, ()).promotable and not Candidate(judged, ("so",)).promotable
