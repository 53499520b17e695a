"""Intervals cover the truth about 95 times in 100, and agree with other packages where those exist."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from arch.covariance.kernel import Bartlett
from scipy import stats

from kronos.core.metrics.hac import (
    autocovariances,
    automatic_bartlett,
    bartlett,
    dense,
    long_run_sums,
    long_run_sums_of,
)
from kronos.core.metrics.intervals import series_intervals, slice_ratio_intervals
from kronos.core.metrics.metric import Basis, Numbers, SeriesMetric
from kronos.core.metrics.registry import RATIOS, metric
from kronos.core.metrics.returns import _binomial_quantile, wilson
from kronos.core.vocabulary import Undefined

DAILY = Numbers(252.0, 0.0, 1)
MEAN, SPREAD = 4e-4, 0.01


def interval(metric_id: str, r: np.ndarray, basis: Numbers = DAILY) -> tuple[float, float]:
    found = metric(metric_id)
    assert isinstance(found, SeriesMetric)
    value = pl.DataFrame({"r": r}).select(found.expression(pl.col("r"), Basis(basis.factor, 0.0, basis.horizon))).item()
    bounds = series_intervals([found], {metric_id: value}, r, np.arange(r.size), basis)[metric_id]
    assert not isinstance(bounds, Undefined)
    assert bounds[0] <= value <= bounds[1]
    return bounds


def covered(metric_id: str, truth: float, draw: Callable[[np.random.Generator], np.ndarray], runs: int = 400) -> float:
    rng = np.random.default_rng(20)
    hits = 0
    for _ in range(runs):
        low, high = interval(metric_id, draw(rng))
        hits += low <= truth <= high
    return hits / runs


def normal(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(MEAN, SPREAD, 500)


def _log_growth() -> float:
    """E log(1 + g) of normal returns, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    return float((weights * np.log1p(MEAN + SPREAD * nodes)).sum() / weights.sum())


def _sortino() -> float:
    nodes = np.linspace(-12, 0, 400_001)
    z = MEAN / SPREAD
    downside = np.trapezoid(nodes**2 * stats.norm.pdf(nodes, z), nodes)
    return z / math.sqrt(downside) * math.sqrt(252)


TRUTHS = {
    "avg_return": MEAN,
    "contribution": 500 * MEAN,
    "volatility": SPREAD * math.sqrt(252),
    "sharpe": MEAN / SPREAD * math.sqrt(252),
    "sortino": _sortino(),
    "cagr": math.exp(252 * _log_growth()) - 1,
    "var_5": MEAN + SPREAD * stats.norm.ppf(0.05),
    "cvar_5": MEAN - SPREAD * stats.norm.pdf(stats.norm.ppf(0.05)) / 0.05,
    "hit_rate_day": stats.norm.cdf(MEAN / SPREAD),
}


@pytest.mark.parametrize("metric_id", TRUTHS)
def test_covers_the_truth_of_independent_returns(metric_id: str) -> None:
    """Binomial error of 400 runs at 95 % is 1.1 %; tails are a little short at n = 500, as documented in the papers."""
    assert 0.91 <= covered(metric_id, TRUTHS[metric_id], normal) <= 0.985


@pytest.mark.parametrize("metric_id", ["avg_return", "sharpe"])
def test_covers_the_truth_of_autocorrelated_returns(metric_id: str) -> None:
    """AR(1) with 0.3: the naive interval would cover about 84 %."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        shocks = rng.normal(0, SPREAD * math.sqrt(1 - 0.09), 1100)
        r = np.zeros(1100)
        for i in range(1, 1100):
            r[i] = 0.3 * r[i - 1] + shocks[i]
        return MEAN + r[100:]

    assert 0.90 <= covered(metric_id, TRUTHS[metric_id], draw, 300) <= 0.985


def test_covers_the_mean_of_overlapping_returns() -> None:
    """21-session returns on every session: the rectangular kernel with lag 20."""
    rng = np.random.default_rng(5)
    basis = Numbers(252 / 21, 0.0, 21)
    hits = 0
    for _ in range(300):
        daily = rng.normal(MEAN, SPREAD, 2020)
        overlapping = np.convolve(daily, np.ones(21), "valid")
        low, high = interval("avg_return", overlapping, basis)
        hits += low <= 21 * MEAN <= high
    assert 0.90 <= hits / 300 <= 0.985


def test_clustered_rates_cover_when_a_day_moves_together() -> None:
    """Ten decisions a day that all hit or all miss: one observation, not ten."""
    rng = np.random.default_rng(6)
    hit_rate = next(ratio for ratio in RATIOS if ratio.id == "hit_rate_decision")
    hits = 0
    for _ in range(400):
        won = rng.random(300) < 0.55
        values, hit, eligible = won.mean(keepdims=True), 10.0 * won[None, :], np.full((1, 300), 10.0)
        ((low, high),) = slice_ratio_intervals(hit_rate, values, hit, eligible, 1)
        hits += low <= 0.55 <= high
    assert 0.92 <= hits / 400 <= 0.98


def test_rectangular_sum_equals_statsmodels() -> None:
    """statsmodels' HAC with uniform weights and lag h-1, without its small-sample factor."""
    r = np.random.default_rng(8).normal(0, 1, 400)
    r = np.convolve(r, np.ones(5), "valid")
    fit = sm.OLS(r, np.ones(r.size)).fit(
        cov_type="HAC", cov_kwds={"maxlags": 4, "kernel": "uniform", "use_correction": False}
    )
    ours = math.sqrt(long_run_sums((r - r.mean())[None, :], 5)[0]) / r.size
    assert ours == pytest.approx(fit.bse[0], rel=1e-10)


