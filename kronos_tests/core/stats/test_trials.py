"""Counting trials errs upwards: fewer are counted only for streams that move together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from kronos.core.stats.matrix import LossMatrix, ReturnMatrix
from kronos.core.stats.sharpe import expected_maximum
from kronos.core.stats.trials import (
    effective_trials,
    sharpe_dispersion,
    sidak_level,
    sidak_with_unstreamed,
)
from kronos.errors import BadValue


def streams(groups: list[int], correlation: float, seed: int = 1, n: int = 800) -> ReturnMatrix:
    """Groups of streams with this correlation inside a group and none between groups."""
    rng = np.random.default_rng(seed)
    parts = [
        math.sqrt(correlation) * rng.standard_normal((n, 1))
        + math.sqrt(1 - correlation) * rng.standard_normal((n, size))
        for size in groups
    ]
    values = 0.01 * np.concatenate(parts, axis=1)
    names = tuple(f"c{i:02}" for i in range(values.shape[1]))
    return ReturnMatrix(values, names, np.datetime64("2000-01-01") + np.arange(n))


def test_unrelated_streams_all_count() -> None:
    assert effective_trials(streams([1] * 12, 0.0)).effective == pytest.approx(12, abs=0.5)


def test_families_of_near_copies_count_once_each() -> None:
    found = effective_trials(streams([4, 5, 3], 0.98))
    assert sorted(len(cluster) for cluster in found.clusters) == [3, 4, 5]
    assert found.effective == pytest.approx(3 + 0.02 * 9, abs=0.1)
    assert found.silhouette > 0.8


def test_half_related_families_count_in_between() -> None:
    found = effective_trials(streams([5, 5], 0.6))
    assert found.effective == pytest.approx(2 * (0.6 + 0.4 * 5), abs=0.4)


@pytest.mark.parametrize("groups", [[1], [2], [1, 1], [1, 1, 1], [3, 1]])
def test_the_count_lies_between_one_and_all(groups: list[int]) -> None:
    found = effective_trials(streams(groups, 0.5))
    assert 1.0 <= found.effective <= found.n_trials == sum(groups)
    assert sorted(name for cluster in found.clusters for name in cluster) == list(streams(groups, 0.5).names)


def test_order_and_scale_of_the_streams_do_not_matter() -> None:
    base = streams([3, 4, 2], 0.7)
    order = np.random.default_rng(0).permutation(9)
    moved = ReturnMatrix(base.values[:, order] * (1.0 + order), tuple(base.names[i] for i in order), base.dates)
    assert effective_trials(moved).effective == pytest.approx(effective_trials(base).effective, rel=1e-9)
    assert set(map(frozenset, effective_trials(moved).clusters)) == set(map(frozenset, effective_trials(base).clusters))


def test_the_silhouette_equals_a_loop_over_its_definition() -> None:
    """Slow twin: Rousseeuw's formula, stream by stream, over every cut of the same tree."""
    base = streams([3, 4, 2], 0.5)
    distances = np.sqrt((1 - np.corrcoef(base.values, rowvar=False)) / 2)
    np.fill_diagonal(distances, 0.0)
    tree = hierarchy.linkage(squareform(distances, checks=False), "average")
    scores = [silhouette(distances, hierarchy.cut_tree(tree, n_clusters=k)[:, 0]) for k in range(2, 9)]
    assert effective_trials(base).silhouette == pytest.approx(max(scores), rel=1e-12)


def silhouette(distances: np.ndarray, labels: np.ndarray) -> float:
    values = []
    for i, label in enumerate(labels):
        mates = [j for j in range(len(labels)) if labels[j] == label and j != i]
        if not mates:
            values.append(0.0)
            continue
        inside = np.mean([distances[i, j] for j in mates])
        others = [distances[i, labels == other].mean() for other in set(labels) - {label}]
        values.append((min(others) - inside) / max(min(others), inside))
    return float(np.mean(values))


def test_the_effective_count_does_not_understate_the_expected_maximum() -> None:
    """Over equicorrelated worthless trials the true expected maximum is sqrt(1 - r) times that of N independent."""
    for correlation in (0.2, 0.5, 0.8):
        effective = correlation + (1 - correlation) * 50
        assert expected_maximum(effective) >= math.sqrt(1 - correlation) * expected_maximum(50)


def test_losses_are_refused() -> None:
    base = streams([3], 0.5)
    with pytest.raises(BadValue, match="higher is better"):
        effective_trials(LossMatrix(base.values, base.names, base.dates))  # type: ignore[arg-type]


def test_dispersion_leaves_the_winner_out() -> None:
    sharpes = np.array([0.01, 0.05, 0.09, 5.0])
    found = sharpe_dispersion(sharpes, 3, 2521)
    assert found.value == found.observed == pytest.approx(0.04)
    assert found.n_others == 3


@pytest.mark.parametrize("others", [[], [0.03], [0.03, 0.03, 0.03]])
def test_dispersion_never_falls_below_the_sampling_error(others: list[float]) -> None:
    found = sharpe_dispersion(np.array([0.1, *others]), 0, 401, horizon=4)
    assert found.value == found.floor == pytest.approx(0.1)


@pytest.mark.parametrize("bad", [(np.array([0.1, np.nan]), 0, 100), (np.array([0.1]), 1, 100), (np.array([0.1]), 0, 1)])
def test_dispersion_of_broken_input_is_refused(bad: tuple[np.ndarray, int, int]) -> None:
    with pytest.raises(BadValue):
        sharpe_dispersion(*bad)


@pytest.mark.parametrize("n", [1, 20, 1000])
def test_sidak_levels_restore_the_family_level(n: int) -> None:
    assert 1 - (1 - sidak_level(0.05, n)) ** n == pytest.approx(0.05, rel=1e-9)


def test_trials_without_a_stream_only_raise_the_p_value() -> None:
    values = [sidak_with_unstreamed(0.01, 0.001, n) for n in (0, 1, 10, 1000)]
    assert values[0] == pytest.approx(0.01)
    assert values == sorted(values)
    assert values[2] == pytest.approx(1 - 0.99 * 0.999**10)
    assert sidak_with_unstreamed(0.2, 1.0, 1) == 1.0
    assert sidak_with_unstreamed(0.2, 1.0, 0) == pytest.approx(0.2)


@pytest.mark.parametrize("bad", [(-0.1, 0.5, 0), (0.5, math.nan, 0), (0.5, 0.5, -1)])
def test_sidak_of_no_probability_is_refused(bad: tuple[float, float, int]) -> None:
    with pytest.raises(BadValue):
        sidak_with_unstreamed(*bad)
