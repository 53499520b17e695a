"""Work on one attempt of an experiment's backtest: piece by piece, with a checkpoint after each.

The lake is written first, the record of the piece second and only by the attempt that holds the experiment: an attempt
that lost it, to another worker or to a person, finds out at its next heartbeat and leaves nothing that counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import polars as pl

from kronos.core.backtests.attempts import AttemptOutcome, standing
from kronos.core.backtests.runner import Produced, Runner
from kronos.core.backtests.spec import BacktestSpec, Task, tasks
from kronos.core.cells import build_cells
from kronos.core.changes.model import Experiment
from kronos.core.changes.request import KRONOS
from kronos.core.facts import FactsBatch, build_facts
from kronos.core.frames import (
    FRAGILITY,
    PIECE_KEY,
    REGIMES,
    REVISIONS,
    SOFT_TARGETS,
    STABILITY,
    Contexts,
    Schema,
    empty,
)
from kronos.core.scenarios.battery import Played, by_running
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import BacktestFailed, ChangeRefused
from kronos.lake.tables import BACKTESTS
from kronos.services.backtest_spec import backtest_spec
from kronos.services.experiments import changing, find_experiment
from kronos.services.pipeline import Pipeline
from kronos.services.sessions import market_sessions
from kronos.services.workplace import Workplace
from kronos.settings import RecordedBy
from kronos.store import backtests as store
from kronos.store.backtests import PieceRecord, Renewed
from kronos.store.database import Role
from kronos.store.experiments import move_experiment

_NO_HORIZONS: Schema = {"engine_name": pl.String, "config_id": pl.String, "horizon": pl.Int32}
_NO_CONTEXTS = Contexts(*(empty(schema) for schema in (REGIMES, STABILITY, FRAGILITY, SOFT_TARGETS)))
"""Scenarios are played on dates that are not those of the world: nothing is known about them."""


class Leaving(Exception):
    """The run has to go, with what it has: the experiment returns to the queue."""


class Fenced(Exception):
    """The attempt no longer holds the experiment: somebody else decides about it."""


@dataclass(frozen=True)
class Bench:
    """What a worker works with. runner: opens the engine's runner; markets: where the engine is tested."""

    workplace: Workplace
    pipeline: Pipeline
    now: datetime
    runner_name: str
    runner: Callable[[], Runner]
    markets: tuple[str, ...]
    say: Callable[[str], None] = field(default=lambda _: None)


@dataclass(frozen=True)
class Worked:
    """An attempt that made every piece. refused: scenarios that could not be played, with the reason."""

    spec: BacktestSpec
    pieces: Mapping[str, PieceRecord]
    refused: Mapping[str, str]


def run_backtest(bench: Bench, experiment_id: UUID, attempt: int, run_id: str) -> Worked | None:
    """Make the missing pieces of an experiment's backtest; None when the run is not wanted, or no longer.

    Told to leave, it finishes the piece it is at if that takes no longer than it may, and hands the experiment back to
    the queue. A failure hands it back too, or rejects it when it failed too often or would fail again.
    """
    if not _taken_up(bench, experiment_id, attempt, run_id):
        bench.say(f"attempt {attempt} is another run's, or over")
        return None
    watch = _Watch(bench, experiment_id, attempt)
    with _handing_back(bench, experiment_id, attempt):
        return _work(bench, find_experiment(bench.workplace.database, experiment_id), attempt, watch)
    return None


def _work(bench: Bench, experiment: Experiment, attempt: int, watch: _Watch) -> Worked:
    spec = backtest_spec(
        bench.workplace.database,
        bench.pipeline.policy,
        experiment,
        runner=bench.runner_name,
        markets=bench.markets,
        now=bench.now,
    )
    runner = bench.runner()
    try:
        played, refused = _playable(spec, runner)
        wanted = list(tasks(spec, played))
        done = _begin(bench, experiment.experiment_id, attempt, spec, len(wanted))
        for task in wanted:
            if task.piece not in done:
                watch.between_pieces()
                done[task.piece] = _make(bench, experiment.experiment_id, attempt, spec, task, runner, watch)
                bench.say(f"{task.piece}: {len(done)} of {len(wanted)} pieces")
    finally:
        runner.close()
    not_made = {one.piece.removeprefix("scenario-"): one.refused for one in done.values() if one.refused is not None}
    return Worked(spec, done, {**refused, **not_made})


