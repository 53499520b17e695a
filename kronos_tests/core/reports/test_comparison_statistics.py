"""Joint statistics against slow twins, and their size on worlds without any difference."""

from __future__ import annotations

import numpy as np
import pytest

from kronos.core.policy import ComparisonPolicy
from kronos.core.reports.comparison_pairs import Paired
from kronos.core.reports.comparison_statistics import Statistics, eliminated, joint_statistics, plan_draws
from kronos.core.stats.bootstrap import draw, resampled_means
from kronos.core.stats.matrix import Inconclusive
from kronos.core.stats.selection import confidence_set_p_values
from kronos_tests.core.reports.comparison_worlds import compare, record

DAYS = np.arange("2001-01-01", "2004-01-01", dtype="datetime64[D]")
POLICY = ComparisonPolicy(resamples=1_000)


def pair(values: np.ndarray, days: np.ndarray) -> Paired:
    """A mean difference on some days."""
    return Paired(days, 1.0, (float(values.mean()), 0.0), 1.0, values - values.mean(), None)


def pairs(seed: int = 0) -> dict[tuple[str, str], Paired]:
    """Two configs with an overall difference and one on every fifth day."""
    rng = np.random.default_rng(seed)
    found = {}
    for name in ("a", "b"):
        values = rng.normal(0.0, 1.0, DAYS.size)
        found[(name, "overall")] = pair(values, DAYS)
        found[(name, "regime:X")] = pair(values[::5], DAYS[::5])
    return found


def statistics(given: dict[tuple[str, str], Paired]) -> Statistics:
    draws = plan_draws([one for key, one in given.items() if key[1] == "overall"], DAYS, 1, POLICY)
    assert not isinstance(draws, Inconclusive)
    return joint_statistics(given, DAYS, 1, draws)


def test_slice_error_is_that_of_its_own_mean() -> None:
    """Zeros outside the slice leave the standard error sd / sqrt(n) of independent values, within sampling noise."""
    found = statistics(pairs())
    for key, one in pairs().items():
        expected = one.influence.std() / np.sqrt(one.days.size)
        assert found.error[found.at(key)] == pytest.approx(expected, rel=0.1)


def test_overlapping_slices_are_dependent_and_configs_are_not() -> None:
    """The joint resamples know that every fifth day is part of all days: correlation sqrt(1/5)."""
    found = statistics(pairs())
    drawn = np.corrcoef(found.simulated, rowvar=False)
    at = {key: found.at(key) for key in found.keys}
    assert drawn[at["a", "overall"], at["a", "regime:X"]] == pytest.approx(np.sqrt(0.2), abs=0.1)
    assert abs(drawn[at["a", "overall"], at["b", "overall"]]) < 0.1


def test_simultaneous_intervals_reach_further_than_single_ones() -> None:
    """Between the single and the Bonferroni bound of four columns."""
    assert 1.96 < statistics(pairs()).critical(0.05) < 2.7


def test_p_value_of_nothing_is_one_and_never_zero() -> None:
    found = statistics(pairs())
    assert found.corrected(0.0).value == 1.0
    assert found.corrected(1e9).value == pytest.approx(1 / 1_001)


def test_elimination_equals_the_confidence_set_of_the_same_draws() -> None:
    """Pinning the incumbent at zero changes no p-value: the set looks at differences only."""
    rng = np.random.default_rng(5)
    scores = rng.normal([0.0, 0.02, 0.05, -0.1], 1.0, (800, 4))
    draws = draw(800, 4.0, rng=np.random.default_rng(6), resamples=1_000)
    edge = scores - scores[:, [0]]
    mine = eliminated(edge.mean(axis=0), resampled_means(edge - edge.mean(axis=0), draws))
    twin = confidence_set_p_values(-scores, draws)
    assert [p.value for p in mine] == pytest.approx([p.value for p in twin])


def test_clearly_worse_config_leaves_the_confidence_set() -> None:
    noise = np.random.default_rng(7).normal(0.0, 1.0, (1_000, 3))
    assert [p.value > 0.05 for p in eliminated(np.array([0.0, 0.1, -9.0]), noise)] == [True, True, False]


def test_equal_configs_share_their_fate() -> None:
    noise = np.random.default_rng(8).normal(0.0, 1.0, (1_000, 2))
    both = eliminated(np.array([0.0, -9.0, -9.0]), np.column_stack([noise[:, 0], noise[:, 1], noise[:, 1]]))
    assert both[1] == both[2] and both[1].value < 0.05


def test_too_strong_dependence_is_inconclusive() -> None:
    walk = np.cumsum(np.random.default_rng(9).normal(0.0, 1.0, DAYS.size))
    assert isinstance(plan_draws([pair(walk, DAYS)], DAYS, 60, POLICY), Inconclusive)


def test_worlds_without_difference_are_rarely_told_apart() -> None:
    """Of 30 worlds in which a config equals the incumbent but for noise, hardly any has an interval without zero."""
    policy = ComparisonPolicy(resamples=1_000)
    false = 0
    for seed in range(30):
        rng = np.random.default_rng(1_000 + seed)
        base = rng.standard_t(5, (3, 800)) * 0.01
        held = {"incumbent": base[0], "x": 0.8 * base[0] + 0.6 * base[1], "y": 0.8 * base[0] + 0.6 * base[2]}
        found = compare(record(held), policy)
        false += any(cell.low is not None and (cell.low > 0.0 or (cell.high or 0.0) < 0.0) for cell in found.cells)
    assert false <= 5  # a true rate of 5 % exceeds this three times in a thousand
