"""Laws of every statistic over several configs: what may be done to the input, and what that may do to the verdict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.core.stats.matrix import Inconclusive, LossMatrix, Reason, ReturnMatrix, loss_matrix, return_matrix
from kronos.core.stats.overfitting import backtest_overfitting
from kronos.core.stats.paired import drawdown_difference, mean_improvement, sharpe_improvement
from kronos.core.stats.selection import model_confidence_set, stepwise, superior_ability
from kronos.core.stats.sequential import monitor_loss, monitor_sharpe
from kronos.core.stats.sharpe import sharpe_difference, sharpe_evidence
from kronos.core.stats.trials import effective_trials
from kronos.errors import BadValue

N, LIVE = 420, 350
RESAMPLES = 199
NAMES = ("old", "a", "b", "c")
DATES = np.datetime64("2015-01-01") + np.arange(N)
Verdict = dict[str, float]
few = settings(max_examples=8, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)


def world(seed: int, edge: float = 0.0) -> np.ndarray:
    """Four correlated configs of unequal volatility with heavy tails; `edge` is added to "b" every day."""
    rng = np.random.default_rng(seed)
    values = 0.0003 + 0.01 * rng.standard_t(5, (N, 4)) * np.array([1.0, 0.6, 1.2, 2.0])
    values[:, 1:] += 0.5 * values[:, :1]
    values[:, 2] += edge
    return values


def returns(values: np.ndarray, names: tuple[str, ...] = NAMES, dates: np.ndarray = DATES) -> ReturnMatrix:
    return ReturnMatrix(values, names, dates)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def numbers(result: object, **read: Callable[..., float]) -> Verdict:
    assert not isinstance(result, Inconclusive), result
    return {name: of(result) for name, of in read.items()}


def spa(m: ReturnMatrix) -> Verdict:
    found = superior_ability(m, "old", rng=rng(), resamples=RESAMPLES)
    return numbers(found, p=lambda x: x.consistent.value, low=lambda x: x.lower.value, t=lambda x: x.statistic)


def step(m: ReturnMatrix) -> Verdict:
    found = stepwise(m, "old", rng=rng(), resamples=RESAMPLES)
    return numbers(found, **{name: lambda x, name=name: x.p_values[name].value for name in NAMES[1:]})


def confidence(m: ReturnMatrix) -> Verdict:
    found = model_confidence_set(m, rng=rng(), resamples=RESAMPLES)
    return numbers(found, **{name: lambda x, name=name: x.p_values[name].value for name in NAMES})


def better_sharpe(m: ReturnMatrix) -> Verdict:
    found = sharpe_improvement(m, "old", rng=rng(), resamples=RESAMPLES)
    return numbers(found, **{name: lambda x, name=name: x.of(name).p_value.value for name in NAMES[1:]})


def better_mean(m: ReturnMatrix) -> Verdict:
    found = mean_improvement(m, "old", rng=rng(), resamples=RESAMPLES)
    return numbers(found, **{name: lambda x, name=name: x.of(name).p_value.value for name in NAMES[1:]})


def overfitting(m: ReturnMatrix) -> Verdict:
    found = backtest_overfitting(m, incumbent="old", blocks=8)
    return numbers(found, pbo=lambda x: x.probability, loss=lambda x: x.loss, trails=lambda x: x.trails_incumbent)


def evidence(m: ReturnMatrix) -> Verdict:
    found = sharpe_evidence(m, "b", n_trials=3, dispersion=0.02)
    return numbers(found, psr=lambda x: x.psr, dsr=lambda x: x.dsr)


def difference(m: ReturnMatrix) -> Verdict:
    return numbers(sharpe_difference(m, "b", "old"), p=lambda x: x.p_value)


def drawdown(m: ReturnMatrix) -> Verdict:
    found = drawdown_difference(m, "b", "old", rng=rng(), resamples=RESAMPLES)
    return numbers(found, seen=lambda x: x.difference, low=lambda x: x.low, high=lambda x: x.high)


def effective(m: ReturnMatrix) -> Verdict:
    return numbers(effective_trials(m), n=lambda x: x.effective)


def monitored(m: ReturnMatrix) -> Verdict:
    found = monitor_sharpe(m, "b", m.dates[LIVE].item())
    return numbers(found, p=lambda x: x.p_value, e=lambda x: x.largest_e)


SCALE_FREE = (better_sharpe, overfitting, evidence, difference, effective, monitored)
MEANS = (spa, step, confidence, better_mean)
STATISTICS = (*SCALE_FREE, *MEANS, drawdown)
FAMILIES = (spa, step, better_sharpe, better_mean)
one_draw = 1.01 / (RESAMPLES + 1)
"""Another order of summation may move one resample across a threshold."""


@pytest.mark.parametrize("statistic", STATISTICS)
@few
@given(seed=seeds, order=st.permutations(range(4)))
def test_order_of_the_configs_changes_nothing(statistic: Callable[..., Verdict], seed: int, order: list[int]) -> None:
    values = world(seed, 0.001)
    moved = returns(values[:, order], tuple(NAMES[i] for i in order))
    assert statistic(moved) == pytest.approx(statistic(returns(values)), abs=one_draw)


@pytest.mark.parametrize("statistic", [s for s in STATISTICS if s is not drawdown])
@few
@given(seed=seeds, scale=st.floats(1e-3, 1e3))
def test_one_unit_for_all_changes_nothing(statistic: Callable[..., Verdict], seed: int, scale: float) -> None:
    values = world(seed, 0.001)
    assert statistic(returns(values * scale)) == pytest.approx(statistic(returns(values)), abs=one_draw, rel=1e-6)


@pytest.mark.parametrize("statistic", SCALE_FREE)
@few
@given(seed=seeds, leverage=st.lists(st.floats(0.2, 5.0), min_size=4, max_size=4))
def test_leverage_of_each_config_changes_nothing(
    statistic: Callable[..., Verdict], seed: int, leverage: list[float]
) -> None:
    values = world(seed, 0.001)
    levered = statistic(returns(values * np.array(leverage)))
    assert levered == pytest.approx(statistic(returns(values)), abs=one_draw, rel=1e-6)


@pytest.mark.parametrize("statistic", STATISTICS)
@few
@given(seed=seeds, days=st.integers(-5000, 5000))
def test_shifted_dates_change_nothing(statistic: Callable[..., Verdict], seed: int, days: int) -> None:
    values = world(seed, 0.001)
    assert statistic(returns(values, dates=DATES + days)) == statistic(returns(values))


@few
@given(seed=seeds, column=st.integers(0, 3), row=st.integers(0, N))
def test_a_nan_anywhere_or_appended_leaves_no_matrix_to_judge(seed: int, column: int, row: int) -> None:
    values = np.insert(world(seed, 0.01), row, np.zeros(4), axis=0)
    values[row, column] = np.nan
    dates = DATES[0] + np.arange(N + 1)
    for build in (return_matrix, loss_matrix):
        found = build(values, NAMES, dates)
        assert isinstance(found, Inconclusive)
        assert found.reason is Reason.NOT_FINITE


@few
@given(seed=seeds, column=st.integers(0, 3))
def test_a_duplicated_column_leaves_no_matrix_to_judge(seed: int, column: int) -> None:
    values = world(seed, 0.01)
    found = return_matrix(np.column_stack([values, values[:, column]]), (*NAMES, "again"), DATES)
    assert isinstance(found, Inconclusive)
    assert found.reason is Reason.IDENTICAL


@pytest.mark.parametrize("statistic", FAMILIES)
@few
@given(seed=seeds, column=st.integers(1, 3))
def test_a_near_copy_of_a_candidate_hardly_moves_the_others(
    statistic: Callable[..., Verdict], seed: int, column: int
) -> None:
    """Two that are as good as one cost as much as one; the shared block length may move by a session."""
    values = world(seed, 0.001)
    copy = values[:, column] * (1.0 + 1e-6 * np.random.default_rng(seed).standard_normal(N))
    before = statistic(returns(values))
    after = statistic(returns(np.column_stack([values, copy]), (*NAMES, "again")))
    assert after == pytest.approx(before, abs=0.1)


@pytest.mark.parametrize("statistic", FAMILIES)
@few
@given(seed=seeds)
def test_a_reversed_sign_turns_the_verdict_on_a_planted_edge(statistic: Callable[..., Verdict], seed: int) -> None:
    values = world(seed, 0.006)
    key = "p" if statistic is spa else "b"
    assert statistic(returns(values))[key] < 0.05
    assert statistic(returns(-values))[key] > 0.05


@few
@given(seed=seeds)
def test_a_reversed_sign_mirrors_probabilities(seed: int) -> None:
    values = world(seed, 0.001)
    there, back = (difference(returns(sign * values))["p"] for sign in (1.0, -1.0))
    assert there + back == pytest.approx(1.0)
    assert difference(returns(values)) == {"p": there}
    there, back = (evidence(returns(sign * values))["psr"] for sign in (1.0, -1.0))
    assert there + back == pytest.approx(1.0)


@pytest.mark.parametrize("statistic", MEANS)
@few
@given(seed=seeds)
def test_losses_are_returns_with_the_sign_reversed(statistic: Callable[..., Verdict], seed: int) -> None:
    values = world(seed, 0.001)
    assert statistic(LossMatrix(-values, NAMES, DATES)) == statistic(returns(values))


@pytest.mark.parametrize("statistic", [*SCALE_FREE, drawdown])
def test_a_ratio_to_risk_of_losses_is_refused(statistic: Callable[..., Verdict]) -> None:
    with pytest.raises(BadValue):
        statistic(LossMatrix(world(1), NAMES, DATES))


@few
@given(seed=seeds, drop=st.floats(0.004, 0.02))
def test_a_reversed_drop_raises_no_alarm(seed: int, drop: float) -> None:
    """Returns that fall and losses that rise alarm; returns that rise and losses that fall do not."""
    values = world(seed)
    values[LIVE:, 2] -= drop
    mirrored = 2 * values[:, 2].mean() - values[:, [2]]
    live = DATES[LIVE].item()
    falling, rising = (LossMatrix(x, ("b",), DATES) for x in (values[:, [2]], mirrored))
    assert monitor_loss(rising, "b", live).p_value <= monitor_loss(falling, "b", live).p_value
    assert monitor_loss(falling, "b", live).alarm_date is None
    assert monitor_sharpe(ReturnMatrix(mirrored, ("b",), DATES), "b", live).alarm_date is None
