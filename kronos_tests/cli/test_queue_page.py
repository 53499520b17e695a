"""What `kronos experiment queue` and `show` say of what goes on, and of what nobody has looked at for long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from kronos.cli.render_backtests import print_attempts, print_queue
from kronos.services.backtest_queue import QueueStatus, queue_status
from kronos.services.scheduling import Scheduling, tick
from kronos.store.database import Database
from kronos_tests.services.backtest_world import World, backtest_world, no_runs
from kronos_tests.store.attempts import record

AS_OF = "as of the last plan"


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    with backtest_world(database, tmp_path) as found:
        yield found


def printed(show: Callable[[Any, Console], None], found: Any) -> str:
    with Console(width=250) as console, console.capture() as shown:
        show(found, console)
    return " ".join(shown.get().split())


def status(world: World) -> QueueStatus:
    """The queue after a tick."""
    tick(Scheduling(world.settings, world.workplace, world.pipeline, lambda _: None, no_runs))
    return queue_status(world.database, world.pipeline.policy.scheduler)


def test_an_open_attempt_has_the_pieces_that_the_queue_says(world: World) -> None:
    experiment = world.queued()
    found = status(world)
    record(world.database, world.now(experiment), "first", attempt=1)
    assert "0 to 1 of" in printed(print_attempts, world.attempts(experiment.experiment_id))
    assert "1 of" in printed(print_queue, queue_status(world.database, world.pipeline.policy.scheduler))
    assert found.running


def test_what_waits_for_its_turn_in_a_batch_is_not_starting(world: World) -> None:
    world.queued()
    found = status(world)
    first = found.running[0]
    assert "starting" in printed(print_queue, found)
    assert "its turn in its batch" in printed(print_queue, replace(found, running=[replace(first, begun=True)]))
    at_work = replace(first, attempt=replace(first.attempt, started_at=found.now), begun=True)
    assert "its turn" not in printed(print_queue, replace(found, running=[at_work]))


def test_what_a_silent_scheduler_said_last_is_as_of_then(world: World) -> None:
    for number in range(4):
        world.queued(lookback=40 + number)
    found = status(world)
    silent = printed(print_queue, replace(found, silent=True))
    assert f"{AS_OF}: " in silent and f"reasons and expected starts {AS_OF}: until there is another" in silent
    assert AS_OF not in printed(print_queue, found)