def _playable(spec: BacktestSpec, runner: Runner) -> tuple[Sequence[Played], dict[str, str]]:
    """The scenarios the runner can play, and why not the others."""
    why = {scenario.name: runner.unsupported(scenario) for scenario in by_running(spec.battery)}
    played = [scenario for scenario in by_running(spec.battery) if why[scenario.name] is None]
    return played, {name: reason for name, reason in why.items() if reason is not None}


def _begin(bench: Bench, experiment_id: UUID, attempt: int, spec: BacktestSpec, pieces: int) -> dict[str, PieceRecord]:
    """Keep the spec, say how many pieces there are, and read which of them stand."""
    with bench.workplace.database.connect(Role.ORCHESTRATOR) as session:
        store.save_spec(session, experiment_id, spec)
        store.plan_pieces(session, experiment_id, attempt, pieces)
        return store.pieces_of(session, experiment_id, spec.digest, bench.workplace.code_version)


def _make(
    bench: Bench, experiment_id: UUID, attempt: int, spec: BacktestSpec, task: Task, runner: Runner, watch: _Watch
) -> PieceRecord:
    """Run a task, add its rows up, write them, and record the checkpoint."""
    started = time.monotonic()
    refused = None
    try:
        produced = runner.run(task, watch)
    except BacktestFailed as failed:
        if task.scenario is None or not failed.final:
            raise
        refused, produced = str(failed), Produced.nothing()
    watch()
    tables = piece_tables(bench.pipeline, task, produced)
    watch()
    where = {"experiment": [spec.experiment_id], "piece": [task.piece]}
    marks = {table: bench.pipeline.lake.replace(table, df, where) for table, df in tables.items()}
    record = PieceRecord(task.piece, attempt, marks, _counts(produced), round(time.monotonic() - started, 3), refused)
    with bench.workplace.database.connect(Role.ORCHESTRATOR) as session:
        store.record_piece(session, experiment_id, spec.digest, bench.workplace.code_version, record)
    return record


def piece_tables(pipeline: Pipeline, task: Task, produced: Produced) -> dict[str, pl.DataFrame]:
    """Facts and cells of a task's rows, by the same code as those of live decisions."""
    decisions, outcomes = produced.decisions, produced.outcomes
    longest = max([0, *outcomes["horizon"].unique()])
    sessions = market_sessions(pipeline.policy, decisions["market_id"].unique(), task.start, task.end, longest)
    facts = build_facts(
        decisions,
        outcomes,
        pipeline.source.contexts(task.start, task.end) if task.scenario is None else _NO_CONTEXTS,
        sessions,
        empty(_NO_HORIZONS),
        pipeline.policy,
        # when Kronos first saw a label says nothing about a decision that was never made
        recorded=pipeline.recorded_by is RecordedBy.RECORDED,
    )
    cells = build_cells(FactsBatch(facts.facts, empty(REVISIONS)), pipeline.policy)
    frames = {
        "facts": facts.facts,
        "cells": cells.cells,
        "calibration_cells": cells.calibration,
        "confusion_cells": cells.confusion,
    }
    key = dict(zip(PIECE_KEY, (task.experiment_id.partition("/")[0], task.piece), strict=True))
    labels = [pl.lit(value).alias(name) for name, value in key.items()]
    return {BACKTESTS + name: df.select(*labels, *df.columns) for name, df in frames.items()}


def _counts(produced: Produced) -> dict[str, int]:
    rejected = dict(produced.rejected.group_by("rule").len().sort("rule").iter_rows())
    counts = {"decisions": produced.decisions.height, "outcomes": produced.outcomes.height}
    return counts | {f"rejected {rule}": count for rule, count in rejected.items()}


