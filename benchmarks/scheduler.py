"""One plan over 100,000 waiting experiments and 1,000 nodes, in processor milliseconds on one core, best of several."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from kronos.core.scheduling.plan import plan
from kronos.core.scheduling.policy import NO_LIMITS, SchedulerPolicy
from kronos.core.scheduling.prediction import profiles
from kronos.core.scheduling.snapshot import NEVER, Nodes, Queue, Running, Snapshot, Tier1
from kronos.core.scheduling.windows import Windows
from kronos.core.vocabulary import ResourceClass

WAITING, MACHINES, ROUNDS = 100_000, 1_000, 7
LIMIT_MS = 200.0
HOUR = 3_600
DAY = 24 * HOUR
NOON = 20_000 * DAY + 12 * HOUR
ENGINES = ("ASSESSMENT", "PORTFOLIO", "REGIME", "STABILITY", "UNIVERSE")


def run() -> dict[str, Any]:
    """Milliseconds per plan, for nodes that are empty, busy, full, and for a queue that only the ids tell apart."""
    rng = np.random.default_rng(7)
    scenes = {
        "empty_nodes": _snapshot(rng, runs=0),
        "busy_nodes": _snapshot(rng, runs=3_000),
        "full_nodes": _snapshot(rng, runs=6_000),
        "equal_but_for_their_ids": _snapshot(rng, runs=0, tied=True),
        "eight_launches_per_node": _snapshot(rng, runs=0, launches=8),
        "protected_window": _snapshot(rng, runs=3_000, now=NOON + 5 * HOUR),
    }
    figures = {name: _figures(snapshot) for name, snapshot in scenes.items()}
    slowest = max(figure["cpu_ms"] for figure in figures.values())
    return {"waiting": WAITING, "nodes": MACHINES, "limit_cpu_ms": LIMIT_MS, "slowest_cpu_ms": slowest, **figures}


def _figures(snapshot: Snapshot) -> dict[str, Any]:
    best, said = float("inf"), plan(snapshot)
    for _ in range(ROUNDS):
        started = time.process_time()
        said = plan(snapshot)
        best = min(best, time.process_time() - started)
    admitted = int((said.queue.node >= 0).sum())
    return {"cpu_ms": round(best * 1000, 1), "admitted": admitted, "runs": len(snapshot.running)}


def _snapshot(
    rng: np.random.Generator, *, runs: int, tied: bool = False, launches: int = 2, now: int = NOON
) -> Snapshot:
    policy = SchedulerPolicy(limits=NO_LIMITS, most_running=None, launches_per_node=launches)
    history = {(engine, name): rng.lognormal(7.5, 1.0, 200).tolist() for engine in ENGINES for name in ResourceClass}
    starts = np.array([NOON + 4 * HOUR + n * DAY for n in range(-2, 14)], dtype=np.int64)
    empty = np.array([], dtype=np.int64)
    return Snapshot(
        now=now,
        previous=now - 30,
        queue=_queue(rng, tied),
        running=_running(rng, runs),
        nodes=Nodes.of(
            [f"node-{number:04}" for number in range(MACHINES)],
            cpu=np.full(MACHINES, 16_000),
            gpu=1000 * (rng.random(MACHINES) < 0.3),
            memory=np.full(MACHINES, 128_000),
            taken_at=now - 5,
        ),
        tier1=(Tier1("US_EQ", busy=False, since=now - DAY, taken_at=now - 5),),
        windows=Windows(
            starts, starts + 4 * HOUR, ("US_EQ",) * 16, ("US_EQ",) * 16, empty, empty, NOON - 2 * DAY, NOON + 14 * DAY
        ),
        profiles=profiles(ENGINES, history, policy),
        policy=policy,
    )


def _queue(rng: np.random.Generator, tied: bool) -> Queue:
    words = rng.integers(0, 2**32, size=(WAITING, 4), dtype=np.int64).tolist()
    folds = rng.integers(1, 12, WAITING)
    return Queue.of(
        [f"{a:08x}-{b >> 16:04x}-{b & 0xFFFF:04x}-{c >> 16:04x}-{c & 0xFFFF:04x}{d:08x}" for a, b, c, d in words],
        kind=rng.integers(0, 15, WAITING),
        priority=5 if tied else rng.integers(0, 10, WAITING),
        auto_generated=False if tied else rng.random(WAITING) < 0.5,
        control=False if tied else rng.random(WAITING) < 0.1,
        queued_at=NOON - DAY if tied else NOON - rng.integers(0, 10 * DAY, WAITING),
        not_before=np.where(rng.random(WAITING) < 0.05, NOON + 600, NEVER),
        folds=folds,
        folds_done=rng.integers(0, folds),
        survived=np.where(rng.random(WAITING) < 0.1, rng.integers(60, HOUR, WAITING), 0),
        leave_seconds=30,
    )


def _running(rng: np.random.Generator, runs: int) -> Running:
    return Running.of(
        [f"run-{number:05}" for number in range(runs)],
        node=[f"node-{number % MACHINES:04}" for number in range(runs)],
        kind=rng.integers(0, 15, runs),
        started_at=NOON - rng.integers(0, HOUR, runs),
        folds=10,
        leave_seconds=30,
    )
