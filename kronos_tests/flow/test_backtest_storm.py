"""A sample of the storm over running backtests; `make prove` runs all fifty kills, over ten experiments each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from kronos.core.backtests.spec import BacktestSpec, Subject
from kronos_tests.backtesting import KINDS, numbers
from kronos_tests.core.backtests.specs import spec
from kronos_tests.proofs import backtest_storm


@pytest.mark.proof
def test_two_experiments_survive_a_kill_and_give_what_an_undisturbed_worker_gives() -> None:
    found = backtest_storm.run("sample", kills=1, experiments=2)
    assert found["holds"], found


@pytest.mark.parametrize("case", backtest_storm.CASES)
def test_every_case_strikes_every_kind_once(case: str) -> None:
    kinds = [strike.kind for strike in backtest_storm.drawn(case, backtest_storm.KILLS)]
    assert sorted(kinds) == sorted(KINDS)


def test_a_longer_storm_strikes_every_kind_equally_often() -> None:
    kinds = Counter(strike.kind for strike in backtest_storm.drawn("any", 4 * len(KINDS)))
    assert set(kinds.values()) == {4}


def test_a_case_is_drawn_from_its_name_alone() -> None:
    first, again, other = (backtest_storm.drawn(case, 5) for case in ("a", "a", "b"))
    assert first == again != other


def stored(
    experiment_id: str, lake: str, change: Callable[[dict[str, Any]], object] = lambda _: None, **of_spec: Any
) -> tuple[dict[str, Any], list[BacktestSpec]]:
    """Results of an experiment with one period, changed, and the spec they came from."""
    proposed = f"portfolio-experiment-{experiment_id}"
    run = spec(experiment_id=experiment_id, subjects=(Subject(config_id=proposed, config_body={}),), **of_spec)
    period = {
        "experiment_id": experiment_id,
        "period_start": "2010-03-15",
        "period_end": "2014-09-30",
        "metrics": {"sharpe": 0.5},
        "by_regime": {"CALM": {"sharpe": 0.6}},
        "by_market": {"US_EQ": {"sharpe": 0.5}},
        "by_stability_bucket": {"HIGH": {"sharpe": 0.4}},
        "detail": {"beside": {f"{proposed}~lookback": {}}},
        "evidence": "HUMAN_TRIGGERED",
        "attempt": len(lake),
        "provenance": {"spec": run.digest, "seed": 7, "lake": {"cells": lake}, "data": ["a", "b"], "rows": {"n": 9}},
        "recorded_at": f"at {lake}",
    }
    change(period)
    experiment = {"experiment_id": experiment_id, "proposed_config_id": proposed}
    return {"experiment": experiment, "periods": [period]}, [spec(), run]


ONE, OTHER = "6f1c2c52-0000-4c1c-9a53-0d6f3c0f6a11", "7a2d3d63-0000-4c1c-9a53-0d6f3c0f6a11"


def test_the_same_results_with_other_ids_times_and_lake_versions_are_equal() -> None:
    assert numbers(*stored(ONE, "a:1")) == numbers(*stored(OTHER, "a:22"))


def test_results_of_another_spec_differ() -> None:
    assert numbers(*stored(ONE, "a:1")) != numbers(*stored(ONE, "a:1", seed=8))


@pytest.mark.parametrize(
    "path",
    [
        ("metrics", "sharpe"),
        ("by_regime", "CALM"),
        ("by_market", "US_EQ"),
        ("by_stability_bucket", "HIGH"),
        ("detail", "beside"),
        ("evidence",),
        ("period_end",),
        ("provenance", "seed"),
        ("provenance", "data"),
        ("provenance", "rows"),
    ],
)
def test_results_that_differ_anywhere_else_differ(path: tuple[str, ...]) -> None:
    def change(period: dict[str, Any]) -> None:
        *outer, last = path
        for name in outer:
            period = period[name]
        period[last] = "another"

    assert numbers(*stored(ONE, "a:1")) != numbers(*stored(OTHER, "a:1", change))
