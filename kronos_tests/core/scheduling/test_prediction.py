"""Predicted runtimes: the promised coverage, what a failed attempt teaches, and too little history."""

from __future__ import annotations

import numpy as np
import pytest

from kronos.core.scheduling.prediction import Kind, profiles
from kronos.core.scheduling.snapshot import Ints
from kronos.core.vocabulary import ResourceClass
from kronos.errors import BadValue
from kronos_tests.core.scheduling.scenes import HOUR, POLICY

CPU: Kind = ("A", ResourceClass.CPU_HEAVY)


def _p95(runtimes: list[float]) -> int:
    return int(profiles(["A"], {CPU: runtimes}, POLICY).p95[0])


def _given(runtimes: list[float], ran: int) -> int:
    found: Ints = profiles(["A"], {CPU: runtimes}, POLICY).p95_given(np.array([0]), np.array([ran]))
    return int(found[0])


@pytest.mark.parametrize("count", [19, 20, 57, 200])
def test_the_bound_covers_a_new_run_with_at_least_the_promised_probability(count: int) -> None:
    """Pareto runtimes, whose bound no normal approximation finds; exact coverage is ceil((n + 1) q) / (n + 1)."""
    rng = np.random.default_rng(count)
    worlds = 60.0 * (1.0 + rng.pareto(1.5, size=(4_000, count + 1)))
    covered = np.mean([_p95(world[:-1].tolist()) >= world[-1] for world in worlds])
    exact = np.ceil((count + 1) * 0.95 - 1e-9) / (count + 1)
    assert exact >= 0.95 - 1e-9
    assert abs(covered - exact) < 4.0 * np.sqrt(exact * (1.0 - exact) / 4_000) + 1e-9


@pytest.mark.parametrize("ran", [60, 600])
def test_the_bound_of_a_run_under_way_covers_those_that_take_longer(ran: int) -> None:
    rng = np.random.default_rng(ran)
    past = (60.0 * (1.0 + rng.pareto(1.0, size=2_000))).tolist()
    longer = [runtime for runtime in 60.0 * (1.0 + rng.pareto(1.0, size=40_000)) if runtime > ran]
    assert np.mean(np.array(longer) <= _given(past, ran)) >= 0.93


def test_too_little_history_is_no_less_than_the_prior_and_twice_the_longest() -> None:
    assert _p95([]) == 2 * HOUR
    assert _p95([60.0]) == 2 * HOUR
    assert _p95([2.0 * HOUR] * 18) == 4 * HOUR
    assert _p95([60.0] * 19) == 60


def test_a_run_longer_than_history_is_expected_to_take_twice_as_long_as_it_has() -> None:
    assert _given([60.0] * 100, 3 * HOUR) == 6 * HOUR


def test_old_runtimes_are_forgotten() -> None:
    assert _p95([9_000.0] * 500 + [60.0] * 500) == 60


def test_a_runtime_that_is_none_is_refused() -> None:
    with pytest.raises(BadValue, match="runtimes of A CPU_HEAVY"):
        _p95([60.0, float("nan")])
