"""How backtests may be told to be: defaults that fit together, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from kronos.core.backtests.policy import BacktestPolicy
from kronos.core.canonical import canonical_json
from kronos.core.policy import Market, ObservationPolicy
from kronos.core.scheduling.policy import Retries, SchedulerPolicy
from kronos_tests.core.backtests.specs import BATTERY


def test_a_policy_survives_json() -> None:
    policy = BacktestPolicy(battery=BATTERY, fold_months=12, lease=timedelta(minutes=3))
    assert BacktestPolicy.model_validate_json(policy.model_dump_json()) == policy
    assert BacktestPolicy.model_validate(json.loads(json.dumps(policy.model_dump(mode="json")))) == policy


def test_by_default_a_run_is_gone_within_the_schedulers_grace_and_silent_longer_than_it_beats() -> None:
    backtests, scheduler = BacktestPolicy(), SchedulerPolicy()
    assert backtests.leave + scheduler.tick <= scheduler.grace
    assert backtests.heartbeat < backtests.leave < backtests.lease <= backtests.launch_lease


def test_reports_do_not_depend_on_how_backtests_are_run() -> None:
    other = ObservationPolicy(backtests=BacktestPolicy(fold_months=6, nice=19))
    assert other.of_observation() == ObservationPolicy().of_observation()
    assert other.model_dump_json() != ObservationPolicy().model_dump_json()


def rows_of(**changes: Any) -> str:
    """What rows of REGIME in two markets depend on, under a policy with some changes."""
    return canonical_json(ObservationPolicy(**changes).of_rows("REGIME", ("US_EQ", "EU_EQ")))


@pytest.mark.parametrize(
    "changes",
    [
        {"stability_cuts": (0.2, 0.5, 0.75)},
        {"fragility_cuts": (0.2, 0.5, 0.75)},
        {"primary_horizon": {"REGIME": 21}},
        {"default_primary_horizon": 5},
        {"ordered_classes": {}},
        {"markets": {"US_EQ": Market(calendar="XNYS", region="US"), "EU_EQ": Market(calendar=None, region="EU")}},
        {"markets": {"US_EQ": Market(calendar="XNYS", region="US"), "EU_EQ": Market(calendar="XETR", region="DE")}},
        {"markets": {"US_EQ": Market(calendar="XNYS", region="US")}},
    ],
)
def test_rows_depend_on_cuts_horizon_classes_and_their_markets(changes: dict[str, Any]) -> None:
    assert rows_of(**changes) != rows_of()


@pytest.mark.parametrize(
    "changes",
    [
        {"backtests": BacktestPolicy(fold_months=6)},
        {"scheduler": SchedulerPolicy(retries=Retries(attempts=9))},
        {"deadline_after_close": timedelta(hours=9)},
        {"risk_free_annual": 0.02},
        {"primary_horizon": {"PORTFOLIO": 21}},
        {"markets": {**ObservationPolicy().markets, "JP_EQ": Market(calendar=None, region="JP", capital=2.0)}},
    ],
)
def test_rows_depend_on_nothing_of_other_engines_other_markets_and_how_backtests_are_run(
    changes: dict[str, Any],
) -> None:
    assert rows_of(**changes) == rows_of()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"fold_months": 0}, "fold_months"),
        ({"embargo_days": -1}, "embargo_days"),
        ({"seed": -1}, "seed"),
        ({"nice": 20}, "nice"),
        ({"nice": -1}, "nice"),
        ({"leave": timedelta(0)}, "leave"),
        ({"heartbeat": timedelta(seconds=31)}, "lease has value 0:01:30: expected three heartbeats of 0:00:31"),
        ({"folds": 3}, "folds"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        BacktestPolicy(**changes)


def test_three_heartbeats_in_a_lease_are_enough() -> None:
    assert BacktestPolicy(heartbeat=timedelta(seconds=30)).lease == timedelta(seconds=90)
