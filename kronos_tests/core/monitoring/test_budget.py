"""A sample of the proof that return and score share one error."""

from __future__ import annotations

import math

import pytest

from kronos.core.monitoring.judge import shares
from kronos.core.monitoring.model import Watch
from kronos.core.policy import MonitoringPolicy
from kronos_tests.proofs import monitoring_budget


@pytest.mark.proof
@pytest.mark.parametrize("case", ["false-alarm-t5-0", "false-alarm-garch-t5-0.7"])
def test_a_healthy_config_rarely_alarms_on_either_metric(case: str) -> None:
    found = monitoring_budget.run(case, worlds=300)
    assert float(str(found["rate"])) <= 0.05


@pytest.mark.proof
def test_a_config_that_became_worse_in_both_is_found() -> None:
    assert float(str(monitoring_budget.run("both-drop-2-t5", worlds=200)["rate"])) >= 0.60


@pytest.mark.proof
@pytest.mark.parametrize("case", ["return-drops-2-normal", "calibration-drops-2-normal"])
def test_a_drop_of_one_metric_alone_is_found(case: str) -> None:
    """200 of the proof's 4,000 worlds: at least 60 % within sampling error (three standard errors)."""
    assert float(str(monitoring_budget.run(case, worlds=200)["rate"])) >= 0.60 - 3 * math.sqrt(0.24 / 200)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_the_parts_add_up_to_the_whole(share: float) -> None:
    policy = MonitoringPolicy(return_share=share)
    assert sum(shares(policy, list(Watch)).values()) == pytest.approx(policy.alpha)
    assert shares(policy, [Watch.RETURN]) == {Watch.RETURN: policy.alpha}
    assert shares(policy, []) == {}
