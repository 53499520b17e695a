"""Helpers: attempts at an experiment's backtest, begun and ended the proper way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kronos.core.backtests.attempts import Attempt, AttemptOutcome
from kronos.core.backtests.spec import BacktestSpec
from kronos.core.changes.model import Experiment
from kronos.core.vocabulary import ExperimentStatus
from kronos.store.backtests import PieceRecord, admit, attempts_of, end_attempt, record_piece, save_spec
from kronos.store.database import Database, Role
from kronos.store.experiments import move_experiment, record_result
from kronos_tests.core.backtests.specs import spec
from kronos_tests.store.changes import END, LEASE, START, at_status, begin

QUEUED, RUNNING = ExperimentStatus.QUEUED_FOR_BACKTEST, ExperimentStatus.RUNNING_BACKTESTS
NEW, OLD = "code-2", "code-1"
"""Versions of the code."""


def admitted(database: Database, experiment: Experiment | None = None, **changes: Any) -> Experiment:
    """A queued experiment (None: a new one) with its next attempt begun on node n0."""
    queued = experiment or at_status(database, QUEUED)
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session, "Kronos")
        moved = move_experiment(session, queued.experiment_id, [QUEUED], RUNNING, leased_until=LEASE)
        usual: dict[str, Any] = {
            "node": "n0",
            "batch": moved.experiment_id,
            "leave_by": None,
            "pieces": 1,
            "pieces_before": 0,
        }
        admit(session, moved.experiment_id, moved.attempt, **{**usual, **changes})
    return moved


def ended(
    database: Database,
    experiment: Experiment,
    outcome: AttemptOutcome = AttemptOutcome.PREEMPTED,
    target: ExperimentStatus = QUEUED,
) -> Experiment:
    """The experiment after its attempt ended so."""
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session, "Kronos")
        assert end_attempt(session, experiment.experiment_id, outcome, attempt=experiment.attempt, why="because")
        return move_experiment(session, experiment.experiment_id, [RUNNING], target, attempt=experiment.attempt)


def attempts(database: Database, experiment: Experiment) -> list[Attempt]:
    """Every attempt of the experiment."""
    with database.connect(Role.READER) as session:
        return attempts_of(session, experiment.experiment_id)


def spec_of(experiment: Experiment, **changes: Any) -> BacktestSpec:
    """A spec of the experiment's backtest."""
    return spec(experiment_id=str(experiment.experiment_id), **changes)


def record(
    database: Database,
    experiment: Experiment,
    *pieces: str,
    attempt: int | None = None,
    code: str = NEW,
    seed: int = 7,
    **changes: Any,
) -> None:
    """Checkpoints of the experiment's attempt, or of another one; seed: of the spec."""
    one = spec_of(experiment, seed=seed)
    usual: dict[str, Any] = {"lake": {"backtest_cells": "t:3"}, "counts": {"decisions": 5}, "seconds": 1.5}
    made = {**usual, "refused": None, "attempt": attempt or experiment.attempt, **changes}
    with database.connect(Role.ORCHESTRATOR) as session:
        save_spec(session, experiment.experiment_id, one)
        for piece in pieces:
            record_piece(session, experiment.experiment_id, one.digest, code, PieceRecord(piece=piece, **made))


def resulted(
    database: Database, experiment: Experiment, sharpe: float, *, attempt: int, detail: Mapping[str, Any] | None = None
) -> None:
    """Write a result of the whole period."""
    with database.connect(Role.ORCHESTRATOR) as session:
        record_result(
            session,
            experiment.experiment_id,
            (START, END),
            attempt=attempt,
            metrics={"sharpe": sharpe},
            by_regime={},
            by_market={},
            by_stability_bucket={},
            provenance={},
            detail=detail,
        )
