"""Helpers: experiments and proposals written straight through the store, over one registered base config."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from kronos.core.changes.model import Experiment
from kronos.core.changes.request import CONTROLS, KRONOS, CheckedRequest
from kronos.core.vocabulary import ExpectedOutcome, ExperimentStatus, ResourceClass, TrialFamily
from kronos.store.change_log import Session, begin_change
from kronos.store.database import Database, Role
from kronos.store.engine_configs import list_configs, register
from kronos.store.experiments import (
    NewExperiment,
    insert_experiment,
    matching_experiments,
    move_experiment,
    record_result,
    results_of,
)
from kronos.store.proposals import propose

T0 = datetime(2010, 1, 4, tzinfo=UTC)
LEASE = datetime(2100, 1, 1, tzinfo=UTC)
START, END = date(2001, 1, 2), date(2010, 12, 31)

PATHS: Mapping[ExperimentStatus, tuple[ExperimentStatus, ...]] = {
    ExperimentStatus.PENDING: (),
    ExperimentStatus.QUEUED_FOR_BACKTEST: (ExperimentStatus.QUEUED_FOR_BACKTEST,),
    ExperimentStatus.RUNNING_BACKTESTS: (ExperimentStatus.QUEUED_FOR_BACKTEST, ExperimentStatus.RUNNING_BACKTESTS),
    ExperimentStatus.AWAITING_REVIEW: (
        ExperimentStatus.QUEUED_FOR_BACKTEST,
        ExperimentStatus.RUNNING_BACKTESTS,
        ExperimentStatus.AWAITING_REVIEW,
    ),
}
"""How an experiment gets to each open status."""


def begin(session: Session, author: str = "ann", reason: str | None = "because", token: str | None = None) -> None:
    """Begin a change."""
    begin_change(session, author, reason, code_version="test", token=token)


def register_config(session: Session, config_id: str, engine_name: str = "REGIME", *, control: bool = False) -> None:
    """Register a config whose body is its id."""
    register(
        session,
        config_id=config_id,
        engine_name=engine_name,
        version="1",
        config_body={"name": config_id},
        created_by="ann",
        created_at=T0,
        family=TrialFamily.CONTROL if control else TrialFamily.REAL,
    )


def register_base(session: Session) -> None:
    """Register the config `base` unless it is there: an active one cannot be registered a second time."""
    if all(one.config_id != "base" for one in list_configs(session)):
        register_config(session, "base")


def new_experiment(config_id: str = "proposed", proposal_id: UUID | None = None, **changes: Any) -> NewExperiment:
    """An experiment of REGIME against the config `base`."""
    request = CheckedRequest(
        engine_name="REGIME",
        base_config_id="base",
        proposed_config={},
        description="a test",
        start_date=START,
        end_date=END,
        priority=5,
        resource_class=ResourceClass.CPU_HEAVY,
        expected_outcome=ExpectedOutcome.CANDIDATE,
        hoped_ratio=0.5,
    )
    for name, value in changes.items():
        object.__setattr__(request, name, value)
    return NewExperiment(uuid4(), config_id, request, False, {}, proposal_id)


def created(
    database: Database,
    author: str = "ann",
    outcome: ExpectedOutcome = ExpectedOutcome.CANDIDATE,
    token: str | None = None,
    **changes: Any,
) -> Experiment:
    """A pending experiment with a config of its own, controls by Kronos. token: of an author who is a principal."""
    if outcome in CONTROLS:
        author = KRONOS
    config_id = f"c-{uuid4()}"
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session, author, token=token)
        register_base(session)
        register_config(session, config_id, control=outcome in CONTROLS)
        return insert_experiment(session, new_experiment(config_id, expected_outcome=outcome, **changes))


def moved(
    database: Database, experiment: Experiment, *targets: ExperimentStatus, author: str = "tester", **changes: Any
) -> Experiment:
    """The experiment after these transitions, each in a transaction of its own, as the owner."""
    for target in targets:
        with database.connect(Role.OWNER) as session:
            begin(session, author)
            experiment = matching_experiments(session, str(experiment.experiment_id))[0]
            expected = experiment.status
            if (expected, target) == (ExperimentStatus.RUNNING_BACKTESTS, ExperimentStatus.AWAITING_REVIEW):
                with_result(session, experiment)
            lease = LEASE if target is ExperimentStatus.RUNNING_BACKTESTS else None
            experiment = move_experiment(
                session, experiment.experiment_id, [expected], target, leased_until=lease, **changes
            )
    return experiment


def with_result(session: Session, experiment: Experiment) -> None:
    """Give the attempt a result unless it has one."""
    if all(one.attempt != experiment.attempt for one in results_of(session, experiment.experiment_id)):
        nothing: dict[str, Any] = {"metrics": {}, "by_regime": {}, "by_market": {}, "by_stability_bucket": {}}
        period, attempt = (experiment.start_date, experiment.end_date), experiment.attempt
        record_result(session, experiment.experiment_id, period, attempt=attempt, **nothing, provenance={})


def at_status(
    database: Database,
    status: ExperimentStatus,
    outcome: ExpectedOutcome = ExpectedOutcome.CANDIDATE,
    author: str = "ann",
    token: str | None = None,
) -> Experiment:
    """An experiment that got to the status the proper way. token: the author's, where he is a principal."""
    experiment = created(database, author, outcome, token)
    if status in PATHS:
        return moved(database, experiment, *PATHS[status])
    return moved(database, experiment, *PATHS[ExperimentStatus.AWAITING_REVIEW], status)


def proposed(database: Database, author: str = "ann", role: Role = Role.ORCHESTRATOR, **changes: Any) -> UUID:
    """A proposal for REGIME, derived from the config `base`."""
    with database.connect(Role.ORCHESTRATOR) as session:
        register_base(session)
    values = {"engine_name": "REGIME", "base_config_id": "base", "config_body": {"window": 3}, "rationale": "why not"}
    with database.connect(role) as session:
        return propose(session, author=author, about={}, code_version="test", **(values | changes))  # type: ignore[arg-type]


def later(days: int) -> date:
    """So many days after the experiments' planned end."""
    return END + timedelta(days=days)
