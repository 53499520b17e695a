"""Laws of `plan` over random moments."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.core.scheduling.plan import halt, plan
from kronos.core.scheduling.prediction import profiles
from kronos.core.scheduling.room import free_units
from kronos.core.scheduling.runs import node_of_runs
from kronos.core.scheduling.snapshot import NEVER, Snapshot, Tier1
from kronos.core.vocabulary import ResourceClass
from kronos_tests.core.scheduling.scenes import DAY, HOUR, NOON, POLICY, daily_windows, nodes, policy, queue, running

POLICIES = (
    POLICY,
    policy(launches_per_node=1, most_running=3),
    policy(limits={"CPU_HEAVY": 1, "GPU_HEAVY": None, "MIXED": 2}, launches_per_node=9),
)


def _random(seed: int) -> Snapshot:
    rng = np.random.default_rng(seed)
    rules = POLICIES[rng.integers(len(POLICIES))]
    count, machines, runs = (int(rng.integers(0, most)) for most in (25, 6, 8))
    now = NOON + int(rng.integers(-DAY, 5 * DAY))
    history = {
        (engine, name): (60.0 * (1.0 + rng.pareto(1.2, size=rng.integers(0, 60)))).tolist()
        for engine in "AB"
        for name in ResourceClass
    }
    return Snapshot(
        now=now,
        previous=now - int(rng.integers(-3, 60)),
        queue=queue(count, **_columns(rng, count, now)),
        running=_runs(rng, runs, now),
        nodes=nodes(
            *rng.integers(1, 17, machines).tolist(),
            now=now,
            gpu=1000 * rng.integers(0, 3, machines),
            cpu_used=500 * rng.integers(0, 5, machines),
            alive=rng.random(machines) < 0.9,
        ),
        tier1=(Tier1("US_EQ", bool(rng.random() < 0.05), now - int(rng.integers(0, DAY)), now - 5),),
        windows=daily_windows(quiet=[(NOON - 12 * HOUR, NOON - 4 * HOUR), (NOON + 2 * DAY, NOON + 4 * DAY)]),
        profiles=profiles("AB", history, rules),
        policy=rules,
    )


def _columns(rng: np.random.Generator, count: int, now: int) -> dict[str, Any]:
    folds = rng.integers(1, 6, count)
    return {
        "kind": rng.integers(0, 6, count),
        "priority": rng.integers(0, 10, count),
        "auto_generated": rng.random(count) < 0.4,
        "control": rng.random(count) < 0.3,
        "queued_at": now - 600 * rng.integers(0, 400, count),
        "not_before": np.where(rng.random(count) < 0.2, now + rng.integers(-600, 600, count), NEVER),
        "preempted_at": np.where(rng.random(count) < 0.2, now - rng.integers(0, 900, count), NEVER),
        "stalls": rng.integers(0, 6, count),
        "folds": folds,
        "folds_done": rng.integers(0, folds),
        "survived": np.where(rng.random(count) < 0.3, rng.integers(0, DAY, count), 0),
        "leave_seconds": rng.integers(0, 400, count),
    }


def _runs(rng: np.random.Generator, count: int, now: int) -> Any:
    return running(
        count,
        node=[f"n{number}" for number in rng.integers(0, 6, count)],
        kind=rng.integers(0, 6, count),
        started_at=now - rng.integers(0, DAY, count),
        members=rng.integers(1, 4, count),
        folds=rng.integers(1, 6, count),
        leave_seconds=rng.integers(0, 300, count),
        leaving_since=np.where(rng.random(count) < 0.2, now - rng.integers(0, 400, count), NEVER),
    )


def _shuffled(table: Any, rng: np.random.Generator) -> Any:
    order = rng.permutation(len(table))
    return replace(table, **{field.name: getattr(table, field.name)[order] for field in fields(table)})


seeds = st.integers(0, 2**32)
many = settings(max_examples=300, deadline=None)


@many
@given(seeds)
def test_the_order_of_the_input_is_irrelevant(seed: int) -> None:
    rng, snapshot = np.random.default_rng(seed), _random(seed)
    mixed = {name: _shuffled(getattr(snapshot, name), rng) for name in ("queue", "running", "nodes")}
    one, other = plan(snapshot), plan(replace(snapshot, **mixed, tier1=snapshot.tier1[::-1]))
    assert one.queue_frame().equals(other.queue_frame())
    assert one.run_frame().equals(other.run_frame())


@many
@given(seeds)
def test_every_experiment_and_every_run_gets_one_decision_with_a_start_that_is_not_past(seed: int) -> None:
    snapshot = _random(seed)
    said = plan(snapshot)
    assert said.queue_frame()["experiment_id"].to_list() == sorted(snapshot.queue.ids)
    assert said.run_frame()["experiment_id"].to_list() == sorted(snapshot.running.ids)
    waiting = said.queue_frame().filter(pl.col("action") == "WAIT")
    assert (waiting["reason"] != "FREE").all() and (waiting["expected_start"] >= snapshot.now).all()


@many
@given(seeds)
def test_what_is_admitted_fits_under_the_caps(seed: int) -> None:
    snapshot = _random(seed)
    said, needs = plan(snapshot).queue, snapshot.profiles.needs[snapshot.profiles.need_of[snapshot.queue.kind]]
    free = free_units(snapshot, node_of_runs(snapshot))
    taken = np.zeros_like(free)
    _, one_per_run = np.unique(np.where(said.batch < 0, -1 - np.arange(len(said.batch)), said.batch), return_index=True)
    for place in one_per_run[said.node[one_per_run] >= 0]:
        taken[said.node[place]] += needs[place]
    assert (taken <= np.maximum(free, 0)).all()


@many
@given(seeds)
def test_nothing_is_admitted_that_may_reach_a_protected_window(seed: int) -> None:
    """Either the P95 of all that is left ends before it, or the run can be resumed and leaves in the grace time."""
    snapshot = _random(seed)
    said, waiting = plan(snapshot).queue, snapshot.queue
    admitted = np.flatnonzero(said.node >= 0)
    assert not len(admitted) or halt(snapshot) is None
    if snapshot.windows is None or not len(admitted):
        return
    start, _ = snapshot.windows.next_start(snapshot.now)
    whole = snapshot.profiles.p95_given(waiting.kind, waiting.survived * waiting.folds)
    left = -(-whole * (waiting.folds - waiting.folds_done) // waiting.folds)
    resumable = (waiting.folds > 1) & (waiting.leave_seconds <= 300)
    longest = max(np.subtract(*snapshot.windows.gaps_from(snapshot.now)[::-1]))
    assert (resumable | (snapshot.now + left <= start) | (left + 60 > longest))[admitted].all()
    assert (said.leave_by[admitted] <= start).all() and (said.leave_by[admitted] >= start - 300).all()


@many
@given(seeds)
def test_of_two_with_equal_needs_the_one_in_front_is_admitted_first(seed: int) -> None:
    """Both single, both allowed by time and by pauses: no lower level is admitted while a higher one finds no room."""
    snapshot = _random(seed)
    said, waiting = plan(snapshot), snapshot.queue
    level = waiting.priority - (snapshot.now - waiting.queued_at) // (6 * HOUR)
    rows = said.queue_frame().with_columns(order=pl.Series(np.argsort(waiting.ids)))
    for kind in range(6):
        same = rows.filter(
            (pl.Series(waiting.kind[rows["order"]]) == kind) & ~pl.Series(waiting.control[rows["order"]])
        )
        full = same.filter(pl.col("reason") == "NO_CAPACITY")["order"].to_numpy()
        admitted = same.filter(pl.col("action") == "ADMIT")["order"].to_numpy()
        if len(full) and len(admitted):
            assert level[admitted].max() <= level[full].min()
