"""Sharpe inference reproduces the papers' numbers and obeys the laws of a ratio."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from kronos.core.stats.matrix import Inconclusive, LossMatrix, Reason, ReturnMatrix
from kronos.core.stats.sharpe import (
    SharpeDifference,
    SharpeEvidence,
    deflated_sharpe,
    expected_maximum,
    hac_errors,
    minimum_backtest_years,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_difference,
    sharpe_error,
    sharpe_evidence,
    sharpe_influences,
)
from kronos.errors import BadValue

GOLDEN = Path(__file__).parents[2] / "golden"
PAPERS = json.loads((GOLDEN / "stats_bailey_lopez_de_prado.json").read_text())
HEDGE = json.loads((GOLDEN / "stats_ledoit_wolf_hedge.json").read_text())


def matrix(values: np.ndarray, horizon: int = 1) -> ReturnMatrix:
    names = tuple("abcdefgh"[: values.shape[1]])
    return ReturnMatrix(values, names, np.datetime64("2000-01-01") + np.arange(len(values)), horizon)


def noise(seed: int, n: int = 1000, k: int = 2, correlation: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common, own = rng.standard_t(5, (n, 1)), rng.standard_t(5, (n, k))
    return 0.0005 + 0.01 * (math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own)


def difference(values: np.ndarray, first: str = "a", second: str = "b", horizon: int = 1) -> SharpeDifference:
    found = sharpe_difference(matrix(values, horizon), first, second)
    assert isinstance(found, SharpeDifference)
    return found


def evidence(values: np.ndarray, **options: Any) -> SharpeEvidence:
    found = sharpe_evidence(matrix(values), "a", **{"dispersion": 0.01, **options})
    assert isinstance(found, SharpeEvidence)
    return found


@pytest.mark.parametrize("example", PAPERS["sharpe_error"])
def test_published_sharpe_errors(example: dict[str, Any]) -> None:
    found = sharpe_error(example["sharpe"], example["n"], example["skew"], example["kurtosis"])
    assert found == pytest.approx(example["expected"], abs=5.1e-5)


@pytest.mark.parametrize("example", PAPERS["probabilistic_sharpe"])
def test_published_probabilistic_sharpe_ratios(example: dict[str, Any]) -> None:
    arguments = [example[key] for key in ("sharpe", "benchmark", "n", "skew", "kurtosis")]
    assert probabilistic_sharpe(*arguments) == pytest.approx(example["expected"], abs=5.1e-4)


@pytest.mark.parametrize("example", PAPERS["minimum_track_record_years"])
def test_published_minimum_track_records(example: dict[str, Any]) -> None:
    root = math.sqrt(example["a_year"])
    found = minimum_track_record(
        example["annual_sharpe"] / root, example["annual_benchmark"] / root, example["skew"], example["kurtosis"]
    )
    digits = 10.0 ** -len(str(example["expected"]).partition(".")[2])
    assert found / example["a_year"] == pytest.approx(example["expected"], abs=0.51 * digits)


@pytest.mark.parametrize("example", PAPERS["deflated_sharpe"])
def test_published_deflated_sharpe_ratios(example: dict[str, Any]) -> None:
    sharpe, dispersion = example["annual_sharpe"] / 250**0.5, math.sqrt(example["annual_variance"] / 250)
    found = deflated_sharpe(sharpe, example["n"], example["n_trials"], dispersion, example["skew"], example["kurtosis"])
    assert found == pytest.approx(example["expected"], abs=5.1e-5)


def test_published_expected_maximum_and_minimum_backtest_length() -> None:
    assert expected_maximum(10) == pytest.approx(1.57, abs=5.1e-3)
    assert math.sqrt(0.5 / 250) * expected_maximum(100) == pytest.approx(0.1132, abs=5e-5)
    assert minimum_backtest_years(45) == pytest.approx(5.0, abs=0.01)


@pytest.mark.parametrize("n", [5, 20, 100, 1000])
def test_expected_maximum_agrees_with_its_integral(n: int) -> None:
    exact, _ = integrate.quad(lambda x: x * n * stats.norm.pdf(x) * stats.norm.cdf(x) ** (n - 1), -9, 9, limit=200)
    assert expected_maximum(n) == pytest.approx(exact, rel=0.03)


def test_expected_maximum_grows_from_zero() -> None:
    values = [expected_maximum(n) for n in (1.0, 1.05, 1.5, 2.0, 3.0, 50.0)]
    assert values[0] == 0.0
    assert values == sorted(values)


def test_probabilistic_sharpe_is_the_share_of_simulated_estimates_below() -> None:
    """Slow twin: 4,000 skewed records whose true ratio is the benchmark; how many show less than what was seen?"""
    rng = np.random.default_rng(3)
    records = 0.1 + (rng.gamma(4.0, 1.0, (4000, 500)) - 4.0) / 2.0
    estimates = records.mean(axis=1) / records.std(axis=1, ddof=1)
    for seen in (0.03, 0.1, 0.17):
        expected = float((estimates < seen).mean())
        assert probabilistic_sharpe(seen, 0.1, 500, 1.0, 4.5) == pytest.approx(expected, abs=0.025)


def test_minimum_track_record_is_the_first_length_that_reaches_the_confidence() -> None:
    lengths = range(2, 10_000)
    first = next(n for n in lengths if probabilistic_sharpe(0.08, 0.02, n, -0.5, 6.0) >= 0.95)
    found = minimum_track_record(0.08, 0.02, -0.5, 6.0)
    assert isinstance(found, float)
    assert math.ceil(found) == first


@pytest.mark.parametrize(("trials", "sharpe"), [(45, 1.0), (10, 0.5), (200, 2.0)])
def test_minimum_backtest_length_is_where_the_best_of_worthless_trials_shows_it(trials: int, sharpe: float) -> None:
    """Slow twin: the annual Sharpe ratio of y years without skill is normal with variance 1 / y."""
    years = minimum_backtest_years(trials, sharpe)
    best = np.random.default_rng(4).normal(0.0, years**-0.5, (20_000, trials)).max(axis=1)
    assert best.mean() == pytest.approx(sharpe, rel=0.03)


def ledoit_wolf_error(pair: np.ndarray, weights: np.ndarray) -> float:
    """Slow twin: gradient and 4 x 4 long-run covariance of means and second moments, as in the paper's section 3.1."""
    n = len(pair)
    mean, second = pair.mean(axis=0), (pair**2).mean(axis=0)
    variance = second - mean**2
    gradient = np.r_[(second * [1, -1]) / variance**1.5, -0.5 * (mean * [1, -1]) / variance**1.5]
    moments = np.column_stack([pair - mean, pair**2 - second])
    psi = moments.T @ moments / n
    for lag, weight in enumerate(weights, start=1):
        gamma = moments[lag:].T @ moments[: n - lag] / n
        psi += weight * (gamma + gamma.T)
    return math.sqrt(gradient @ psi @ gradient / n * n / (n - 4))


