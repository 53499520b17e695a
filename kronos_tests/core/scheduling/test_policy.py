"""What the scheduler may be told: an override of one entry leaves the others as they were."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from kronos.core.policy import ObservationPolicy
from kronos.core.scheduling.policy import CLASS_LIMITS, MOST_BACKTESTS, NO_LIMITS, Retries, SchedulerPolicy
from kronos.core.vocabulary import ResourceClass


def test_any_other_override_keeps_the_limits_of_the_run_queue() -> None:
    found = ObservationPolicy.model_validate_json('{"scheduler": {"tick": 60}}').scheduler
    assert (found.limits, found.most_running) == (CLASS_LIMITS, MOST_BACKTESTS)
    assert ObservationPolicy().scheduler == SchedulerPolicy()


def test_a_limit_of_one_class_keeps_those_of_the_others() -> None:
    found = ObservationPolicy.model_validate_json('{"scheduler": {"limits": {"MIXED": 0}}}').scheduler
    assert found.limits == {**CLASS_LIMITS, ResourceClass.MIXED: 0}


def test_that_there_is_no_limit_is_said_class_by_class() -> None:
    found = SchedulerPolicy(limits={ResourceClass.GPU_HEAVY: None})
    assert found.limits == {**CLASS_LIMITS, ResourceClass.GPU_HEAVY: None}
    assert SchedulerPolicy(limits=NO_LIMITS).limits == NO_LIMITS


def test_limits_survive_json() -> None:
    found = SchedulerPolicy(limits={ResourceClass.CPU_HEAVY: 7, ResourceClass.MIXED: None}, most_running=None)
    assert SchedulerPolicy.model_validate_json(found.model_dump_json()) == found


def test_a_limit_below_nothing_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="CPU_HEAVY"):
        SchedulerPolicy(limits={ResourceClass.CPU_HEAVY: -1})


@pytest.mark.parametrize(
    "retries",
    [
        Retries(),
        Retries(factor=1.0),
        Retries(factor=1e308),
        Retries(longest=timedelta.max),
        Retries(first_after=timedelta(hours=2)),
    ],
)
def test_a_pause_never_falls_and_ends_at_the_longest_however_many_crashes_there_were(retries: Retries) -> None:
    pauses = [retries.after(crashes) for crashes in (0, 1, 2, 3, 45, 10**6)]
    assert pauses == sorted(pauses) and pauses[0] == pauses[1] == min(retries.first_after, retries.longest)
    assert pauses[-1] == (retries.first_after if retries.factor == 1.0 else retries.longest)


def test_pauses_double_until_the_longest() -> None:
    minutes = [Retries().after(crashes) / timedelta(minutes=1) for crashes in range(1, 9)]
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60]
