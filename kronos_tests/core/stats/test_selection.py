"""SPA, StepM, model confidence set and Holm: literal twins, arch on the same draws, and behaviour on known truths."""

from __future__ import annotations

import arch.bootstrap
import numpy as np
import pytest

from kronos.core.stats.bootstrap import GivenDraws, draw, resampled_means, stationary_variance
from kronos.core.stats.matrix import Inconclusive, LossMatrix, Reason, ReturnMatrix
from kronos.core.stats.selection import (
    ConfidenceSet,
    PValue,
    Stepwise,
    SuperiorAbility,
    confidence_set_p_values,
    holm,
    model_confidence_set,
    p_value,
    spa_p_values,
    step_down,
    stepwise,
    superior_ability,
)
from kronos.errors import BadValue

N = 200
RESAMPLES = 400
NAMES = ("base", "a", "b", "c", "d")
DATES = np.datetime64("2020-01-01") + np.arange(N)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(seed: int = 0) -> np.ndarray:
    return rng(seed).standard_t(5, (N, 5)) * 0.01 * np.array([1.0, 0.5, 2.0, 1.0, 4.0])


def planted(edge: float = 0.004) -> np.ndarray:
    values = noise()
    values[:, 1] += edge
    return values


def returns(values: np.ndarray, names: tuple[str, ...] = NAMES, dates: np.ndarray = DATES) -> ReturnMatrix:
    return ReturnMatrix(values, names, dates)


def spa(values: np.ndarray, seed: int = 0, **options: bool) -> SuperiorAbility:
    result = superior_ability(returns(values), "base", rng=rng(seed), resamples=RESAMPLES, **options)
    assert isinstance(result, SuperiorAbility)
    return result


def steps(values: np.ndarray, names: tuple[str, ...] = NAMES) -> Stepwise:
    result = stepwise(returns(values, names), "base", rng=rng(), resamples=RESAMPLES)
    assert isinstance(result, Stepwise)
    return result


def confidence_set(values: np.ndarray, names: tuple[str, ...] = NAMES) -> ConfidenceSet:
    result = model_confidence_set(returns(values, names), rng=rng(), resamples=RESAMPLES)
    assert isinstance(result, ConfidenceSet)
    return result


def counts_of(paths: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(path, minlength=N) for path in paths]).astype(float)


@pytest.mark.parametrize("seed", range(4))
def test_unstudentised_spa_equals_arch_on_the_same_draws(seed: int) -> None:
    values = noise(seed) + np.array([0.0, 0.001, 0.0, -0.01, 0.002])
    theirs = arch.bootstrap.SPA(-values[:, 0], -values[:, 1:], block_size=5, reps=RESAMPLES, seed=seed)
    theirs.compute()
    same = arch.bootstrap.StationaryBootstrap(5, np.arange(N), seed=seed)
    draws = GivenDraws(counts_of(np.stack([data[0][0] for data in same.bootstrap(RESAMPLES)])), 5.0)
    ours = spa_p_values(values[:, 1:] - values[:, [0]], draws, studentise=False)[1]
    expected = [(1 + round(p * RESAMPLES)) / (1 + RESAMPLES) for p in theirs.pvalues]
    assert [p.value for p in ours] == pytest.approx(expected)


def test_studentised_spa_equals_a_literal_loop() -> None:
    edge = noise()[:, 1:] + np.array([0.0, 0.003, -0.01, 0.0])
    draws = draw(N, 3.0, rng=rng(), resamples=RESAMPLES)
    mean, error = edge.mean(axis=0), np.sqrt(stationary_variance(edge, 3.0) / N)
    best, exceeding = max(0.0, *(mean / error)), np.zeros(3)
    for path in np.concatenate(list(draws.paths())):
        for kind in range(3):
            keep = (mean > 0, mean >= -error * np.sqrt(2 * np.log(np.log(N))), mean == mean)[kind]
            gaps = [(edge[path, k].mean() - (mean[k] if keep[k] else 0.0)) / error[k] for k in range(4)]
            exceeding[kind] += max(0.0, *gaps) >= best
    found = [p.value for p in spa_p_values(edge, draws)[1]]
    assert found == pytest.approx((1 + exceeding) / (1 + RESAMPLES))


def test_spa_bounds_are_ordered_and_find_the_planted_config() -> None:
    result = spa(planted())
    assert result.lower.value <= result.consistent.value <= result.upper.value < 0.01
    assert result.best == "a"


def test_spa_of_worse_configs_is_no_evidence() -> None:
    values = noise()
    values[:, 0] += 0.01
    assert spa(values).consistent.value > 0.5


def test_reversed_returns_turn_the_verdict() -> None:
    assert steps(planted(0.01)).p_values["a"].value < 0.01
    assert steps(-planted(0.01)).p_values["a"].value > 0.99
    assert spa(-planted(0.01)).best != "a"


def test_a_volatile_config_hides_the_better_one_only_without_studentising() -> None:
    values = planted(0.003)
    values[:, 4] *= 10
    assert spa(values).consistent.value < 0.02 < spa(values, studentise=False).consistent.value


def test_spa_is_rarely_significant_when_nothing_is_better() -> None:
    found = np.array([spa(noise(seed), seed).consistent.value for seed in range(200)])
    assert 0.04 <= (found <= 0.1).mean() <= 0.17


def test_losses_are_judged_by_their_own_direction() -> None:
    losses = LossMatrix(-planted(), NAMES, DATES)
    assert superior_ability(losses, "base", rng=rng(), resamples=RESAMPLES) == spa(planted())


def test_common_scale_and_shifted_dates_change_nothing() -> None:
    assert spa(planted() * 8).consistent == spa(planted()).consistent
    shifted = returns(planted(), dates=DATES + 1000)
    assert superior_ability(shifted, "base", rng=rng(), resamples=RESAMPLES) == spa(planted())