def parzen_weights(pair: np.ndarray) -> np.ndarray:
    """Parzen weights with Andrews' AR(1) bandwidth, what Ledoit and Wolf's published code uses."""
    moments = np.column_stack([pair - pair.mean(axis=0), pair**2 - (pair**2).mean(axis=0)])
    top = bottom = 0.0
    for series in moments.T:
        slope, level = np.polyfit(series[:-1], series[1:], 1)
        spread = (series[1:] - level - slope * series[:-1]).var()
        top += 4 * slope**2 * spread**2 / (1 - slope) ** 8
        bottom += spread**2 / (1 - slope) ** 4
    bandwidth = 2.6614 * (top / bottom * len(pair)) ** 0.2
    x = np.arange(1, math.ceil(bandwidth)) / bandwidth
    return np.where(x <= 0.5, 1 - 6 * x**2 + 6 * x**3, 2 * (1 - x) ** 3)


def test_the_slow_twin_reproduces_ledoit_and_wolfs_published_error() -> None:
    pair = np.array(HEDGE["returns"])
    assert ledoit_wolf_error(pair, parzen_weights(pair)) == pytest.approx(HEDGE["standard_error_hac"], abs=1e-7)


def test_the_difference_agrees_with_ledoit_and_wolfs_published_example() -> None:
    """The kernel differs (automatic Bartlett for Parzen), the estimate not; the errors lie within 5 %."""
    found = sharpe_difference(matrix(np.array(HEDGE["returns"])), "a", "b")
    assert isinstance(found, SharpeDifference)
    assert found.difference / math.sqrt(252) == pytest.approx(HEDGE["difference"], abs=1e-6)
    assert found.standard_error / math.sqrt(252) == pytest.approx(HEDGE["standard_error_hac"], rel=0.05)


@pytest.mark.parametrize("horizon", [2, 5])
def test_the_error_of_a_difference_equals_the_slow_twin(horizon: int) -> None:
    daily = noise(3, 1004)
    pair = np.array([daily[t : t + horizon].sum(axis=0) for t in range(1000)])
    found = difference(pair, horizon=horizon).standard_error / math.sqrt(252 / horizon)
    assert found == pytest.approx(ledoit_wolf_error(pair, np.ones(horizon - 1)), rel=1e-9)


def test_mertens_error_is_the_influences_standard_deviation() -> None:
    values = noise(4)
    found = evidence(values)
    influence = sharpe_influences(values)[:, 0]
    assert found.error_independent == pytest.approx(influence.std() / math.sqrt(999), rel=1e-3)


def test_the_error_used_is_the_larger_one_and_for_overlap_the_hac_one() -> None:
    found = evidence(noise(5))
    assert found.standard_error == max(found.error_independent, found.error_hac)
    overlapping = sharpe_evidence(matrix(noise(5), horizon=5), "a", dispersion=0.01)
    assert isinstance(overlapping, SharpeEvidence)
    assert overlapping.standard_error == overlapping.error_hac
    assert overlapping.annual_sharpe == pytest.approx(overlapping.sharpe * math.sqrt(252 / 5))


