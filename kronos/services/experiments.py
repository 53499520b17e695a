"""Experiments: create, put in the queue, take out, and read. Each change is one transaction with its log entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

import psycopg

from kronos.core.backtests.attempts import Attempt, AttemptOutcome
from kronos.core.changes.model import Experiment, ExperimentResult
from kronos.core.changes.request import (
    CONTROLS,
    KRONOS,
    CheckedRequest,
    EngineDates,
    ExperimentRequest,
    checked,
    checked_dates,
    checked_priority,
    text,
    word,
)
from kronos.core.controls.model import split_body
from kronos.core.vocabulary import ExperimentStatus, TrialFamily, TrialSource
from kronos.errors import BadValue, NotFound
from kronos.services.identifiers import by_prefix
from kronos.services.workplace import Workplace
from kronos.store.backtests import attempts_of, end_attempt
from kronos.store.change_log import begin_change
from kronos.store.database import Database, Role
from kronos.store.engine_configs import EngineConfig, bodiless_configs, list_configs, register
from kronos.store.experiments import (
    NewExperiment,
    insert_experiment,
    matching_experiments,
    move_experiment,
    results_of,
)
from kronos.store.experiments import list_experiments as stored_experiments
from kronos.store.trials import Trial, count_trials, record_trial

if TYPE_CHECKING:
    from kronos.core.changes.power import PowerPlan

Session = psycopg.Connection[Any]


@dataclass(frozen=True)
class Identity:
    """Ids of an experiment and of its config that are fixed beforehand, and what its metadata says besides."""

    experiment_id: UUID
    config_id: str
    about: Mapping[str, Any]


FIRST_VERSION = "1"
OPEN = (
    ExperimentStatus.PENDING,
    ExperimentStatus.QUEUED_FOR_BACKTEST,
    ExperimentStatus.RUNNING_BACKTESTS,
    ExperimentStatus.AWAITING_REVIEW,
)
"""Statuses from which an experiment can still be cancelled."""
A_BODY: Final = (
    "one whose parameters are known: it was seen in decisions alone, and the source tells no body of it "
    "(engine_configs.config_body; in prometheus_v2 strategy_configs.config_json under its id or its only strategy's)"
)


def create_experiment(
    workplace: Workplace, request: ExperimentRequest, author: str, *, queued: bool = False
) -> Experiment:
    """Register the config under an id of its own, count the trial, and create the experiment; all or nothing.

    It is PENDING, or if wished in the queue at once. Raises `BadValue` for values that cannot be and `NotFound` for an
    unknown engine or base config.
    """
    data = workplace.data(request.engine_name)
    with changing(workplace, author) as session:
        made = create_within(session, workplace, request, author, data)
        return enqueue_within(session, made.experiment_id) if queued else made


def create_within(
    session: Session,
    workplace: Workplace,
    request: ExperimentRequest,
    author: str,
    data: EngineDates,
    *,
    auto_generated: bool | None = None,
    proposal_id: UUID | None = None,
    identity: Identity | None = None,
) -> Experiment:
    """`create_experiment` inside a transaction that has begun its change; data: the engine's dates."""
    automatic = author == KRONOS if auto_generated is None else auto_generated
    base = require_base(session, request.engine_name, request.base_config_id)
    if request.expected_outcome in CONTROLS and author != KRONOS:
        raise BadValue("expected outcome", request.expected_outcome, "CANDIDATE or BASELINE: Kronos makes the controls")
    asked = checked(request, data, workplace.policy.comparison.detectable_sharpe, auto_generated=automatic)
    _check_config(workplace, asked, base.config_body)
    workplace.check_dates(asked.engine_name, asked.start_date, asked.end_date)
    given = identity or _new_identity(asked)
    _register_proposed(session, asked, given.config_id, author)
    power = _power(session, workplace, asked)
    about = {**given.about, "power": power.to_json_dict()}
    new = NewExperiment(given.experiment_id, given.config_id, asked, automatic, about, proposal_id)
    return insert_experiment(session, new)


def enqueue(workplace: Workplace, experiment_id: UUID, author: str, *, priority: int | None = None) -> Experiment:
    """Put a pending experiment in the queue for its backtests."""
    with changing(workplace, author) as session:
        return enqueue_within(session, experiment_id, priority)


def enqueue_within(session: Session, experiment_id: UUID, priority: int | None = None) -> Experiment:
    """`enqueue` inside a transaction that has begun its change."""
    return move_experiment(
        session,
        experiment_id,
        [ExperimentStatus.PENDING],
        ExperimentStatus.QUEUED_FOR_BACKTEST,
        priority=_given(priority),
    )


def requeue(
    workplace: Workplace,
    experiment_id: UUID,
    author: str,
    reason: str,
    *,
    priority: int | None = None,
    end_date: date | None = None,
) -> Experiment:
    """Continue testing what awaits review or was approved and not promoted, which ends the approval.

    If wished with another priority and up to a later end date.
    """
    why = text("reason", reason)
    last = None if end_date is None else _later_end(workplace, experiment_id, end_date)
    with changing(workplace, author, why) as session:
        return move_experiment(
            session,
            experiment_id,
            [ExperimentStatus.AWAITING_REVIEW, ExperimentStatus.APPROVED],
            ExperimentStatus.QUEUED_FOR_BACKTEST,
            priority=_given(priority),
            end_date=last,
        )


