"""The monitoring policy is strict, and its numbers fit together."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from kronos.core.policy import MonitoringPolicy, ObservationPolicy


@pytest.mark.parametrize(
    "wrong",
    [
        {"alhpa": 0.05},
        {"alpha": 0.0},
        {"return_share": 1.0},
        {"watch_level": 0.01},
        {"reference_least": 100},
        {"reference_least": 600, "reference_longest": 500},
        {"windows": [1]},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MonitoringPolicy.model_validate(wrong)


def test_it_is_a_section_of_the_policy_file() -> None:
    policy = ObservationPolicy.model_validate_json('{"monitoring": {"alpha": 0.1, "windows": [5, 10]}}')
    assert (policy.monitoring.alpha, policy.monitoring.windows) == (0.1, (5, 10))