def test_overlap_is_paid_for() -> None:
    """An overlapping 10-day Sharpe ratio is no better known than the daily one it is made of."""
    daily = noise(6, 5009, 1)
    overlapping = np.array([daily[t : t + 10].sum(axis=0) for t in range(5000)])
    errors = [hac_errors(sharpe_influences(x), h)[0] for x, h in ((daily, 1), (overlapping, 10))]
    assert errors[1] / math.sqrt(10) == pytest.approx(errors[0], rel=0.15)


def test_evidence_does_not_change_with_leverage_and_mirrors_with_sign() -> None:
    values = noise(7)
    base, levered, reversed_ = evidence(values), evidence(3.0 * values), evidence(-values)
    assert levered.psr == pytest.approx(base.psr, rel=1e-12)
    assert levered.dsr == pytest.approx(base.dsr, rel=1e-12)
    assert reversed_.psr == pytest.approx(1.0 - base.psr, rel=1e-9)


def test_more_trials_and_more_dispersion_deflate_more() -> None:
    values = noise(8)
    probabilities = [evidence(values, n_trials=n).dsr for n in (1, 2, 10, 100)]
    assert probabilities == sorted(probabilities, reverse=True)
    assert evidence(values, n_trials=1).dsr == evidence(values).psr
    assert evidence(values, n_trials=10, dispersion=0.05).dsr < evidence(values, n_trials=10, dispersion=0.01).dsr


def test_a_difference_is_antisymmetric_and_scale_free() -> None:
    values = noise(9)
    forward, backward = difference(values), difference(values, "b", "a")
    levered = difference(values * [5.0, 0.5])
    assert backward.difference == -forward.difference
    assert backward.p_value == pytest.approx(1.0 - forward.p_value)
    assert levered.statistic == pytest.approx(forward.statistic, rel=1e-9)
    assert (forward.low, forward.high) == pytest.approx((-backward.high, -backward.low))


def test_a_difference_does_not_depend_on_the_other_columns() -> None:
    values = noise(10, k=4)
    assert difference(values[:, [0, 3, 1, 2]], "a", "c") == difference(values[:, [0, 2, 1, 3]], "a", "c")


def test_leverage_is_no_improvement() -> None:
    values = noise(11)
    values[:, 1] = 2.0 * values[:, 0]
    found = sharpe_difference(matrix(values), "b", "a")
    assert isinstance(found, Inconclusive)
    assert found.reason is Reason.SCALED_COPY


def test_a_cost_on_every_session_is_found_at_once() -> None:
    values = noise(12)
    values[:, 1] = values[:, 0] - 0.0002
    found = difference(values, "b", "a")
    assert found.p_value > 0.999
    assert found.high < 0.0


def test_losses_are_refused() -> None:
    losses = LossMatrix(noise(13), ("a", "b"), np.datetime64("2000-01-01") + np.arange(1000))
    with pytest.raises(BadValue, match="higher is better"):
        sharpe_difference(losses, "a", "b")  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="higher is better"):
        sharpe_evidence(losses, "a", dispersion=0.01)  # type: ignore[arg-type]


def test_too_little_independent_evidence_is_inconclusive() -> None:
    found = sharpe_difference(matrix(noise(14, 399), horizon=20), "a", "b")
    assert isinstance(found, Inconclusive)
    assert found.reason is Reason.TOO_FEW_BLOCKS


def test_no_track_record_is_long_enough_without_an_edge() -> None:
    found = minimum_track_record(0.05, 0.05)
    assert isinstance(found, Inconclusive)
    assert found.reason is Reason.NO_POSITIVE_EDGE


@pytest.mark.parametrize("bad", [(0.1, 1, 0.0, 3.0), (math.nan, 100, 0.0, 3.0), (0.1, 100, 2.0, 3.0)])
def test_impossible_moments_are_refused(bad: tuple[float, int, float, float]) -> None:
    with pytest.raises(BadValue):
        sharpe_error(*bad)


@pytest.mark.parametrize(("trials", "dispersion"), [(0.5, 0.1), (math.nan, 0.1), (10, 0.0), (10, math.nan)])
def test_deflation_without_trials_or_dispersion_is_refused(trials: float, dispersion: float) -> None:
    with pytest.raises(BadValue):
        deflated_sharpe(0.1, 1000, trials, dispersion)


def test_equal_sharpe_ratios_are_told_apart_no_more_often_than_promised() -> None:
    """400 worlds of equal truth, t5 tails, unequal volatility, overlap of 5: 5 % within three standard errors."""
    hits = 0
    for seed in range(400):
        daily = noise(1000 + seed, 1004) * [1.0, 2.0]
        pair = np.lib.stride_tricks.sliding_window_view(daily, 5, axis=0).sum(axis=-1)
        hits += difference(pair, horizon=5).p_value < 0.05
    assert hits / 400 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
