"""What an experiment can find before it runs, and what its config changes."""

from __future__ import annotations

from datetime import date

import pytest

from kronos.core.changes.modifications import ABSENT, Modification, modifications
from kronos.core.changes.power import plan_power
from kronos.core.changes.request import LARGEST_RATIO, SMALLEST_RATIO
from kronos.core.stats.power import years_needed


def test_a_plan_says_years_needed_and_planned() -> None:
    plan = plan_power(0.5, date(2001, 1, 1), date(2010, 12, 31), n_trials=1, level=0.05)
    assert plan.years_needed == years_needed(0.5, alpha=0.05)
    assert plan.years_needed == pytest.approx((1.6449 + 0.8416) ** 2 / 0.25, rel=1e-3)
    assert plan.years_planned == pytest.approx(10.0, abs=0.01)
    assert not plan.sufficient


def test_more_trials_need_more_years() -> None:
    years = [
        plan_power(1.0, date(2001, 1, 1), date(2010, 12, 31), n_trials=n, level=0.05).years_needed for n in (1, 20, 200)
    ]
    assert years == sorted(years)
    assert years[0] < years[2]


def test_a_plan_as_long_as_needed_has_the_wanted_power() -> None:
    plan = plan_power(1.0, date(2001, 1, 1), date(2007, 3, 8), n_trials=1, level=0.05)
    assert plan.years_planned == pytest.approx(plan.years_needed, abs=0.01)
    assert plan.power == pytest.approx(0.8, abs=1e-3)
    assert plan.detectable_ratio == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("ratio", [SMALLEST_RATIO, LARGEST_RATIO])
def test_the_farthest_hopes_have_a_number_of_years(ratio: float) -> None:
    plan = plan_power(ratio, date(2001, 1, 1), date(2001, 1, 1), n_trials=10**6, level=1e-6)
    assert 0.0 < plan.years_needed < 1e9


def test_one_day_is_planned_as_one_day() -> None:
    assert plan_power(1.0, date(2001, 1, 1), date(2001, 1, 1), n_trials=1, level=0.05).power < 0.1


@pytest.mark.parametrize(
    ("base", "proposed", "changed"),
    [
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": 2}, [Modification("a", 1, 2)]),
        ({"a": 1}, {}, [Modification("a", 1, ABSENT)]),
        ({}, {"a": None}, [Modification("a", ABSENT, None)]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [Modification("a.c", 2, 3)]),
        ({"a": [1, 2]}, {"a": [2, 1]}, [Modification("a", [1, 2], [2, 1])]),
        ({"a": {"b": 1}}, {"a": 1}, [Modification("a", {"b": 1}, 1)]),
        ({"a": True}, {"a": 1}, [Modification("a", True, 1)]),
        ({"b": 1, "a": 1}, {"b": 2, "a": 2}, [Modification("a", 1, 2), Modification("b", 1, 2)]),
    ],
)
def test_modifications_are_what_differs(base: dict[str, object], proposed: dict[str, object], changed: object) -> None:
    assert modifications(base, proposed) == changed
