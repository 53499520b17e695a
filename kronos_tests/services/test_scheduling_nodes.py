"""What the scheduler makes of a machine's reading."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kronos.cli import render_backtests
from kronos.core.scheduling.plan import plan
from kronos.core.scheduling.policy import Need
from kronos.core.vocabulary import ResourceClass
from kronos.services.backtest_queue import queue_status
from kronos.services.scheduling import _decisions
from kronos.services.scheduling_snapshot import RunQueue, Seen, see
from kronos.services.telemetry import IoMeasure
from kronos.store.backtests import take_up
from kronos.store.database import Database, Role
from kronos.store.scheduler import save_decisions, save_reading
from kronos_tests.services.backtest_world import World, backtest_world, no_runs, policy

NODE = "n"
NEEDS = dict.fromkeys(ResourceClass, Need()) | {ResourceClass.GPU_HEAVY: Need(gpu=0.5)}


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    with backtest_world(database, tmp_path, policy(needs=NEEDS, least_disk_free_mb=1_024)) as found:
        yield found


def seen(world: World, **changes: Any) -> Seen:
    """The moment after an idle machine with two GPUs gave a reading, but for the changes."""
    idle = {"cpu": 64_000, "memory": 256_000, "gpu": 2_000, "load_1m": 0.1, "disk_free_mb": 100_000}
    idle |= {"cpu_used": 0, "memory_used": 0, "gpu_used": 0, "io_pressure": 0}
    with world.database.connect(Role.ORCHESTRATOR) as session:
        save_reading(session, NODE, idle | changes)
    with world.database.connect(Role.ORCHESTRATOR) as session:
        return see(world.settings, world.pipeline, session, no_runs)


def begin(world: World, node: str, *classes: ResourceClass) -> None:
    """Backtests of these classes are at work on a node."""
    for number, resource_class in enumerate(classes):
        experiment = world.queued(lookback=40 + number, resource_class=resource_class)
        attempt = world.admitted(experiment, node)
        with world.database.connect(Role.ORCHESTRATOR) as session:
            assert take_up(session, experiment.experiment_id, attempt, "run")


def gpu_used(world: World, used: int) -> int:
    return int(seen(world, gpu_used=used).snapshot.nodes.gpu_used[0])


def test_what_our_backtests_use_of_a_gpu_is_not_others_use_of_it(world: World) -> None:
    begin(world, NODE, ResourceClass.GPU_HEAVY, ResourceClass.GPU_HEAVY, ResourceClass.CPU_HEAVY)
    assert gpu_used(world, 1_300) == 300
    assert gpu_used(world, 900) == 0


def test_backtests_of_another_machine_use_none_of_this_ones_gpus(world: World) -> None:
    begin(world, "elsewhere", ResourceClass.GPU_HEAVY)
    assert gpu_used(world, 1_300) == 1_300


def test_a_backtest_that_has_not_begun_uses_no_gpu_yet(world: World) -> None:
    world.admitted(world.queued(resource_class=ResourceClass.GPU_HEAVY), NODE)
    assert gpu_used(world, 1_300) == 1_300


def test_a_backtest_that_began_after_the_reading_is_not_in_it(world: World) -> None:
    seen(world, gpu_used=1_300)
    begin(world, NODE, ResourceClass.GPU_HEAVY)
    with world.database.connect(Role.ORCHESTRATOR) as session:
        assert see(world.settings, world.pipeline, session, no_runs).snapshot.nodes.gpu_used.tolist() == [1_300]


def said(world: World, **changes: Any) -> tuple[str, str]:
    """Reason and blocker of the one experiment in the queue."""
    found = seen(world, **changes)
    decided = plan(found.snapshot)
    return decided.words(int(decided.queue.reason[0]), int(decided.queue.blocker[0]))


def surroundings(world: World, **changes: Any) -> str:
    """What the queue's page says of the machine."""
    return render_backtests._surroundings(seen(world, **changes).state(0))[0]


def test_an_io_pressure_that_nobody_understands_is_no_telemetry(world: World) -> None:
    world.queued()
    unreadable = {"io_measure": IoMeasure.UNREADABLE, "io_pressure": None}
    assert said(world, **unreadable) == ("NO_TELEMETRY", "telemetry")
    assert surroundings(world, **unreadable).endswith("nothing starts there: its I/O pressure cannot be read")


