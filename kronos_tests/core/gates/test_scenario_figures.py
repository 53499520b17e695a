"""What is read of the figures of a scenario, and when they are too little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from kronos.core.backtests.results import figures
from kronos.core.gates.policy import GatePolicy
from kronos.core.gates.scenario_figures import judged_figures, loss_in, too_thin
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.axis import Window
from kronos.core.reports.comparison_series import SHARPE
from kronos.core.reports.evidence import evidence
from kronos.core.reports.performance import performance_report
from kronos_tests.core.reports.builders import START, cells, sessions, weekdays

N = 299
FELL = np.random.default_rng(0).normal(0.0, 0.005, N).tolist()


def told(returns: Sequence[float | None]) -> dict[str, Any]:
    """Figures as a backtest keeps them."""
    held = evidence(cells(returns, config="me"), sessions("US_EQ", count=N + 60), horizon=1)
    window = Window(START, weekdays(N)[-1])
    report = performance_report(held, ObservationPolicy(), window, config_id="me", recorded_by="x")
    return figures(report.overall)


def thin(found: dict[str, Any], sessions: int | None = None) -> str:
    return too_thin(found, SHARPE, GatePolicy(), sessions)


def test_whole_figures_are_enough() -> None:
    found = told(FELL)
    assert thin(found) == "" and loss_in(found, SHARPE) == pytest.approx(-found["metrics"]["max_dd"])


def test_outcomes_below_the_policys_coverage_are_too_few() -> None:
    holes = [value if i % 10 == 0 else None for i, value in enumerate(FELL)]
    assert thin(told(holes)) == "30 of 298 due outcomes are there: 95% needed"
    one_in_twenty_five = [None if i % 25 == 0 else value for i, value in enumerate(FELL)]
    assert thin(told(one_in_twenty_five)) == ""


def test_two_dates_are_too_few_and_as_many_as_a_slice_needs_are_enough() -> None:
    assert thin(told(FELL[:2])) == "2 dates: 60 needed"
    assert thin(told(FELL[:60])) == ""


def test_a_window_shorter_than_a_slice_has_to_be_there_nearly_whole() -> None:
    """The fastest falls in history lasted five weeks."""
    assert thin(told(FELL[:24]), sessions=24) == "" and thin(told(FELL[:23]), sessions=24) == ""
    assert thin(told(FELL[:12]), sessions=24) == "12 dates: 23 needed"
    assert thin(told(FELL[:59]), sessions=400) == "59 dates: 60 needed"


def test_scores_are_held_to_the_same_by_the_dates_of_their_forecasts() -> None:
    """A hundred forecasts on each of three dates say as little of a scenario as three."""
    found = {"metrics": {"brier": 0.2}, "observations": {"brier": 300}, "coverage": {"valid": 300, "due": 300}}
    assert too_thin(found | {"dates": {"brier": 3}}, "brier", GatePolicy(), None) == "3 dates: 60 needed"
    assert too_thin(found | {"dates": {"brier": 60}}, "brier", GatePolicy(), None) == ""
    assert "run the backtest again" in too_thin(found, "brier", GatePolicy(), None)
    assert loss_in(found, "brier") == 0.2


def test_figures_tell_the_dates_of_a_score() -> None:
    n = 20
    scored = cells([0.0] * n, config="me", brier_sum=[2.0] * n, forecast_n=[10] * (n - 1) + [0])
    held = evidence(scored, sessions("US_EQ", count=N), horizon=1)
    window = Window(START, weekdays(n)[-1])
    found = figures(performance_report(held, ObservationPolicy(), window, config_id="me", recorded_by="x").overall)
    assert (found["dates"]["brier"], found["observations"]["brier"]) == (n - 1, 10 * (n - 1))


def test_without_a_number_nothing_is_too_thin() -> None:
    for nothing in ({}, {"refused": "no decisions"}, {"metrics": {"sharpe": 1.0}}):
        assert loss_in(nothing, SHARPE) is None and thin(nothing) == ""


def test_losses_are_judged_at_a_horizon_of_one_session() -> None:
    """Five-session returns smooth a fall of one day and its recovery."""
    single, own = {"metrics": {"max_dd": -0.4}}, {"metrics": {"max_dd": -0.2}}
    assert judged_figures({**own, "wealth": single}, SHARPE, 5) == single
    assert judged_figures(own, SHARPE, 1) == own
    assert "run the backtest again" in judged_figures(own, SHARPE, 5)["refused"]


def test_who_does_not_earn_or_decide_has_no_loss_of_single_sessions() -> None:
    scored = {"metrics": {"brier": 0.2}}
    assert judged_figures(scored, SHARPE, 5) == scored and judged_figures(scored, "brier", 5) == scored
    assert judged_figures({"refused": "no decisions"}, SHARPE, 5) == {} == judged_figures({}, SHARPE, 1)