@dataclass
class _Watch:
    """The heartbeat: prolongs the lease, hears what is wanted, and stops the work when it has to stop."""

    bench: Bench
    experiment_id: UUID
    attempt: int
    _beat: float = 0.0
    _gone_by: float | None = None
    _why: str = ""

    def __call__(self) -> None:
        """Raise `Fenced` when the experiment is lost, `Leaving` when there is no more time for this piece."""
        now = time.monotonic()
        terms = self.bench.pipeline.policy.backtests
        if now - self._beat >= terms.heartbeat.total_seconds():
            self._beat = now
            self._heed(self._renewed(terms.lease.total_seconds()), now)
        if self._gone_by is not None and now >= self._gone_by:
            raise Leaving(self._why)

    def between_pieces(self) -> None:
        """As a call, but who has to leave begins nothing new."""
        self._beat = 0.0
        self()
        if self._gone_by is not None:
            raise Leaving(self._why)

    def _renewed(self, lease_seconds: float) -> Renewed:
        with self.bench.workplace.database.connect(Role.ORCHESTRATOR) as session:
            renewed = store.renew(session, self.experiment_id, self.attempt, lease_seconds)
        if renewed is None:
            raise Fenced
        return renewed

    def _heed(self, renewed: Renewed, now: float) -> None:
        over = renewed.seconds_left is not None and renewed.seconds_left <= 0.0
        if renewed.forced:
            self._gone_by, self._why = now, renewed.why
        elif (renewed.told or over) and self._gone_by is None:
            leave = self.bench.pipeline.policy.backtests.leave
            self._gone_by, self._why = now + leave.total_seconds(), renewed.why or "its time before the window is over"


def _taken_up(bench: Bench, experiment_id: UUID, attempt: int, run_id: str) -> bool:
    with bench.workplace.database.connect(Role.ORCHESTRATOR) as session:
        try:
            return store.take_up(session, experiment_id, attempt, run_id)
        except ChangeRefused:
            return False


@contextmanager
def _handing_back(bench: Bench, experiment_id: UUID, attempt: int) -> Iterator[None]:
    """Whatever ends the block early ends the attempt: what is told away ends quietly, a failure goes on."""
    try:
        yield
    except Fenced:
        bench.say("the experiment was taken away: nothing of this attempt counts from here on")
    except Leaving as leaving:
        bench.say(f"left: {leaving}")
        hand_back(bench.workplace, experiment_id, attempt, AttemptOutcome.PREEMPTED, str(leaving))
    except Exception as error:
        final = isinstance(error, BacktestFailed) and error.final
        hand_back(bench.workplace, experiment_id, attempt, AttemptOutcome.CRASHED, str(error), final=final)
        raise
    except BaseException:
        # stopped from outside: by a signal, or by whoever cancelled the run
        hand_back(bench.workplace, experiment_id, attempt, AttemptOutcome.PREEMPTED, "the run was stopped")
        raise


def hand_back(
    workplace: Workplace,
    experiment_id: UUID,
    attempt: int,
    outcome: AttemptOutcome,
    why: str,
    *,
    final: bool = False,
) -> bool:
    """End an attempt that did not complete: back to the queue, or rejected after too many failures or a final one.

    False when the attempt is over already, whoever ended it.
    """
    retries = workplace.policy.scheduler.retries
    with changing(workplace, KRONOS, f"{outcome}: {why}") as session:
        if not store.end_attempt(session, experiment_id, outcome, attempt=attempt, why=why):
            return False
        now = standing(store.attempts_of(session, experiment_id), retries)
        failed = outcome in (AttemptOutcome.CRASHED, AttemptOutcome.LOST) and (final or now.given_up(retries))
        target = ExperimentStatus.REJECTED if failed else ExperimentStatus.QUEUED_FOR_BACKTEST
        move_experiment(session, experiment_id, [ExperimentStatus.RUNNING_BACKTESTS], target, attempt=attempt)
    return True
