"""A tick while the source or the lake cannot be read: it plans all the same, starts nothing, and says why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import pytest

from kronos.cli import render_backtests
from kronos.core.policy import ObservationPolicy
from kronos.core.vocabulary import ExperimentStatus
from kronos.services.backtest_queue import QueueStatus, queue_status
from kronos.services.pipeline import Pipeline
from kronos.services.scheduling import Scheduling, tick
from kronos.settings import Dialect, RecordedBy
from kronos.sources.reader import SourceReader
from kronos.store.database import Database
from kronos_tests.services.backtest_world import World, backtest_world, no_runs

NOBODY = "postgresql://kronos@127.0.0.1:1/upstream"


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    with backtest_world(database, tmp_path) as found:
        yield found


def ticked(world: World, pipeline: Pipeline) -> QueueStatus:
    """The queue after a tick."""
    tick(Scheduling(world.settings, world.workplace, pipeline, lambda _: None, no_runs))
    return queue_status(world.database, world.pipeline.policy.scheduler)


def without_source(world: World) -> Pipeline:
    reader = SourceReader(NOBODY, Dialect.SPEC, RecordedBy.RECORDED, ObservationPolicy())
    return replace(world.pipeline, source=reader)


def lose_lake(world: World) -> None:
    """The table's log is there, its rows are not."""
    rmtree(Path(world.settings.lake, "cells", "month=1996-12"))


def reasons(found: QueueStatus) -> list[tuple[str, str]]:
    return [(one.decision.reason, one.decision.blocker) for one in found.waiting if one.decision is not None]


def page(found: QueueStatus) -> str:
    assert found.state is not None and not found.silent
    return "; ".join(render_backtests._surroundings(found.state))


def test_a_source_that_is_not_there_starts_nothing_and_is_named(world: World) -> None:
    world.queued()
    found = ticked(world, without_source(world))
    assert reasons(found) == [("TIER1_UNKNOWN", "tier 1")]
    assert "nobody knows what tier 1 does: the source database 'upstream' at 127.0.0.1:1 cannot be used" in page(found)
    assert found.to_json_dict()["unread"].startswith("the source database 'upstream'")


def test_what_runs_goes_on_while_the_source_is_away_and_starting_resumes_with_it(world: World) -> None:
    running = world.queued()
    ticked(world, world.pipeline)
    waiting = world.queued(lookback=42)
    ticked(world, without_source(world))
    assert world.attempts(running.experiment_id)[0].told_at is None
    found = ticked(world, world.pipeline)
    assert world.now(waiting).status is ExperimentStatus.RUNNING_BACKTESTS
    assert found.to_json_dict()["unread"] is None


def test_while_the_lake_is_away_the_markets_of_the_last_plan_keep_their_windows(world: World) -> None:
    running = world.queued()
    ticked(world, world.pipeline)
    world.queued(lookback=42)
    lose_lake(world)
    for _ in range(2):
        found = ticked(world, world.pipeline)
    assert reasons(found) == [("TIER1_UNKNOWN", "tier 1")]
    assert "the lake" in page(found) and page(found).endswith("(US_EQ)")
    assert world.attempts(running.experiment_id)[0].told_at is None


def test_a_lake_that_was_never_read_leaves_no_window_to_plan_by(world: World) -> None:
    world.queued()
    lose_lake(world)
    found = ticked(world, world.pipeline)
    assert reasons(found) == [("NO_CALENDAR", "no market is observed")]
    assert "the lake" in page(found)
