"""Standard errors of means: a slow twin, persistence that kernels miss, and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kronos.core.stats.bootstrap import stationary_variance
from kronos.core.stats.long_run import FITTED_LAGS, PERSISTENCE_DOUBT, standard_errors
from kronos.core.stats.matrix import LossMatrix
from kronos.core.stats.paired import ImprovementTest, mean_improvement
from kronos_tests.proofs import persistence_size
from kronos_tests.proofs.persistence_size import World, simulate


def persistent(n: int = 1500, rho: float = 0.98, columns: int = 3, noise: float = 0.0, seed: int = 1) -> np.ndarray:
    values = simulate(World(n, rho, noise), columns, np.random.default_rng(seed))
    return values - values.mean(axis=0)


def twin(series: np.ndarray, horizon: int) -> float:
    """The geometric completion one lag at a time, for a series that is clearly persistent."""
    n, total = len(series), 0.0
    held = [sum(a * b for a, b in zip(series[lag:], series, strict=False)) / n for lag in range(horizon + 21)]
    assert sum(held[horizon : horizon + 20]) > PERSISTENCE_DOUBT * held[0] * horizon * math.sqrt(20 / n)
    for _ in range(3):
        gamma = [value + total / n for value in held]
        tail = sum(gamma[horizon : horizon + 20])
        rho = min(sum(gamma[horizon + 1 : horizon + 21]) / tail, 1 - 1 / math.sqrt(n))
        total = gamma[0] + 2 * sum(gamma[1:horizon]) + 2 * tail / (1 - rho**20)
    return math.sqrt(total / (n - 4))


@pytest.mark.parametrize("horizon", [1, 5])
def test_persistence_equals_the_slow_twin(horizon: int) -> None:
    series = persistent()
    assert FITTED_LAGS == 20
    assert standard_errors(series, horizon) == pytest.approx([twin(x, horizon) for x in series.T], rel=1e-9)


@pytest.mark.parametrize("noise", [0.0, 1.0, 9.0])
def test_the_error_of_a_persistent_mean_is_its_true_one(noise: float) -> None:
    """The long-run variance of an AR(1) of unit variance is (1 + rho) / (1 - rho), noise or not."""
    n, rho = 7000, 0.98
    expected = math.sqrt(((1 + rho) / (1 - rho) + noise) / n)
    found = standard_errors(persistent(n, rho, 200, noise), 1)
    assert np.sqrt((found**2).mean()) == pytest.approx(expected, rel=0.06)


def test_independent_dates_are_not_taken_for_persistent_ones() -> None:
    series = persistent(2500, 0.0, 400)
    assert standard_errors(series, 1) == pytest.approx(series.std(axis=0) / 50, rel=0.1)


def test_overlapping_returns_are_not_taken_for_persistent_ones() -> None:
    steps = np.cumsum(np.random.default_rng(2).standard_normal((5021, 200)), axis=0)
    overlapping = steps[21:] - steps[:-21]
    found = standard_errors(overlapping - overlapping.mean(axis=0), 21)
    assert np.sqrt((found**2).mean()) == pytest.approx(21 / math.sqrt(5000), rel=0.05)


@pytest.mark.filterwarnings("error")
def test_a_column_that_never_varies_has_no_error() -> None:
    steady, varying = np.zeros(500), np.random.default_rng(1).standard_normal(500)
    found = standard_errors(np.column_stack([steady, varying - varying.mean()]), 1)
    assert found[0] == 0.0 < found[1]


def test_errors_scale_and_do_not_depend_on_sign_or_other_columns() -> None:
    series = persistent()
    assert standard_errors(-3.0 * series, 1) == pytest.approx(3.0 * standard_errors(series, 1), rel=1e-12)
    assert standard_errors(series[:, [2]], 1) == pytest.approx(standard_errors(series, 1)[[2]], rel=1e-12)


def test_a_mean_difference_has_the_larger_of_two_errors() -> None:
    """Losses in blocks of one level: what the bootstrap sees beyond the fitted lags counts."""
    losses = np.column_stack([np.zeros(2500), persistent(2500, 0.9, 1)[:, 0]]) + 0.01 * persistent(2500, 0.0, 2)
    matrix = LossMatrix(losses, ("old", "new"), np.datetime64("2010-01-01") + np.arange(2500))
    found = mean_improvement(matrix, "old", rng=np.random.default_rng(1), resamples=200)
    assert isinstance(found, ImprovementTest)
    edge = (losses[:, [0]] - losses[:, [1]]) - (losses[:, 0] - losses[:, 1]).mean()
    errors = standard_errors(edge, 1)[0], math.sqrt(stationary_variance(edge, found.block_length)[0] / 2500)
    assert found.best.standard_error == pytest.approx(max(errors), rel=1e-12)


@pytest.mark.proof
@pytest.mark.parametrize("case", ["ar-0.9-2500-sessions", "ar-0.98-7000-sessions", "ar-0.98-7000-sessions-noisy"])
def test_persistent_nulls_are_rejected_as_often_as_promised(case: str) -> None:
    rate = persistence_size.run(case, series=500)["rate"]
    assert isinstance(rate, float)
    assert rate <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 500)
