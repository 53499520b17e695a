"""How often the gates are wrong on controls: counts, exact intervals, and the promise about positives."""

from __future__ import annotations

from datetime import timedelta

import pytest
from scipy import stats

from kronos.core.controls.report import exact_rate, gate_report, positive_power, weekly
from kronos.core.gates.model import Gate
from kronos_tests.core.controls.suites import DONE, FAIL, INVERTED, LET_THROUGH, MISSED, RIGHT, outcome, suite


@pytest.mark.parametrize(("count", "of"), [(0, 59), (1, 59), (7, 20), (20, 20)])
def test_intervals_are_those_of_scipys_exact_test(count: int, of: int) -> None:
    found, exact = exact_rate(count, of), stats.binomtest(count, of).proportion_ci(0.95, "exact")
    assert (found.low, found.high) == (pytest.approx(exact.low), pytest.approx(exact.high))
    assert found.upper == pytest.approx(stats.binomtest(count, of, alternative="less").proportion_ci(0.95).high)


def test_fifty_nine_refusals_bound_the_false_accepts_by_a_twentieth() -> None:
    """1 - 0.05^(1/k) for k refusals without one that passed."""
    upper = exact_rate(0, 59).upper
    assert upper == pytest.approx(1.0 - 0.05 ** (1 / 59))
    assert upper is not None and upper < 0.05 < 1.0 - 0.05 ** (1 / 58)


def test_a_rate_of_nothing_has_no_interval() -> None:
    found = exact_rate(0, 0)
    assert (found.share, found.low, found.high, found.upper) == (None, None, None, None)


def test_nothing_recorded_is_a_report_of_nothing() -> None:
    (overall,) = gate_report([])
    assert (overall.engine_name, overall.suites, overall.false_accepts.of, overall.trend) == ("*", 0, 0, ())


def test_a_report_counts_false_accepts_and_false_rejects() -> None:
    overall, regime, universe = gate_report([suite(*RIGHT), suite(LET_THROUGH, MISSED, engine_name="UNIVERSE")])
    assert (overall.false_accepts.count, overall.false_accepts.of) == (1, 3)
    assert (overall.false_rejects.count, overall.false_rejects.of) == (1, 2)
    assert (regime.engine_name, regime.false_accepts.count) == ("REGIME", 0)
    assert (universe.engine_name, universe.unexpected.count, universe.false_rejects.count) == ("UNIVERSE", 1, 1)


def test_a_negative_refused_for_another_reason_is_unexpected_and_no_false_accept() -> None:
    (overall, _) = gate_report([suite(outcome(INVERTED, FAIL, Gate.STRESS))])
    assert (overall.false_accepts.count, overall.unexpected.count) == (0, 1)


def test_a_gate_that_alone_refuses_is_counted_so() -> None:
    counts = {one.gate: (one.refused, one.alone) for one in gate_report([suite(*RIGHT)])[0].gates}
    assert counts[Gate.INTEGRITY] == (1, 1)
    assert counts[Gate.IMPROVEMENT] == counts[Gate.STRESS] == (1, 0)
    assert counts[Gate.VALIDITY] == (0, 0)


def test_the_trend_goes_by_week() -> None:
    first, second = weekly([suite(LET_THROUGH, period="2020-W03"), suite(*RIGHT), suite(*RIGHT, seed=2)])
    assert (first.period, first.negatives, first.positives, first.unexpected) == ("2020-W02", 4, 2, 0)
    assert (second.period, second.false_accepts) == ("2020-W03", 1)


def test_the_trend_of_a_family_leaves_the_others_out() -> None:
    (found,) = weekly([suite(*RIGHT)], "INTEGRITY")
    assert (found.negatives, found.positives) == (1, 0)


def test_one_miss_may_be_bad_luck_and_two_in_two_are_not() -> None:
    """At nine in ten promised, two misses have one chance in a hundred."""
    one, two = (positive_power([suite(*[MISSED] * n)], 0.9, 0.01, 60) for n in (1, 2))
    assert one.kept
    assert not two.kept
    assert two.p_value == pytest.approx(0.1**2)


def test_only_the_newest_positives_count() -> None:
    old = suite(*[MISSED] * 3)
    new = suite(*[RIGHT[2]] * 4, completed_at=DONE + timedelta(days=7))
    found = positive_power([old, new], 0.9, 0.01, 5)
    assert (found.passed, found.of, found.kept) == (4, 5, True)


def test_without_a_positive_no_promise_is_broken() -> None:
    assert positive_power([suite(RIGHT[0])], 0.9, 0.01, 60).kept
