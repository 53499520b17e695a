"""How backtests may be told to be: defaults that fit together, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from kronos.core.backtests.policy import BacktestPolicy
from kronos.core.policy import ObservationPolicy
from kronos.core.scheduling.policy import SchedulerPolicy
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
