"""What the figures kept of a scenario say of a loss there, and whether they rest on enough to be judged."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from kronos.core.gates.policy import GatePolicy
from kronos.core.reports.comparison_series import SHARPE

DRAWDOWN = "max_dd"
_OLDER = "no loss of single sessions was kept: run the backtest again"
_UNDATED = "on how many dates it forecasts was not kept: run the backtest again"


def judged_figures(figures: Mapping[str, Any], metric: str, horizon: int) -> Mapping[str, Any]:
    """The figures that are judged: of single sessions where returns are compared, whatever the engine's horizon is.

    figures: of one config in a scenario, at the engine's horizon. Empty where it decided nothing, `refused` where it
    did and single sessions are not known.
    """
    if "metrics" not in figures:
        return {}
    if metric != SHARPE or horizon == 1 or DRAWDOWN not in figures["metrics"]:
        return figures
    found: Mapping[str, Any] = figures.get("wealth", {"refused": _OLDER})
    return found


def loss_in(figures: Mapping[str, Any], metric: str) -> float | None:
    """Maximum drawdown as a positive share, or the mean score; None without a number."""
    number = figures.get("metrics", {}).get(_judged(metric))
    if number is None:
        return None
    return abs(float(number)) if metric == SHARPE else float(number)


def too_thin(figures: Mapping[str, Any], metric: str, policy: GatePolicy, sessions: int | None) -> str:
    """Why the number is too little to be judged by; empty where it is enough, or where there is none.

    sessions: of the scenario, None where it is as long as what is played. A shorter one than the policy's least slice
    has to be there nearly whole.
    """
    if loss_in(figures, metric) is None:
        return ""
    valid, due = figures["coverage"]["valid"], figures["coverage"]["due"]
    share = policy.integrity.least_coverage
    if valid < share * due or not due:
        return f"{valid} of {due} due outcomes are there: {share:.0%} needed"
    least = policy.evidence.least_slice_dates
    if sessions is not None:
        least = min(least, ceil(share * sessions))
    seen = _dates(figures, metric)
    if seen is None:
        return _UNDATED
    return "" if seen >= least else f"{seen} dates: {least} needed"


def _dates(figures: Mapping[str, Any], metric: str) -> int | None:
    """Dates behind the number; None where they were not kept. A score's observations are its forecasts, many a date."""
    if metric == SHARPE:
        return int(figures["observations"][DRAWDOWN])
    found: int | None = figures.get("dates", {}).get(metric)
    return found


def _judged(metric: str) -> str:
    return DRAWDOWN if metric == SHARPE else metric
