"""The improvement test: a twin that re-estimates everything per resample, laws, and a sample of the long proofs."""

from __future__ import annotations

import numpy as np
import pytest

from kronos.core.stats.bootstrap import GivenDraws, draw, stationary_variance
from kronos.core.stats.long_run import standard_errors
from kronos.core.stats.matrix import Inconclusive, LossMatrix, Reason, ReturnMatrix, return_matrix
from kronos.core.stats.paired import (
    DifferenceInterval,
    Improvement,
    ImprovementTest,
    Measure,
    Plan,
    drawdown_difference,
    mean_improvement,
    planned_improvement,
    sharpe_improvement,
    with_unseen,
)
from kronos.core.stats.selection import p_value
from kronos.core.stats.sharpe import sharpe_difference
from kronos.errors import BadValue
from kronos_tests.proofs import improvement_power, improvement_size

N = 400
RESAMPLES = 1000
NAMES = ("old", "a", "b", "c")
DATES = np.datetime64("2020-01-01") + np.arange(N)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(seed: int = 0) -> np.ndarray:
    values = rng(seed).standard_t(5, (N, 4)) * 0.01 + 0.0005
    values[:, 1:] = 0.6 * values[:, :1] + 0.8 * values[:, 1:]
    return values


def planted(edge: float = 0.004) -> np.ndarray:
    values = noise()
    values[:, 2] += edge
    return values


def returns(values: np.ndarray, names: tuple[str, ...] = NAMES, horizon: int = 1) -> ReturnMatrix:
    return ReturnMatrix(values, names, DATES[: len(values)], horizon)


def improved(values: np.ndarray, names: tuple[str, ...] = NAMES, **options: int) -> ImprovementTest:
    result = sharpe_improvement(returns(values, names), "old", rng=rng(), resamples=RESAMPLES, **options)
    assert isinstance(result, ImprovementTest)
    return result


def refused(result: object) -> Reason:
    assert isinstance(result, Inconclusive)
    return result.reason


def test_the_planted_config_is_the_one_accepted() -> None:
    result = improved(planted())
    assert result.accepted(0.01) == "b"
    assert result.best.low > 0.0
    assert result.best.low < result.best.lower_bound < result.best.difference < result.best.high


def test_nothing_is_accepted_among_equals_or_when_all_are_worse() -> None:
    worse = noise()
    worse[:, 1:] -= 0.002
    assert improved(noise()).accepted(0.05) is None
    assert improved(worse).best.p_value.value > 0.5


def test_a_reversed_sign_cannot_pass() -> None:
    assert improved(planted(0.01)).accepted(0.01) == "b"
    assert improved(-planted(0.01)).accepted(0.05) is None


def test_numbers_agree_with_the_single_comparison() -> None:
    single = sharpe_difference(returns(planted()), "b", "old")
    ours = improved(planted()).of("b")
    assert not isinstance(single, Inconclusive)
    assert ours.difference == pytest.approx(single.difference)
    assert ours.standard_error == pytest.approx(single.standard_error, rel=0.2)


