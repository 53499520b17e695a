"""The stationary bootstrap: its law, a literal twin, and agreement with arch on the same draws."""

from __future__ import annotations

import arch.bootstrap
import numpy as np
import pytest
from scipy.signal import lfilter

from kronos.core.stats.bootstrap import (
    RESAMPLES_PER_CHUNK,
    GivenDraws,
    draw,
    drawing,
    optimal_block_length,
    planned_draws,
    resampled_means,
    resampled_sharpes,
    shared_block_length,
    stationary_variance,
    studentised_means,
)
from kronos.core.stats.matrix import Inconclusive, Reason
from kronos.errors import BadValue

N = 120
SERIES = np.random.default_rng(1).standard_normal((N, 3)) * (0.01, 0.02, 0.005) + 0.001
LENGTHS = [1.0, 1.5, 4.0, 30.0, float(N)]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def literal_draws(seed: int, resamples: int, n: int, block_length: float) -> np.ndarray:
    """Politis and Romano word by word: each date follows the one before it, or is drawn afresh with probability 1/b."""
    generator, indices = rng(seed), np.empty((resamples, n), dtype=int)
    for path in indices:
        for i in range(n):
            fresh = i == 0 or generator.random() < 1.0 / block_length
            path[i] = generator.integers(n) if fresh else (path[i - 1] + 1) % n
    return indices


def counts_of(indices: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(path, minlength=indices.shape[1]) for path in indices]).astype(float)


def autoregressive(coefficients: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    return np.column_stack([lfilter([1.0], [1.0, -a], rng(seed).standard_normal(n)) for a in coefficients])


@pytest.mark.parametrize("length", LENGTHS)
def test_counts_and_paths_are_the_same_resamples(length: float) -> None:
    draws = draw(N, length, rng=rng(), resamples=RESAMPLES_PER_CHUNK + 7)
    counts, paths = (np.concatenate(list(parts)) for parts in (draws.chunks(), draws.paths()))
    np.testing.assert_array_equal(counts, counts_of(paths))


@pytest.mark.parametrize("length", LENGTHS)
def test_every_resample_has_n_dates(length: float) -> None:
    counts = np.concatenate(list(draw(N, length, rng=rng(), resamples=600).chunks()))
    assert counts.shape == (600, N)
    assert (counts.sum(axis=1) == N).all()
    assert counts.min() >= 0


def test_draws_are_a_value_and_repeat() -> None:
    draws = draw(N, 5.0, rng=rng(), resamples=50)
    again = draw(N, 5.0, rng=rng(), resamples=50)
    first, second, third = (next(iter(d.chunks())) for d in (draws, draws, again))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)


@pytest.mark.parametrize("length", [1.5, 4.0, 30.0])
def test_blocks_have_the_expected_length_and_dates_are_uniform(length: float) -> None:
    paths = np.concatenate(list(draw(N, length, rng=rng(), resamples=2000).paths()))
    steps = np.diff(paths, axis=1) % N
    assert (steps != 1).mean() == pytest.approx((1 - 1 / N) / length, rel=0.05)
    assert np.bincount(paths.ravel(), minlength=N) == pytest.approx(np.full(N, 2000.0), rel=0.25)


def test_variance_of_the_mean_is_that_of_the_lemma_and_of_the_literal_twin() -> None:
    series = autoregressive(np.array([0.6]), N)
    exact = stationary_variance(series, 6.0)[0]
    ours = resampled_means(series, draw(N, 6.0, rng=rng(), resamples=6000))[:, 0].var() * N
    twin = series[literal_draws(5, 2000, N, 6.0), 0].mean(axis=1).var() * N
    assert ours == pytest.approx(exact, rel=0.06)
    assert twin == pytest.approx(exact, rel=0.1)


def test_stationary_variance_equals_the_double_sum() -> None:
    n, p, x = N, 1 / 7.0, SERIES - SERIES.mean(axis=0)
    total = (x**2).sum(axis=0) / n
    for lag in range(1, n):
        weight = (1 - lag / n) * (1 - p) ** lag + lag / n * (1 - p) ** (n - lag)
        total = total + 2 * weight * (x[lag:] * x[:-lag]).sum(axis=0) / n
    assert stationary_variance(SERIES, 7.0) == pytest.approx(total, rel=1e-10)


def test_means_equal_arch_on_its_own_draws() -> None:
    bootstrap = arch.bootstrap.StationaryBootstrap(6, SERIES, seed=3)
    expected = bootstrap.apply(lambda x: x.mean(axis=0), 200)
    positions = arch.bootstrap.StationaryBootstrap(6, np.arange(N), seed=3)
    paths = np.stack([data[0][0] for data in positions.bootstrap(200)])
    ours = resampled_means(SERIES, GivenDraws(counts_of(paths), 6.0))
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-17)


def test_sharpe_ratios_equal_those_of_the_paths() -> None:
    draws = draw(N, 4.0, rng=rng(), resamples=40)
    paths = SERIES[np.concatenate(list(draws.paths()))]
    expected = paths.mean(axis=1) / paths.std(axis=1, ddof=1)
    np.testing.assert_allclose(resampled_sharpes(SERIES, draws), expected, atol=1e-6)


def test_studentised_means_equal_those_of_the_paths() -> None:
    centred = SERIES - SERIES.mean(axis=0)
    draws = draw(N, 4.0, rng=rng(), resamples=40)
    paths = centred[np.concatenate(list(draws.paths()))]
    ratio = stationary_variance(SERIES, 4.0) / centred.var(axis=0)
    expected = paths.mean(axis=1) / np.sqrt(paths.var(axis=1) * ratio / N)
    np.testing.assert_allclose(studentised_means(centred, draws), expected, atol=1e-5)


@pytest.mark.parametrize("n", [60, 250, 1000])
def test_block_lengths_equal_arch(n: int) -> None:
    series = autoregressive(np.linspace(-0.9, 0.98, 25), n)
    expected = arch.bootstrap.optimal_block_length(series)["stationary"].to_numpy()
    np.testing.assert_allclose(optimal_block_length(series), expected, rtol=1e-9)


def test_block_length_ignores_scale_and_rises_with_dependence() -> None:
    series = autoregressive(np.array([0.1, 0.5, 0.9]), 2000)
    lengths = optimal_block_length(series)
    assert optimal_block_length(series * 1000.0 + 5.0) == pytest.approx(lengths)
    assert lengths[0] < lengths[1] < lengths[2]


def test_shared_block_length_covers_the_overlap() -> None:
    assert shared_block_length(SERIES, horizon=1) >= 1.0
    assert shared_block_length(SERIES, horizon=5) >= 10.0


def test_strong_dependence_in_a_short_sample_has_too_few_blocks() -> None:
    result = planned_draws(autoregressive(np.array([0.99]), 80), 1, drawing(rng(), 100))
    assert isinstance(result, Inconclusive)
    assert result.reason is Reason.TOO_FEW_BLOCKS


@pytest.mark.parametrize(("n", "length", "resamples"), [(0, 1.0, 1), (10, 0.5, 1), (10, 11.0, 1), (10, 2.0, 0)])
def test_impossible_plans_are_refused(n: int, length: float, resamples: int) -> None:
    with pytest.raises(BadValue):
        draw(n, length, rng=rng(), resamples=resamples)
