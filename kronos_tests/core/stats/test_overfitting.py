"""CSCV against a literal loop over splits, and what it must say of known truths."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy.stats import linregress, rankdata

from kronos.core.stats.matrix import Inconclusive, Reason, ReturnMatrix, loss_matrix
from kronos.core.stats.overfitting import Overfitting, backtest_overfitting, half_sharpes
from kronos.errors import BadValue

N = 203
BLOCKS = 8


def matrix(values: np.ndarray, horizon: int = 1) -> ReturnMatrix:
    dates = np.datetime64("2020-01-01") + np.arange(len(values))
    return ReturnMatrix(values, tuple(f"c{i}" for i in range(values.shape[1])), dates, horizon)


def noise(seed: int = 0, configs: int = 7, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0003, 0.01, (n, configs))


def judged(values: np.ndarray, **options: object) -> Overfitting:
    result = backtest_overfitting(matrix(values), blocks=BLOCKS, **options)
    assert isinstance(result, Overfitting)
    return result


def literal(values: np.ndarray, blocks: int, incumbent: int) -> tuple[float, ...]:
    """One split at a time, on the dates themselves."""
    parts = np.split(values, np.linspace(0, len(values), blocks + 1).astype(int)[1:-1])
    rows = []
    for chosen in combinations(range(blocks), blocks // 2):
        halves = [[p for i, p in enumerate(parts) if (i in chosen) is side] for side in (True, False)]
        inside, outside = (np.concatenate(h).mean(axis=0) / np.concatenate(h).std(axis=0, ddof=1) for h in halves)
        winner = inside.argmax()
        rank = rankdata(outside, method="min")[winner] / (values.shape[1] + 1)
        rows.append((rank <= 0.5, outside[winner] < 0, inside[winner], outside[winner], outside[incumbent]))
    low, loss, seen, got, other = np.array(rows, dtype=float).T
    trails = (got < other) + 0.5 * (got == other)
    return low.mean(), loss.mean(), linregress(seen, got).slope, trails.mean()


def test_equals_the_literal_loop() -> None:
    values = noise()
    result = judged(values, incumbent="c2")
    found = (result.probability, result.loss, result.slope, result.trails_incumbent)
    assert found == pytest.approx(literal(values, BLOCKS, 2), rel=1e-9)
    assert result.splits == comb(BLOCKS, BLOCKS // 2)


def test_the_complement_of_a_split_is_its_mirror() -> None:
    values = noise(n=160)
    sharpes = half_sharpes(values, BLOCKS)
    last_half = values[80:]
    assert sharpes[-1] == pytest.approx(last_half.mean(axis=0) / last_half.std(axis=0, ddof=1))


def test_equally_good_configs_are_overfitted_half_the_time() -> None:
    found = [judged(noise(seed, configs=20)).probability for seed in range(40)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.08)


def test_a_truly_better_config_is_not_overfitted() -> None:
    values = noise()
    values[:, 3] += 0.01
    assert judged(values).probability == 0.0
    assert judged(values, incumbent="c0").trails_incumbent == 0.0


def test_luck_in_one_period_is_overfitted() -> None:
    values = noise() - 0.001
    for config in range(7):
        values[config * 29 : config * 29 + 29, config] += 0.01
    assert judged(values).probability > 0.6
    assert judged(values).slope < 0.0


def test_order_and_scale_of_the_configs_do_not_matter() -> None:
    values = noise()
    assert judged(values[:, ::-1]) == judged(values)
    scaled = judged(values * np.array([1, 2, 3, 4, 5, 6, 7]))
    assert (scaled.probability, scaled.loss) == (judged(values).probability, judged(values).loss)


def test_reversing_time_changes_no_probability() -> None:
    values = noise(n=160)
    assert judged(values[::-1]).probability == judged(values).probability


def test_a_half_without_variance_earns_nothing() -> None:
    values = noise(n=160)
    values[:80, 0] = 0.01
    assert half_sharpes(values, BLOCKS)[0, 0] == 0.0


def test_too_little_is_inconclusive() -> None:
    alone, short = backtest_overfitting(matrix(noise(configs=1))), backtest_overfitting(matrix(noise(n=70)))
    overlapping = backtest_overfitting(matrix(noise(n=160), horizon=21), blocks=BLOCKS)
    assert [r.reason for r in (alone, short, overlapping) if isinstance(r, Inconclusive)] == [
        Reason.TOO_FEW_TRIALS,
        Reason.TOO_FEW_BLOCKS,
        Reason.TOO_FEW_BLOCKS,
    ]


@pytest.mark.parametrize("blocks", [4, 7])
def test_unusable_numbers_of_blocks_are_refused(blocks: int) -> None:
    with pytest.raises(BadValue):
        backtest_overfitting(matrix(noise()), blocks=blocks)


def test_losses_are_refused() -> None:
    returns = matrix(noise())
    with pytest.raises(BadValue):
        backtest_overfitting(loss_matrix(returns.values, returns.names, returns.dates))  # type: ignore[arg-type]
