"""Small moments for the scheduler: hours instead of calendars, a few nodes, short queues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kronos.core.scheduling.decisions import Plan
from kronos.core.scheduling.policy import NO_LIMITS, SchedulerPolicy
from kronos.core.scheduling.prediction import Kind, Profiles, profiles
from kronos.core.scheduling.snapshot import Nodes, Queue, Running, Snapshot, Tier1
from kronos.core.scheduling.windows import Windows

HOUR = 3600
MINUTE = 60
DAY = 24 * HOUR
NOON = 1_000 * DAY + 12 * HOUR
"""A moment with four free hours ahead."""
CPU, GPU, MIXED = 0, 1, 2
"""Kinds of engine A."""

POLICY = SchedulerPolicy(limits=NO_LIMITS, most_running=None)
CLOSE, DEADLINE = NOON + 4 * HOUR, NOON + 8 * HOUR


def daily_windows(*, days: int = 14, quiet: Sequence[tuple[int, int]] = ()) -> Windows:
    """US_EQ closes at 16:00 and its engines are through at 20:00, on every day but each seventh."""
    starts = np.array([CLOSE + n * DAY for n in range(-2, days) if n % 7 != 4], dtype=np.int64)
    return Windows(
        starts,
        starts + 4 * HOUR,
        ("US_EQ",) * len(starts),
        ("US_EQ",) * len(starts),
        np.array([start for start, _ in quiet], dtype=np.int64),
        np.array([end for _, end in quiet], dtype=np.int64),
        NOON - 2 * DAY,
        NOON + days * DAY,
    )


def forecasts(minutes: float = 60, policy: SchedulerPolicy = POLICY) -> Profiles:
    """A hundred past runs of engine A's three classes, all equally long, and none of engine B."""
    history: Mapping[Kind, Sequence[float]] = {("A", name): [minutes * 60.0] * 100 for name in policy.needs}
    return profiles(["A", "B"], history, policy)


def nodes(*cpus: int, now: int = NOON, **columns: Any) -> Nodes:
    """Nodes n0, n1, ... with so many processors, freshly read."""
    sizes = {"cpu": [1000 * cpu for cpu in cpus], "memory": [64_000] * len(cpus), "taken_at": now - 10}
    return Nodes.of([f"n{number}" for number in range(len(cpus))], **{**sizes, **columns})


def queue(count: int = 1, **columns: Any) -> Queue:
    """Experiments e0, e1, ... enqueued in this order, a minute apart."""
    arrivals = [NOON - HOUR + MINUTE * number for number in range(count)]
    return Queue.of([f"e{number}" for number in range(count)], **{"queued_at": arrivals, **columns})


def running(count: int = 0, **columns: Any) -> Running:
    """Runs r0, r1, ... on n0 since ten minutes."""
    return Running.of([f"r{number}" for number in range(count)], **{"node": "n0", "started_at": NOON - 600, **columns})


def idle(now: int = NOON) -> Tier1:
    """Tier 1 of the one market, idle since long."""
    return Tier1("US_EQ", busy=False, since=now - DAY, taken_at=now - 10)


def moment(**parts: Any) -> Snapshot:
    """Noon, one experiment, one node of two processors of which one may be used, everything known and idle."""
    now = parts.get("now", NOON)
    usual: dict[str, Any] = {
        "now": now,
        "previous": now - 30,
        "queue": queue(),
        "running": running(),
        "nodes": nodes(2, now=now),
        "tier1": (idle(now),),
        "windows": daily_windows(),
        "profiles": forecasts(),
        "policy": POLICY,
    }
    return Snapshot(**{**usual, **parts})


def answers(plan: Plan) -> dict[str, str]:
    """Per experiment its node, or why it waits."""
    rows = plan.queue_frame().select("experiment_id", "node", "reason").iter_rows()
    return {experiment: node or reason for experiment, node, reason in rows}


def row(plan: Plan, experiment: str) -> dict[str, Any]:
    """All that is said about one experiment."""
    return plan.queue_frame().row(plan.queue_frame()["experiment_id"].to_list().index(experiment), named=True)


def orders(plan: Plan) -> dict[str, tuple[str, str, bool]]:
    """Per run what is to be done, why, and whether by force."""
    return {name: (action, why, forced) for name, action, forced, why, _ in plan.run_frame().iter_rows()}


def policy(**changes: Any) -> SchedulerPolicy:
    """The default policy with some entries changed."""
    return SchedulerPolicy.model_validate({**POLICY.model_dump(), **changes})
