"""What a week says about one family of controls."""

from __future__ import annotations

from kronos.core.controls.families import FamilyAnswer, family_answer
from kronos.core.controls.outcomes import Suite
from kronos.core.controls.report import positive_power
from kronos.core.gates.model import Gate
from kronos_tests.core.controls.suites import LET_THROUGH, MISSED, RIGHT, suite

WEEK = "2020-W02"


def answer(family: str, *suites: Suite, engines: tuple[str, ...] = ("REGIME",)) -> FamilyAnswer:
    powers = {one: positive_power([s for s in suites if s.engine_name == one], 0.9, 0.01, 60) for one in engines}
    return family_answer(family, WEEK, engines, suites, powers)


def test_a_family_passes_when_every_engine_has_it_as_expected() -> None:
    assert all(answer(family, suite(*RIGHT)).passed for family in ("IMPROVEMENT", "INTEGRITY", "POSITIVE"))


def test_an_engine_without_a_suite_of_the_week_blocks() -> None:
    found = answer("IMPROVEMENT", suite(*RIGHT), engines=("REGIME", "UNIVERSE"))
    assert (found.passed, found.blocks, found.missing) == (False, True, ("UNIVERSE",))


def test_a_suite_of_another_week_is_none_of_this_one() -> None:
    assert answer("IMPROVEMENT", suite(*RIGHT, period="2020-W01")).missing == ("REGIME",)


def test_a_negative_let_through_blocks_its_family_alone() -> None:
    found = suite(LET_THROUGH, *RIGHT[1:])
    assert answer("IMPROVEMENT", found).blocks
    assert answer("INTEGRITY", found).passed


def test_one_missed_positive_alerts_and_does_not_block() -> None:
    found = answer("POSITIVE", suite(*RIGHT[:2], MISSED))
    assert (found.passed, found.blocks) == (False, False)


def test_a_broken_promise_blocks_the_positives_and_no_other_family() -> None:
    suites = (suite(MISSED, period="2020-W01"), suite(*RIGHT[:2], MISSED))
    assert answer("POSITIVE", *suites).blocks
    assert answer("IMPROVEMENT", *suites).passed


def test_the_newest_suite_of_the_week_counts() -> None:
    assert answer("IMPROVEMENT", suite(LET_THROUGH), suite(*RIGHT, seed=2)).passed


def test_the_table_says_what_each_control_does_and_who_refused_it() -> None:
    (row,) = answer("IMPROVEMENT", suite(*RIGHT)).table().iter_rows(named=True)
    assert row["what it does"] == "all the other way"
    assert (row["refused by"], row["as expected"]) == ("IMPROVEMENT, STRESS", "yes")


def test_refusals_are_counted_by_gate() -> None:
    assert answer("INTEGRITY", suite(*RIGHT)).gates()[Gate.INTEGRITY] == 1
