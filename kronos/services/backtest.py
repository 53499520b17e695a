"""Work on one attempt of an experiment's backtest: piece by piece, with a checkpoint after each.

The lake is written first, the record of the piece second and only by the attempt that holds the experiment: an attempt
that lost it, to another worker or to a person, finds out at its next heartbeat and leaves nothing that counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import polars as pl

from kronos.core.backtests.again import last_completed, tried_again
from kronos.core.backtests.attempts import Attempt, standing
from kronos.core.backtests.neighbours import LeftOut, left_out
from kronos.core.backtests.runner import ChosenRunner, Produced, Runner
from kronos.core.backtests.spec import BacktestSpec, Task, build_of, experiment_of, is_probe, kept_as, round_of, tasks
from kronos.core.cells import build_cells
from kronos.core.changes.model import Experiment
from kronos.core.facts import FactsBatch, build_facts
from kronos.core.frames import (
    BACKTESTS,
    FRAGILITY,
    REGIMES,
    REVISIONS,
    SOFT_TARGETS,
    STABILITY,
    Contexts,
    Schema,
    empty,
)
from kronos.lake.backtests import lake_of
from kronos.services.attempts import REJECTED, Bench, Heartbeat, handing_back, taken_up
from kronos.services.backtest_results import conclude
from kronos.services.backtest_rows import rows_of, within_data
from kronos.services.backtest_spec import backtest_spec
from kronos.services.code_version import require_unchanged
from kronos.services.experiments import find_experiment
from kronos.services.pipeline import Pipeline
from kronos.services.probes import probe
from kronos.services.sessions import market_sessions
from kronos.settings import RecordedBy
from kronos.store import backtests as store
from kronos.store.backtests import PieceRecord
from kronos.store.database import Role

_HORIZONS: Schema = {"engine_name": pl.String, "config_id": pl.String, "horizon": pl.Int32}
_NO_CONTEXTS = Contexts(*(empty(schema) for schema in (REGIMES, STABILITY, FRAGILITY, SOFT_TARGETS)))
"""Scenarios are played on dates that are not those of the world: nothing is known about them."""


def run_backtest(bench: Bench, experiment_id: UUID, attempt: int, run_id: str) -> Experiment | None:
    """Make the missing pieces of an experiment's backtest and write its results; None when they are no longer wanted.

    Told to leave, it finishes the piece it is at if that takes no longer than it may, and hands the experiment back to
    the queue. A failure hands it back too, or rejects it when it failed too often or would fail again.
    """
    if not taken_up(bench, experiment_id, attempt, run_id):
        bench.say(f"attempt {attempt} is another run's, or over")
        return None
    heartbeat = Heartbeat(bench, experiment_id, attempt)
    with handing_back(bench, experiment_id, attempt):
        experiment = find_experiment(bench.workplace.database, experiment_id)
        chosen = bench.choose(experiment)
        spec = backtest_spec(bench.pipeline, experiment, chosen, bench.now, bench.workplace.check_config)
        pieces = _work(bench, attempt, spec, chosen, heartbeat)
        return conclude(bench, experiment, attempt, spec, pieces, heartbeat)
    return None


def _work(
    bench: Bench, attempt: int, spec: BacktestSpec, chosen: ChosenRunner, heartbeat: Heartbeat
) -> Sequence[PieceRecord]:
    """Every piece of the backtest, those that were missing made, and what failed before it was last completed."""
    experiment_id = UUID(spec.experiment_id)
    with bench.workplace.database.connect(Role.ORCHESTRATOR) as session:
        store.save_spec(session, experiment_id, spec)
        done = store.pieces_of(session, experiment_id, spec.digest, bench.workplace.code_version)
        attempts = store.attempts_of(session, experiment_id)
        wanted = [*tasks(spec), *_tried_again(spec, done.values(), attempts)]
        total = len(done.keys() | {task.piece for task in wanted})
        store.plan_pieces(session, experiment_id, attempt, total, len(done))
        last_try = _last_try(bench, attempts, len(done))
    runner = chosen.open()
    try:
        for task in wanted:
            if task.piece not in done:
                heartbeat.between_pieces()
                asked = _without_left_out(task, done.values())
                record = _made(bench, attempt, spec, asked, runner, heartbeat, last_try=last_try(len(done)))
                with bench.workplace.database.connect(Role.ORCHESTRATOR) as session:
                    store.record_piece(session, experiment_id, spec.digest, bench.workplace.code_version, record)
                done[task.piece] = record
                bench.say(f"{task.piece}: {len(done)} of {total} pieces")
    finally:
        runner.close()
    return list(done.values())


def _tried_again(spec: BacktestSpec, done: Iterable[PieceRecord], attempts: Sequence[Attempt]) -> Iterable[Task]:
    """The pieces of this round over what failed in earlier ones: the same in each of its attempts."""
    number, completed = last_completed(attempts)
    return tried_again(spec, [one for one in done if one.attempt <= completed], number)


def _last_try(bench: Bench, attempts: Sequence[Attempt], stood: int) -> Callable[[int], bool]:
    """Whether a failure after so many pieces, of which some stood at the beginning, would be one too many."""
    retries = bench.workplace.policy.scheduler.retries
    before = standing([one for one in attempts if one.outcome is not None], retries)
    return lambda done: before.last_try(retries, gained=done > stood)


def _without_left_out(task: Task, done: Iterable[PieceRecord]) -> Task:
    """The task without the neighbours that an earlier piece of its round could not have: they are out of all of it."""
    found = [piece.found for piece in done if round_of(piece.piece) == round_of(task.piece)]
    out = {name for kind in LeftOut for name in left_out(found, kind)}
    return task.model_copy(update={"subjects": tuple(one for one in task.subjects if one.config_id not in out)})


def _made(
    bench: Bench,
    attempt: int,
    spec: BacktestSpec,
    task: Task,
    runner: Runner,
    heartbeat: Heartbeat,
    *,
    last_try: bool,
) -> PieceRecord:
    """Run a task, add its rows up and write them; of a probe nothing but what it found.

    A runner's child process loads the code that is there when it begins: what it gave counts as this process's only if
    that is still the same.
    """
    started = time.monotonic()
    if is_probe(task.piece):
        found = probe(task, spec.freshness_sessions, runner, heartbeat)
        require_unchanged()
        return PieceRecord(task.piece, attempt, {}, {}, _since(started), None, found)
    if not task.subjects:
        return PieceRecord(task.piece, attempt, {}, {}, _since(started), None)
    produced, unplayed, missing = rows_of(task, runner, heartbeat, last_try=last_try)
    require_unchanged()
    heartbeat()
    produced = within_data(bench.pipeline.policy, task, produced)
    kept = kept_as(task.piece, build_of(spec.digest, bench.workplace.code_version))
    tables = piece_tables(bench.pipeline, task, produced, kept)
    heartbeat()
    lake = lake_of(bench.pipeline.lake, experiment_of(task.experiment_id))
    marks = {table: lake.replace(table, df, {"piece": [kept]}) for table, df in tables.items()}
    if round_of(task.piece) > 1 and task.scenario is None:
        missing = {one.config_id: {} for one in task.subjects} | missing
    why, failed = (None, False) if unplayed is None else (unplayed.why, unplayed.failed)
    counts = _counts(produced)
    return PieceRecord(task.piece, attempt, marks, counts, _since(started), why, missing or None, failed)


def piece_tables(pipeline: Pipeline, task: Task, produced: Produced, kept: str) -> dict[str, pl.DataFrame]:
    """Facts and cells of a task's rows, by the same code as those of live decisions; kept: the piece's name there."""
    decisions, outcomes = produced.decisions, produced.outcomes
    due = _due_horizons(task, outcomes, pipeline.policy.horizon_of(task.engine_name))
    longest: Any = due["horizon"].max()
    sessions = market_sessions(pipeline.policy, decisions["market_id"].unique(), task.start, task.end, longest)
    facts = build_facts(
        decisions,
        outcomes,
        _contexts(pipeline, task, decisions) if task.scenario is None else _NO_CONTEXTS,
        sessions,
        due,
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
    return {BACKTESTS + name: df.select(pl.lit(kept).alias("piece"), pl.all()) for name, df in frames.items()}


def _due_horizons(task: Task, outcomes: pl.DataFrame, primary: int) -> pl.DataFrame:
    """Every config owes outcomes at the engine's primary horizon, and at those at which any of the piece has one.

    What one config alone lacks in a whole piece is missing there: nobody chooses the folds in which he is seen.
    """
    horizons = pl.DataFrame({"horizon": sorted({primary, *outcomes["horizon"].unique()})}, {"horizon": pl.Int32})
    configs = pl.DataFrame({"config_id": [one.config_id for one in task.subjects]}, {"config_id": pl.String})
    crossed = configs.join(horizons, how="cross").with_columns(engine_name=pl.lit(task.engine_name))
    return crossed.select(pl.col(name).cast(dtype) for name, dtype in _HORIZONS.items())


def _contexts(pipeline: Pipeline, task: Task, decisions: pl.DataFrame) -> Contexts:
    """What the source knew when the piece's decisions would have been made; it need not hold any of that time."""
    first: Any = decisions["decided_at"].min()
    return pipeline.source.contexts(task.start, task.end, decided_from=first)


def _counts(produced: Produced) -> dict[str, int]:
    rejected = dict(produced.rejected.group_by("rule").len().sort("rule").iter_rows())
    counts = {"decisions": produced.decisions.height, "outcomes": produced.outcomes.height}
    return counts | {f"{REJECTED}{rule}": count for rule, count in rejected.items()}


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
