"""Scheduler and workers change the same rows at once, and neither waits for the other."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from kronos.core.backtests.attempts import AttemptOutcome
from kronos.core.vocabulary import ExperimentStatus
from kronos.services import scheduling
from kronos.services.attempts import hand_back
from kronos.services.scheduling import RunState, Scheduling, tick
from kronos.store.backtests import take_up
from kronos.store.database import Database
from kronos_tests.builders import insert
from kronos_tests.services.backtest_world import World, backtest_world, no_runs, trading_job

LONGEST_S = 30.0


def ticked(world: World) -> None:
    tick(Scheduling(world.settings, world.workplace, world.pipeline, lambda _: RunState.BEGUN, no_runs))


def test_a_worker_hands_back_while_the_tick_that_told_it_to_is_still_admitting(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both take the change log's lock: a tick that held the attempt's row meanwhile would wait for ever."""
    with backtest_world(database, tmp_path) as world:
        experiment = world.queued()
        ticked(world)
        with world.database.connect() as session:
            assert take_up(session, experiment.experiment_id, 1, "run")
        insert(database, job_executions=[trading_job()])
        admit, leaving = scheduling._admit, _leaving(world, experiment.experiment_id)

        def admit_while_it_leaves(*given: Any) -> Any:
            leaving.start()
            leaving.join(LONGEST_S)
            assert not leaving.is_alive()
            return admit(*given)

        monkeypatch.setattr(scheduling, "_admit", admit_while_it_leaves)
        ticked(world)
        (attempt,) = world.attempts(experiment.experiment_id)
        assert (attempt.outcome, attempt.told_at is not None) == (AttemptOutcome.PREEMPTED, True)
        assert world.now(experiment).status is ExperimentStatus.QUEUED_FOR_BACKTEST


def _leaving(world: World, experiment_id: Any) -> Thread:
    given = (world.workplace, experiment_id, 1, AttemptOutcome.PREEMPTED, "told to")
    return Thread(target=hand_back, args=given, daemon=True)