def test_agrees_with_a_twin_that_re_estimates_every_resample() -> None:
    """Ledoit and Wolf's bootstrap word by word: ratios, influences and errors anew from each resampled path."""
    values, draws = noise(3), draw(N, 3.0, rng=rng(), resamples=RESAMPLES)
    values[:, 2] += 0.0012

    def contrast(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores, ratio = (x - x.mean(axis=0)) / x.std(axis=0), x.mean(axis=0) / x.std(axis=0)
        influence = scores - ratio / 2 * (scores**2 - 1)
        return ratio[1:] - ratio[0], influence[:, 1:] - influence[:, :1]

    seen, influence = contrast(values)
    ratio = stationary_variance(influence, 3.0) / influence.var(axis=0)
    largest = []
    for path in np.concatenate(list(draws.paths())):
        difference, star = contrast(values[path])
        largest.append(((difference - seen) / np.sqrt(star.var(axis=0) * ratio / N)).max())
    ours = planned_improvement(returns(values), "old", Measure.SHARPE, Plan(lambda *_: draws))
    assert isinstance(ours, ImprovementTest)
    expected = (1 + np.sum(np.array(largest) >= ours.best.statistic)) / (1 + RESAMPLES)
    assert ours.best.p_value.value == pytest.approx(expected, abs=0.02)


def test_leverage_buys_nothing() -> None:
    levered = planted() * np.array([1.0, 3.0, 0.5, 2.0])
    for before, after in zip(improved(planted()).candidates, improved(levered).candidates, strict=True):
        assert after.statistic == pytest.approx(before.statistic)
        assert after.p_value == before.p_value


def test_a_levered_copy_has_no_statistic_and_harms_nobody() -> None:
    values = planted()
    values[:, 1] = 2.0 * values[:, 0]
    result = improved(values)
    assert result.of("a").reason is Reason.ZERO_VARIANCE_DIFFERENCE
    assert result.of("a").p_value.value == 1.0
    assert result.accepted(0.01) == "b"


def test_only_copies_are_inconclusive() -> None:
    values = noise()[:, :1] * np.array([1.0, 2.0, 3.0, 0.5])
    assert refused(sharpe_improvement(returns(values), "old", rng=rng())) is Reason.ZERO_VARIANCE_DIFFERENCE


def test_a_cost_on_every_date_is_rejected_for_certain() -> None:
    values = noise()
    values[:, 1] = values[:, 0] - 0.001
    worse = improved(values).of("a")
    assert worse.difference < 0.0
    assert worse.high < 0.0
    assert worse.p_value.value > 0.99


def test_order_of_candidates_and_dates_shifted_change_nothing() -> None:
    order = np.array([2, 0, 3, 1])
    moved = improved(planted()[:, order], tuple(NAMES[i] for i in order))
    for name in NAMES[1:]:
        assert moved.of(name).p_value == improved(planted()).of(name).p_value
    shifted = ReturnMatrix(planted(), NAMES, DATES + 365)
    assert sharpe_improvement(shifted, "old", rng=rng(), resamples=RESAMPLES) == improved(planted())


def test_a_near_copy_of_a_candidate_costs_next_to_nothing() -> None:
    values = np.column_stack([planted(0.0009), planted(0.0009)[:, 2] + 1e-6 * rng(9).standard_normal(N)])
    alone, twice = improved(planted(0.0009)).of("b"), improved(values, (*NAMES, "b2")).of("b")
    assert twice.p_value.value == pytest.approx(alone.p_value.value, abs=0.005)


def test_more_candidates_make_the_same_evidence_weaker() -> None:
    extra = np.column_stack([planted(0.0009), noise(5)[:, 1:], noise(6)[:, 1:]])
    names = (*NAMES, *"defghi")
    assert improved(extra, names).of("b").p_value.value > improved(planted(0.0009)).of("b").p_value.value


def test_trials_without_a_series_count() -> None:
    few, many = (improved(planted(0.003), n_trials=n).best.p_value.value for n in (3, 300))
    assert few == improved(planted(0.003)).best.p_value.value
    assert many > few
    with pytest.raises(BadValue):
        improved(planted(), n_trials=2)


def test_unseen_trials_enter_by_sidak() -> None:
    simulated = rng().standard_normal((200_000, 1))
    found = with_unseen([p_value(0, 200_000)], np.array([3.0]), simulated, 50)[0]
    assert found.value == pytest.approx(1 - (1 - 0.00135) ** 50, rel=0.1)


def test_not_a_number_and_losses_are_refused() -> None:
    broken = planted()
    broken[-1, 2] = np.nan
    assert refused(return_matrix(broken, NAMES, DATES)) is Reason.NOT_FINITE
    with pytest.raises(BadValue):
        sharpe_improvement(LossMatrix(planted(), NAMES, DATES), "old", rng=rng())  # type: ignore[arg-type]


def test_a_lone_incumbent_and_too_few_blocks_are_inconclusive() -> None:
    alone = sharpe_improvement(returns(noise()[:, :1], ("old",)), "old", rng=rng())
    overlapping = sharpe_improvement(returns(noise(), horizon=21), "old", rng=rng())
    assert refused(alone) is Reason.NO_CANDIDATES
    assert refused(overlapping) is Reason.TOO_FEW_BLOCKS


def test_smaller_losses_are_an_improvement_and_its_unit_is_the_loss() -> None:
    losses = 0.25 + noise()
    losses[:, 2] -= 0.004
    result = mean_improvement(LossMatrix(losses, NAMES, DATES), "old", rng=rng(), resamples=RESAMPLES)
    assert isinstance(result, ImprovementTest)
    assert result.accepted(0.01) == "b"
    assert result.best.difference == pytest.approx((losses[:, 0] - losses[:, 2]).mean())


def test_mean_returns_are_annual() -> None:
    result = mean_improvement(returns(planted()), "old", rng=rng(), resamples=RESAMPLES)
    assert isinstance(result, ImprovementTest)
    assert result.best.difference == pytest.approx(252 * (planted()[:, 2] - planted()[:, 0]).mean())


def test_mean_bounds_cover_the_truth_as_often_as_promised() -> None:
    covered = 0
    for seed in range(120):
        result = mean_improvement(returns(noise(seed)), "old", rng=rng(seed), resamples=400)
        assert isinstance(result, ImprovementTest)
        covered += all(row.low <= 252 * (0.0005 * 1.4 - 0.0005) <= row.high for row in result.candidates)
    assert 0.9 <= covered / 120 <= 0.99


def test_drawdown_difference_equals_a_literal_loop() -> None:
    result = drawdown_difference(returns(planted()), "b", "old", rng=rng(), resamples=RESAMPLES)
    assert isinstance(result, DifferenceInterval)

    def worst(series: np.ndarray) -> float:
        wealth, peak, found = 1.0, 1.0, 0.0
        for value in series:
            wealth *= 1 + value
            peak = max(peak, wealth)
            found = min(found, wealth / peak - 1)
        return found

    draws = draw(N, result.block_length, rng=rng(), resamples=RESAMPLES)
    paths = np.concatenate(list(draws.paths()))[:, None]
    pairs = [[worst(planted()[path[0], c]) for c in (2, 0)] for path in paths[:300]]
    assert result.difference == pytest.approx(worst(planted()[:, 2]) - worst(planted()[:, 0]))
    gaps = np.subtract(*np.array(pairs).T)
    assert np.quantile(gaps, 0.5) > 0.0
    assert result.low <= np.quantile(gaps, 0.1) < np.quantile(gaps, 0.9) <= result.high


def test_ruin_is_a_full_drawdown() -> None:
    values = noise()
    values[200, 2] = -1.5
    result = drawdown_difference(returns(values), "b", "old", rng=rng(), resamples=10)
    assert isinstance(result, DifferenceInterval)
    assert result.difference < -0.5


def test_standard_errors_of_independent_dates_are_the_plain_ones() -> None:
    series = rng().standard_normal((5000, 4))
    series -= series.mean(axis=0)
    assert standard_errors(series, 1) == pytest.approx(series.std(axis=0) / 5000**0.5, rel=0.03)


def test_standard_errors_see_autocorrelation_and_overlap() -> None:
    steps = rng().standard_normal((20_000, 1))
    smooth = np.cumsum(steps, axis=0)[5:] - np.cumsum(steps, axis=0)[:-5]
    smooth -= smooth.mean(axis=0)
    assert standard_errors(smooth, 5)[0] == pytest.approx(5 / len(smooth) ** 0.5, rel=0.1)
    assert standard_errors(smooth, 1)[0] == pytest.approx(5 / len(smooth) ** 0.5, rel=0.15)


def test_clustered_volatility_widens_the_error_and_constant_volatility_does_not() -> None:
    shocks = rng().standard_normal((2000, 1))
    clustered = shocks**2 - 1 + 2 * np.sin(np.arange(2000) / 60)[:, None]
    location, plain = shocks - shocks.mean(), standard_errors(shocks - shocks.mean(), 1)
    for series, grows in ((shocks**2 - 1, False), (clustered, True)):
        part = 0.1 * (series - series.mean(axis=0))
        assert (standard_errors(location, 1, part) > 1.2 * plain).all() == grows


def test_the_same_seed_gives_the_same_test_byte_for_byte() -> None:
    assert repr(improved(planted())) == repr(improved(planted()))


def test_given_draws_decide_like_planned_ones() -> None:
    def dense(n: int, length: float) -> GivenDraws:
        return GivenDraws(np.concatenate(list(draw(n, length, rng=rng(), resamples=RESAMPLES).chunks())), length)

    shared = planned_improvement(returns(planted()), "old", Measure.SHARPE, Plan(dense))
    assert isinstance(shared, ImprovementTest)
    assert [row.p_value for row in shared.candidates] == [row.p_value for row in improved(planted()).candidates]


def test_an_unknown_candidate_is_refused() -> None:
    assert isinstance(improved(planted()).of("b"), Improvement)
    with pytest.raises(BadValue):
        improved(planted()).of("nobody")


@pytest.mark.proof
def test_sample_of_the_proofs() -> None:
    assert improvement_size.run("rough-20-candidates-correlation-0.5", 20)["false_accepts"] <= 2
    assert improvement_power.run("20-candidates-ratio-1.5-correlation-0.5", 20)["power"] >= 0.6