def test_step_down_equals_the_literal_procedure() -> None:
    simulated, statistics = rng(1).standard_normal((300, 5)), np.array([1.9, -0.3, 2.6, 1.9, 0.4])
    left, expected, floor = [0, 1, 2, 3, 4], {}, 0
    while left:
        first = max(left, key=lambda k: (statistics[k], -k))
        floor = max(floor, int((simulated[:, left].max(axis=1) >= statistics[first]).sum()))
        expected[first] = (1 + floor) / 301
        left.remove(first)
    assert [p.value for p in step_down(statistics, simulated)] == pytest.approx([expected[k] for k in range(5)])


def test_stepwise_names_the_better_configs_only() -> None:
    values = planted(0.01)
    values[:, 3] += 0.01
    assert steps(values).superior(0.05) == ("a", "c")


@pytest.mark.parametrize("seed", range(3))
def test_stepwise_agrees_with_arch_where_that_is_right(seed: int) -> None:
    """Equal volatilities, edges of four errors or none: which statistic is studentised does not matter then."""
    values = rng(seed).standard_normal((N, 5)) * 0.01 + np.array([0.0, 0.005, 0.0, 0.005, -0.002])
    theirs = arch.bootstrap.StepM(-values[:, 0], -values[:, 1:], block_size=3, reps=RESAMPLES, seed=seed)
    theirs.compute()
    assert steps(values).superior(0.05) == tuple(NAMES[1 + int(model)] for model in theirs.superior_models)


def test_stepwise_controls_the_family_when_nothing_is_better() -> None:
    found = [
        stepwise(returns(noise(seed)), "base", rng=rng(seed), resamples=RESAMPLES).superior(0.1) for seed in range(200)
    ]
    assert np.mean([bool(names) for names in found]) <= 0.17


def test_order_of_the_configs_does_not_matter() -> None:
    order = np.array([3, 1, 0, 4, 2])
    names = tuple(NAMES[i] for i in order)
    assert steps(planted()[:, order], names).p_values == steps(planted()).p_values
    assert confidence_set(planted()[:, order], names).p_values == confidence_set(planted()).p_values


def test_confidence_set_equals_arch_on_the_same_draws() -> None:
    losses = noise() + np.array([0.0, 0.001, 0.004, 0.002, 0.0])
    theirs = arch.bootstrap.MCS(losses, 0.1, reps=RESAMPLES, block_size=5, method="max", seed=2)
    theirs.compute()
    ours = confidence_set_p_values(losses, GivenDraws(counts_of(np.stack(theirs._bootstrap_indices)), 5.0))
    expected = theirs.pvalues["Pvalue"].sort_index().to_numpy()
    assert [p.value for p in ours] == pytest.approx((1 + np.round(expected * RESAMPLES)) / (1 + RESAMPLES))


def test_confidence_set_keeps_equals_and_drops_the_clearly_worse() -> None:
    values = noise() * 0.1
    values[:, 2] -= 0.02
    assert confidence_set(values).included(0.1) == ("base", "a", "c", "d")


def test_confidence_set_contains_the_best_as_often_as_promised() -> None:
    missed = [p_values[0].value <= 0.1 for p_values in map(_null_set, range(150))]
    assert np.mean(missed) <= 0.1


def _null_set(seed: int) -> list[PValue]:
    return confidence_set_p_values(noise(seed), draw(N, 1.0, rng=rng(seed), resamples=RESAMPLES))


def test_duplicates_neither_break_nor_change_the_confidence_set() -> None:
    losses, draws = noise(), draw(N, 3.0, rng=rng(), resamples=RESAMPLES)
    alone = confidence_set_p_values(losses, draws)
    twice = confidence_set_p_values(np.column_stack([losses, losses[:, 1]]), draws)
    assert twice == [*alone, alone[1]]


def test_a_constant_handicap_leaves_the_confidence_set_for_certain() -> None:
    losses = np.column_stack([noise()[:, 0], noise()[:, 0] + 1e-4])
    found = confidence_set_p_values(losses, draw(N, 3.0, rng=rng(), resamples=RESAMPLES))
    assert found == [p_value(RESAMPLES, RESAMPLES), p_value(0, RESAMPLES)]


def test_a_constant_difference_is_inconclusive() -> None:
    values = planted()
    values[:, 2] = values[:, 0] + 0.01
    for test in (superior_ability, stepwise):
        result = test(returns(values), "base", rng=rng(), resamples=RESAMPLES)
        assert isinstance(result, Inconclusive)
        assert result.reason is Reason.ZERO_VARIANCE_DIFFERENCE


def test_a_lone_config_is_inconclusive() -> None:
    alone = returns(noise()[:, :1], ("base",))
    for result in (superior_ability(alone, "base", rng=rng()), model_confidence_set(alone, rng=rng())):
        assert isinstance(result, Inconclusive)
        assert result.reason is Reason.NO_CANDIDATES


def test_holm_equals_the_published_steps() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.7, 0.9]) == [1.0, 1.0]


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_holm_refuses_what_is_no_probability(bad: float) -> None:
    with pytest.raises(BadValue):
        holm([0.5, bad])


def test_a_p_value_is_never_zero_and_knows_its_error() -> None:
    assert p_value(0, 999).value == 0.001
    assert p_value(499, 999).error == pytest.approx((0.25 / 1000) ** 0.5)
    assert p_value(50, 999).near(0.05)
    assert not p_value(50, 999).near(0.07)


def test_plain_means_are_the_counts_times_the_data() -> None:
    draws = draw(N, 3.0, rng=rng(), resamples=10)
    assert resampled_means(np.ones((N, 1)), draws) == pytest.approx(np.ones((10, 1)))
