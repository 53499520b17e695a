"""Power, years needed and the minimum detectable effect are one relation, read three ways."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronos.core.stats.matrix import Inconclusive, Reason
from kronos.core.stats.power import (
    critical_z,
    minimum_detectable_mean,
    minimum_detectable_ratio,
    power_by,
    power_of,
    years_needed,
)
from kronos.errors import BadValue


def test_years_needed_by_hand() -> None:
    """(1.645 + 0.842)^2 / 0.5^2 for a single trial at 5 %."""
    assert years_needed(0.5, alpha=0.05) == pytest.approx((1.644854 + 0.841621) ** 2 / 0.25, rel=1e-5)


def test_the_design_sheet_of_the_promotion_gate() -> None:
    """Twenty candidates, ten years: about 90 % at 1.5, 45 % at 1.0, nothing at 0.5 (family level 0.5 to 1 %)."""
    found = [power_of(ratio, 10, alpha=0.0075, n_trials=20) for ratio in (1.5, 1.0, 0.5)]
    assert found == pytest.approx([0.91, 0.41, 0.04], abs=0.02)


@given(st.floats(0.1, 4), st.floats(0.001, 0.2), st.integers(1, 500), st.floats(0.5, 0.99))
def test_the_three_readings_agree(ratio: float, alpha: float, trials: int, power: float) -> None:
    years = years_needed(ratio, alpha=alpha, n_trials=trials, power=power)
    assert isinstance(years, float)
    assert power_of(ratio, years, alpha=alpha, n_trials=trials) == pytest.approx(power)
    assert minimum_detectable_ratio(years, alpha=alpha, n_trials=trials, power=power) == pytest.approx(ratio)


def test_power_equals_simulated_power() -> None:
    """Slow twin: four years of daily normal returns at a true ratio of 1, the best of nothing else, 2,000 worlds."""
    rng = np.random.default_rng(1)
    days = rng.standard_normal((2000, 4 * 252)) + 1 / math.sqrt(252)
    z = days.mean(axis=1) / days.std(axis=1) * math.sqrt(4 * 252)
    assert (z > critical_z(0.05)).mean() == pytest.approx(power_of(1.0, 4, alpha=0.05), abs=0.03)


def test_the_level_is_shared_by_the_trials() -> None:
    rng = np.random.default_rng(2)
    best = rng.standard_normal((20_000, 30)).max(axis=1)
    assert (best > critical_z(0.05, 30)).mean() == pytest.approx(0.05, abs=0.006)


def test_a_mean_difference_is_measured_in_its_own_error() -> None:
    assert minimum_detectable_mean(0.01, alpha=0.05) == pytest.approx(0.01 * minimum_detectable_ratio(1.0, alpha=0.05))


def test_power_by_a_planned_date() -> None:
    found = power_by(1.0, date(2020, 1, 1), date(2024, 1, 1), alpha=0.05)
    assert found == pytest.approx(power_of(1.0, 4, alpha=0.05), abs=1e-4)
    with pytest.raises(BadValue, match="after"):
        power_by(1.0, date(2020, 1, 1), date(2020, 1, 1), alpha=0.05)


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.nan])
def test_nothing_finds_an_edge_that_is_not_there(ratio: float) -> None:
    found = years_needed(ratio, alpha=0.05)
    assert isinstance(found, Inconclusive)
    assert found.reason is Reason.NO_POSITIVE_EDGE


@pytest.mark.parametrize(("alpha", "trials"), [(0.0, 1), (1.0, 1), (math.nan, 1), (0.05, 0.5)])
def test_bad_levels_are_refused(alpha: float, trials: float) -> None:
    with pytest.raises(BadValue):
        critical_z(alpha, trials)


@pytest.mark.parametrize("years", [0.0, -1.0, math.nan, math.inf])
def test_bad_lengths_are_refused(years: float) -> None:
    with pytest.raises(BadValue):
        power_of(1.0, years, alpha=0.05)