def test_a_system_without_any_io_pressure_runs_backtests_and_says_so(world: World) -> None:
    world.queued()
    nothing = {"io_measure": IoMeasure.NONE, "io_pressure": None}
    assert said(world, **nothing) == ("FREE", "")
    assert surroundings(world, **nothing).endswith("load 0.1, I/O pressure unknown")


def test_gpus_that_cannot_be_read_are_no_telemetry_of_them_alone(world: World) -> None:
    world.queued(resource_class=ResourceClass.GPU_HEAVY)
    unread = {"gpu": None, "gpu_used": None}
    assert said(world, **unread) == ("NO_TELEMETRY", "GPUs")
    assert surroundings(world, **unread).endswith("its GPUs cannot be read: nothing that needs one starts there")


def test_a_known_io_pressure_needs_no_word(world: World) -> None:
    assert surroundings(world, io_measure=IoMeasure.IOWAIT, io_pressure=20).endswith("load 0.1")
    assert surroundings(world).endswith("load 0.1"), "a reading of an earlier version"


def test_a_full_disk_admits_nothing_and_is_the_blocker_of_all(world: World) -> None:
    waiting = [world.queued(lookback=40 + number) for number in range(2)]
    found = seen(world, disk_free_mb=1_023)
    decided = plan(found.snapshot)
    codes = zip(decided.queue.reason.tolist(), decided.queue.blocker.tolist(), strict=True)
    assert [decided.words(*code) for code in codes] == [("LOW_DISK", "disks")] * len(waiting)
    assert surroundings(world, disk_free_mb=1_023).endswith(
        "nothing starts there: 1,023 MB free on its disk, least_disk_free_mb is 1,024"
    )


def test_the_page_knows_no_start_of_what_waits_for_somebody_to_free_a_disk(world: World) -> None:
    world.queued()
    with world.database.connect(Role.ORCHESTRATOR) as session:
        found = seen(world, disk_free_mb=0)
        save_decisions(session, found.now, _decisions(found, plan(found.snapshot), {}))
    status = queue_status(world.database, world.pipeline.policy.scheduler)
    (waits,) = status.to_json_dict()["waiting"]
    assert (waits["reason"], waits["expected_start_is_known"]) == ("LOW_DISK", False)
    (row,) = status.waiting
    assert row.decision is not None and render_backtests._start(row.decision).startswith("not known, looked at again")


def test_the_page_tells_of_the_run_queue(world: World) -> None:
    state = replace(seen(world), run_queue=RunQueue(under_way=5, queued=2, others=3, limit=8)).state(0)
    assert "Dagster has 5 of 8 runs under way and 2 in its queue" in render_backtests._surroundings(state)


def test_a_disk_with_just_enough_free_admits(world: World) -> None:
    world.queued()
    assert said(world, disk_free_mb=1_024) == ("FREE", "")
    assert surroundings(world, disk_free_mb=1_024).endswith("load 0.1")


def test_a_full_disk_closes_a_machine_that_others_wait_to_end_on(world: World) -> None:
    """What ends there gives back no room; the machine beside it takes what fits."""
    begin(world, NODE, ResourceClass.CPU_HEAVY)
    experiment = world.queued(lookback=99)
    with world.database.connect(Role.ORCHESTRATOR) as session:
        save_reading(session, "beside", dict(seen(world).readings[NODE]))
    found = seen(world, disk_free_mb=0)
    decided = plan(found.snapshot)
    assert decided.queue.ids.tolist() == [str(experiment.experiment_id)]
    assert decided.nodes[int(decided.queue.node[0])] == "beside"
    assert not decided.running.preempted.any(), "what runs there goes on"


def test_where_not_every_disk_is_full_it_is_not_the_disk_that_is_waited_for(world: World) -> None:
    world.queued()
    with world.database.connect(Role.ORCHESTRATOR) as session:
        save_reading(session, "beside", {**seen(world).readings[NODE], "cpu_used": 64_000 * 60})
    assert said(world, disk_free_mb=0) == ("NO_CAPACITY", "nodes")
