"""The backtest scheduler's promises over 100,000 random schedules on real calendars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kronos.core.scheduling.policy import NO_LIMITS, SchedulerPolicy, seconds
from kronos.core.scheduling.promises import Tally, combined, promises, tally
from kronos.services.simulation import simulated

CASES = [f"schedules-{thousands}-to-{thousands + 10}-thousand" for thousands in range(0, 100, 10)]
PARTS = 20
PER_PART = 500


def part(case: str, number: int, count: int = PER_PART) -> dict[str, int]:
    """Schedules with seeds of their own."""
    outcomes = simulated(count, (160, CASES.index(case), number), SchedulerPolicy(limits=NO_LIMITS, most_running=None))
    return combined(tally(outcome) for outcome in outcomes).to_json_dict()


def judge(_: str, parts: Sequence[Mapping[str, int]]) -> dict[str, object]:
    """Every promise over all schedules of the parts."""
    seen = combined(Tally(**found) for found in parts)
    found = promises(seen, seconds(SchedulerPolicy().grace))
    return {
        "holds": all(promise.holds for promise in found),
        **seen.to_json_dict(),
        "utilisation": round(seen.utilisation, 5),
        "utilisation_as_fluid": round(seen.utilisation_as_fluid, 5),
        "promises": {promise.name: f"{promise.seen} ({promise.limit})" for promise in found},
    }


def run(case: str, count: int) -> dict[str, object]:
    """A sample: the first `count` schedules of the first part."""
    return judge(case, [part(case, 0, count)])