def test_bartlett_sum_equals_statsmodels() -> None:
    r = np.random.default_rng(9).normal(0, 1, 300)
    fit = sm.OLS(r, np.ones(r.size)).fit(cov_type="HAC", cov_kwds={"maxlags": 7, "use_correction": False})
    gammas = autocovariances((r - r.mean())[None, :], 7)
    assert math.sqrt(bartlett(gammas, 7)[0]) / r.size == pytest.approx(fit.bse[0], rel=1e-10)


def test_automatic_lag_is_close_to_archs() -> None:
    """arch rounds Newey & West's lag differently; the variances stay within a few per cent."""
    rng = np.random.default_rng(10)
    noise = rng.normal(0, 1, 1000)
    r = noise[1:] + 0.5 * noise[:-1]
    ours = automatic_bartlett((r - r.mean())[None, :])[0] / r.size
    theirs = float(np.squeeze(Bartlett(r, center=True).cov.long_run))
    assert ours == pytest.approx(theirs, rel=0.05)


def test_negative_rectangular_sums_fall_back_to_bartlett() -> None:
    alternating = np.tile([1.0, -1.0], 100)[None, :]
    assert long_run_sums(alternating, 2)[0] > 0.0


def test_as_many_dates_as_sessions_of_overlap_do_not_sum_to_rounding_noise() -> None:
    """The rectangular sum is then the square of a sum of influences: zero, on either side of rounding."""
    psi = np.random.default_rng(2).normal(0, 1, (50, 19))
    psi -= psi.mean(axis=1, keepdims=True)
    assert (long_run_sums(psi, 21) > 1e-3).all()


def test_a_row_is_the_same_alone_and_among_others() -> None:
    """To the last bit, whatever its length and theirs."""
    rng = np.random.default_rng(3)
    blocks = [rng.normal(0, 1, (rows, length)) for rows, length in zip([1, 3, 2, 5], [400, 21, 250, 37], strict=True)]
    for horizon in (1, 5):
        together = np.concatenate(long_run_sums_of(blocks, horizon))
        alone = [long_run_sums(row[None, :], horizon)[0] for block in blocks for row in block]
        assert together.tolist() == alone


def test_gaps_keep_calendar_lags() -> None:
    """Two observations ten sessions apart do not count as neighbours."""
    laid = dense(np.array([[1.0, 2.0, 3.0]]), np.array([5, 6, 15]))
    assert laid.shape == (1, 11)
    assert autocovariances(laid, 2)[1][0] == 2.0


@pytest.mark.parametrize("trials", [20, 100, 2500])
@pytest.mark.parametrize("probability", [0.025, 0.5, 0.975])
def test_binomial_ranks_equal_scipy(trials: int, probability: float) -> None:
    assert _binomial_quantile(probability, trials) == stats.binom.ppf(probability, trials, 0.05)


@pytest.mark.parametrize(("won", "played"), [(0, 10), (3, 10), (10, 10), (520, 1000)])
def test_wilson_equals_scipy(won: int, played: int) -> None:
    expected = stats.binomtest(won, played).proportion_ci(method="wilson")
    assert wilson(won / played, played) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_constant_returns_have_no_interval_but_a_reason() -> None:
    found = metric("avg_return")
    assert isinstance(found, SeriesMetric)
    r = np.full(100, 0.01)
    assert series_intervals([found], {"avg_return": 0.01}, r, np.arange(100), DAILY) == {
        "avg_return": Undefined.ZERO_VARIANCE
    }
