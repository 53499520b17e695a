"""What is kept of a backtest: no number without what it takes to contest it."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.core.backtests.results import beside_numbers, figures
from kronos.core.canonical import canonical_json
from kronos.core.metrics.registry import REGISTRY
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.axis import Window
from kronos.core.reports.evidence import evidence
from kronos.core.reports.model import EnginePerformanceReport
from kronos.core.reports.performance import performance_report
from kronos.core.vocabulary import Undefined
from kronos_tests.core.reports.builders import START, cells, sessions

few = settings(max_examples=40, deadline=None, derandomize=True)


def report(returns: Any, *, market: str = "US_EQ", **columns: Any) -> EnginePerformanceReport:
    """The report over some days' returns."""
    held = evidence(cells(returns, market=market, **columns), sessions(market), horizon=1, newest=None)
    window = Window(START, date(2060, 1, 1))
    return performance_report(held, ObservationPolicy(), window, config_id="a", recorded_by="recorded")


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(1).normal(5e-4, 0.01, count)


RETURNS = st.lists(st.none() | st.floats(-0.2, 0.2) | st.sampled_from([0.0, 0.01]), min_size=1, max_size=60)


@few
@given(RETURNS)
def test_every_number_has_observations_and_an_interval_or_why_there_is_none(returns: list[float | None]) -> None:
    kept = figures(report(returns).overall)
    for name in kept["metrics"]:
        assert isinstance(kept["observations"][name], int)
        assert (name in kept["intervals"]) != (name in kept["interval_undefined"])
    for low, high in kept["intervals"].values():
        assert low <= high


@few
@given(RETURNS)
def test_every_metric_is_a_number_or_has_a_reason(returns: list[float | None]) -> None:
    kept = figures(report(returns).overall)
    assert set(kept["metrics"]) | set(kept["undefined"]) == set(REGISTRY)
    assert not set(kept["metrics"]) & set(kept["undefined"])
    assert set(kept["undefined"].values()) <= set(Undefined)


@few
@given(RETURNS)
def test_what_is_kept_is_json_that_reads_back_the_same(returns: list[float | None]) -> None:
    found = report(returns)
    for kept in (figures(found.overall), beside_numbers(found)):
        assert json.loads(json.dumps(kept)) == kept
        assert canonical_json(json.loads(canonical_json(kept))) == canonical_json(kept)


def test_coverage_counts_what_was_due_and_what_came() -> None:
    kept = figures(report([0.01, None, None, 0.02]).overall)
    assert kept["coverage"] == {"valid": 2, "due": 4}


def test_beside_the_numbers_stands_everything_but_them() -> None:
    found = report(noise(300))
    beside = beside_numbers(found)
    assert "metrics" not in beside
    assert beside["intervals"]["sharpe"] == list(found.intervals["sharpe"])
    assert beside["observations"] == found.observations
    assert (beside["horizon"], beside["annualisation"], beside["recorded_by"]) == (1, 252, "recorded")


def test_slices_that_have_no_column_of_their_own_are_kept_beside() -> None:
    found = report(noise(300), labels=["CALM", "CRISIS"] * 150)
    beside = beside_numbers(found)
    assert beside["by_fragility_bucket"] == found.by_fragility_bucket and "LOW" in beside["by_fragility_bucket"]
    assert set(beside["by_regime_and_market"]) == {"CALM|US_EQ", "CRISIS|US_EQ"}


@pytest.mark.parametrize(("market", "currency"), [("US_EQ", "USD"), ("EU_EQ", "EUR")])
def test_currency_and_dates_are_those_of_the_report(market: str, currency: str) -> None:
    found = report(noise(30), market=market, pnl=[1.0] * 30)
    beside = beside_numbers(found)
    assert (beside["currency"], beside["as_of"]) == (currency, found.as_of.isoformat())