def cancel(workplace: Workplace, experiment_id: UUID, author: str, reason: str) -> Experiment:
    """Reject an experiment that is still open; the reason stays with it."""
    why = text("reason", reason)
    with changing(workplace, author, why) as session:
        end_attempt(session, experiment_id, AttemptOutcome.CANCELLED, why=why)
        return move_experiment(session, experiment_id, OPEN, ExperimentStatus.REJECTED)


def list_experiments(database: Database, engine_name: str | None = None, status: str | None = None) -> list[Experiment]:
    """Experiments of an engine and status, or of all, oldest first."""
    wanted = None if status is None else word(ExperimentStatus, "status", status)
    with database.connect(Role.READER) as session:
        return stored_experiments(session, engine_name, wanted)


def find_experiment(database: Database, experiment_id: str | UUID) -> Experiment:
    """The experiment whose id is this or begins so; `NotFound`, or `BadValue` when several do."""
    with database.connect(Role.READER) as session:
        return by_prefix("experiment", str(experiment_id), lambda prefix: matching_experiments(session, prefix))


def experiment_results(database: Database, experiment_id: str | UUID) -> ExperimentResult:
    """The experiment and what its backtests gave so far."""
    with database.connect(Role.READER) as session:
        found = by_prefix("experiment", str(experiment_id), lambda prefix: matching_experiments(session, prefix))
        return ExperimentResult(found, results_of(session, found.experiment_id))


def attempts_at(database: Database, experiment_id: UUID) -> list[Attempt]:
    """Every start of an experiment's backtests, in order."""
    with database.connect(Role.READER) as session:
        return attempts_of(session, experiment_id)


def config_body_of(database: Database, engine_name: str, config_id: str) -> dict[str, Any]:
    """The parameters of a registered config."""
    with database.connect(Role.READER) as session:
        return require_base(session, engine_name, config_id).config_body


@contextmanager
def changing(workplace: Workplace, author: str, reason: str | None = None) -> Iterator[Session]:
    """A transaction of the change flow: it commits when the block ends, and leaves nothing when it fails."""
    with workplace.database.connect(Role.ORCHESTRATOR) as session:
        begin_change(session, author, reason, code_version=workplace.code_version, token=workplace.token_of(author))
        yield session


def require_base(session: Session, engine_name: str, config_id: str) -> EngineConfig:
    """The registered config of that engine; `NotFound` names the engines or configs there are.

    `BadValue` for one that decides and whose body upstream did not tell.
    """
    configs = list_configs(session)
    of_engine = {one.config_id: one for one in configs if one.engine_name == engine_name}
    if config_id in of_engine:
        return of_engine[config_id]
    without_body = bodiless_configs(session, engine_name)
    if config_id in without_body:
        raise BadValue(f"config of {engine_name}", config_id, A_BODY)
    if not of_engine and not without_body:
        raise NotFound("engine", engine_name, sorted({one.engine_name for one in configs}))
    raise NotFound(f"config of {engine_name}", config_id, sorted(of_engine))


def _check_config(workplace: Workplace, asked: CheckedRequest, base: Mapping[str, Any]) -> None:
    """What the engine gets of the body has to fit it; of a control alone a part of the body is not the engine's."""
    body = asked.proposed_config
    if asked.expected_outcome in CONTROLS:
        body, _ = split_body(body, base)
    workplace.check_config(asked.engine_name, body)


def _new_identity(asked: CheckedRequest) -> Identity:
    """A config id that is nobody else's, because the experiment's own id is in it."""
    experiment_id = uuid4()
    return Identity(experiment_id, f"{asked.engine_name.lower()}-experiment-{experiment_id}", {})


def _register_proposed(session: Session, asked: CheckedRequest, config_id: str, author: str) -> None:
    family = TrialFamily.CONTROL if asked.expected_outcome in CONTROLS else TrialFamily.REAL
    now = datetime.now(UTC)
    trial = Trial(
        engine_name=asked.engine_name,
        source=TrialSource.EXPERIMENT,
        seen_at=now,
        config_id=config_id,
        config_body=asked.proposed_config,
        family=family,
    )
    record_trial(session, trial)
    register(
        session,
        config_id=config_id,
        engine_name=asked.engine_name,
        version=FIRST_VERSION,
        config_body=asked.proposed_config,
        created_by=author,
        created_at=now,
        family=family,
    )


def _power(session: Session, workplace: Workplace, asked: CheckedRequest) -> PowerPlan:
    # scipy: only who creates an experiment waits for it
    from kronos.core.changes.power import plan_power

    counted = count_trials(session, asked.engine_name)
    return plan_power(
        asked.hoped_ratio,
        asked.start_date,
        asked.end_date,
        n_trials=counted.among_controls if asked.expected_outcome in CONTROLS else counted.real,
        level=workplace.policy.comparison.level,
    )


def _given(priority: int | None) -> int | None:
    return None if priority is None else checked_priority(priority, priority)


def _later_end(workplace: Workplace, experiment_id: UUID, end_date: date) -> date:
    found = find_experiment(workplace.database, experiment_id)
    if end_date < found.end_date:
        raise BadValue("end date", end_date.isoformat(), f"a date not before the present one, {found.end_date}")
    return checked_dates(found.start_date, end_date, workplace.data(found.engine_name))[1]
