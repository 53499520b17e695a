"""Experiments in the live database: only the allowed edges, and results by the attempt that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kronos.core.changes.model import Experiment
from kronos.core.vocabulary import EvidenceLabel, ExpectedOutcome, ExperimentStatus
from kronos.errors import ChangeRefused, NotFound
from kronos.store.change_log import newest_entries
from kronos.store.database import Database, Role
from kronos.store.experiments import (
    insert_experiment,
    list_experiments,
    matching_experiments,
    move_experiment,
    record_result,
    results_of,
)
from kronos_tests.store.changes import (
    END,
    LEASE,
    PATHS,
    START,
    at_status,
    begin,
    created,
    later,
    moved,
    new_experiment,
    register_config,
)

PENDING, QUEUED, RUNNING, REVIEW, APPROVED, REJECTED = ExperimentStatus
EDGES = {
    (PENDING, QUEUED), (QUEUED, RUNNING), (RUNNING, REVIEW), (REVIEW, APPROVED),
    (RUNNING, QUEUED), (REVIEW, QUEUED), (APPROVED, QUEUED),
    (PENDING, REJECTED), (QUEUED, REJECTED), (RUNNING, REJECTED), (REVIEW, REJECTED), (APPROVED, REJECTED),
}  # fmt: skip
ALL_PAIRS = [(was, target) for was in ExperimentStatus for target in ExperimentStatus if was is not target]
WALKS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _force(database: Database, experiment: Experiment, target: ExperimentStatus) -> None:
    """UPDATE as the owner, whom no grant stops."""
    lease = LEASE if target is RUNNING else None
    with database.connect(Role.OWNER) as session:
        begin(session)
        session.execute(
            "UPDATE kronos.experiments SET status = %s, leased_until = %s WHERE experiment_id = %s",
            [target, lease, experiment.experiment_id],
        )


def _status(database: Database, experiment: Experiment) -> ExperimentStatus:
    with database.connect(Role.READER) as session:
        return matching_experiments(session, str(experiment.experiment_id))[0].status


@pytest.mark.parametrize(("was", "target"), ALL_PAIRS)
def test_of_all_pairs_only_the_edges_can_be_taken(
    database: Database, was: ExperimentStatus, target: ExperimentStatus
) -> None:
    experiment = at_status(database, was)
    if (was, target) in EDGES:
        _force(database, experiment, target)
        assert _status(database, experiment) is target
        return
    with pytest.raises(psycopg.errors.RestrictViolation) as refused:
        _force(database, experiment, target)
    assert refused.value.diag.constraint_name == "experiments_transition"
    assert _status(database, experiment) is was


@WALKS
@given(st.lists(st.sampled_from(ExperimentStatus), max_size=12))
def test_any_walk_follows_the_edges_and_is_in_the_log(database: Database, targets: list[ExperimentStatus]) -> None:
    experiment, path = created(database), [PENDING]
    for target in targets:
        if (path[-1], target) in EDGES:
            moved(database, experiment, target)
            path.append(target)
        elif target is not path[-1]:
            with pytest.raises(psycopg.errors.RestrictViolation):
                _force(database, experiment, target)
    with database.connect(Role.READER) as session:
        logged = newest_entries(session, 100, str(experiment.experiment_id))
    assert [entry.to_status for entry in logged] == path
    assert [entry.from_status for entry in logged] == [None, *path[:-1]]


@pytest.mark.parametrize("status", [status for status in ExperimentStatus if status is not PENDING])
def test_an_experiment_begins_pending(database: Database, status: ExperimentStatus) -> None:
    with database.connect(Role.OWNER) as session:
        begin(session)
        register_config(session, "base")
        register_config(session, "proposed")
        with pytest.raises(psycopg.errors.RestrictViolation, match="cannot become"):
            session.execute(
                """INSERT INTO kronos.experiments (experiment_id, engine_name, base_config_id, proposed_config_id,
                       description, start_date, end_date, status)
                   VALUES (gen_random_uuid(), 'REGIME', 'base', 'proposed', 'x', %s, %s, %s)""",
                [START, END, status],
            )


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"priority": 10}, "experiments_priority"),
        ({"priority": -1}, "experiments_priority"),
        ({"end_date": later(-9999)}, "experiments_dates"),
        ({"resource_class": "TPU"}, "experiments_resource_class"),
        ({"expected_outcome": "WONDERFUL"}, "experiments_expected_outcome"),
        ({"expected_outcome": "NEGATIVE_CONTROL"}, "experiments_control_by_kronos"),
        ({"description": " "}, "experiments_description"),
    ],
)
def test_values_that_cannot_be_are_refused_by_the_database(
    database: Database, changes: Mapping[str, Any], rule: str
) -> None:
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session)
        register_config(session, "base")
        register_config(session, "proposed")
        with pytest.raises(ChangeRefused) as refused:
            insert_experiment(session, new_experiment(**changes))
    assert refused.value.rule == rule


def test_a_control_by_kronos_has_a_config_of_the_controls(database: Database) -> None:
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session, "Kronos")
        register_config(session, "base")
        register_config(session, "proposed")
        with pytest.raises(ChangeRefused) as refused:
            insert_experiment(session, new_experiment(expected_outcome="NEGATIVE_CONTROL"))
    assert refused.value.rule == "experiments_family"


def test_the_base_config_must_be_of_the_engine(database: Database) -> None:
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session)
        register_config(session, "base", "UNIVERSE")
        register_config(session, "proposed")
        with pytest.raises(NotFound, match="config of this engine 'base' does not exist"):
            insert_experiment(session, new_experiment())


def test_a_config_has_one_experiment(database: Database) -> None:
    experiment = created(database)
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session)
        with pytest.raises(ChangeRefused, match="belongs to another experiment"):
            insert_experiment(session, new_experiment(experiment.proposed_config_id))


@pytest.mark.parametrize("outcome", [ExpectedOutcome.NEGATIVE_CONTROL, ExpectedOutcome.POSITIVE_CONTROL])
def test_a_control_is_never_approved(database: Database, outcome: ExpectedOutcome) -> None:
    experiment = at_status(database, REVIEW, outcome)
    with pytest.raises(ChangeRefused, match="a control is never approved") as refused:
        moved(database, experiment, APPROVED)
    assert refused.value.rule == "experiments_control_never_approved"


@pytest.mark.parametrize("outcome", [ExpectedOutcome.CANDIDATE, ExpectedOutcome.BASELINE])
def test_the_orchestrator_cannot_approve(database: Database, outcome: ExpectedOutcome) -> None:
    experiment = at_status(database, REVIEW, outcome)
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session, "Kronos")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="change manager only"):
            move_experiment(session, experiment.experiment_id, [REVIEW], APPROVED)


@pytest.mark.parametrize("status", PATHS)
def test_rejecting_needs_a_reason_and_keeps_it(database: Database, status: ExperimentStatus) -> None:
    experiment = at_status(database, status)
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session, reason=None)
        with pytest.raises(ChangeRefused) as refused:
            move_experiment(session, experiment.experiment_id, PATHS.keys(), REJECTED)
    assert refused.value.rule == "experiments_reason"
    assert moved(database, experiment, REJECTED).metadata["reason"] == "because"


def test_nothing_moves_without_an_author(database: Database) -> None:
    experiment = created(database)
    with database.connect(Role.ORCHESTRATOR) as session, pytest.raises(ChangeRefused, match="needs an author"):
        move_experiment(session, experiment.experiment_id, [PENDING], QUEUED)


def test_of_eight_that_enqueue_at_once_one_does(database: Database) -> None:
    experiment = created(database)

    def enqueue(number: int) -> str | None:
        with database.connect(Role.ORCHESTRATOR) as session:
            begin(session, f"writer {number}")
            try:
                move_experiment(session, experiment.experiment_id, [PENDING], QUEUED)
            except ChangeRefused as error:
                return str(error)
        return None

    with ThreadPoolExecutor(8) as pool:
        refusals = [answer for answer in pool.map(enqueue, range(8)) if answer]
    expected = f"experiment {experiment.experiment_id} has status QUEUED_FOR_BACKTEST: expected PENDING"
    assert refusals == [expected] * 7
    with database.connect(Role.READER) as session:
        assert len(newest_entries(session, 100, str(experiment.experiment_id))) == 2


def test_moving_an_unknown_experiment_says_so(database: Database) -> None:
    with database.connect(Role.ORCHESTRATOR) as session, pytest.raises(NotFound):
        begin(session)
        move_experiment(session, uuid4(), [PENDING], QUEUED)


@pytest.mark.parametrize(
    "change",
    [
        "description = 'another'",
        "evidence = 'AUTO_PRESCREEN'",
        "created_by = 'ben'",
        'metadata = \'{"reason": "another"}\'',
        "expected_outcome = 'BASELINE'",
        "priority = 0",
        "end_date = end_date + 1",
        "attempt = 9",
        "run_id = 'r'",
        "created_at = now()",
    ],
)
@pytest.mark.parametrize("status", [PENDING, REVIEW, REJECTED])
def test_what_an_experiment_is_cannot_change(database: Database, status: ExperimentStatus, change: str) -> None:
    experiment = at_status(database, status)
    with database.connect(Role.OWNER) as session:
        begin(session)
        with pytest.raises(psycopg.errors.RestrictViolation, match="is as created"):
            session.execute(
                f"UPDATE kronos.experiments SET {change} WHERE experiment_id = %s", [experiment.experiment_id]
            )


@pytest.mark.parametrize("status", [REVIEW, APPROVED])
def test_priority_and_end_may_change_when_testing_continues(database: Database, status: ExperimentStatus) -> None:
    again = moved(database, at_status(database, status), QUEUED, priority=1, end_date=later(30))
    assert (again.priority, again.end_date) == (1, later(30))
    with pytest.raises(ChangeRefused, match="is as created"):
        moved(database, at_status(database, status), QUEUED, end_date=later(-1))


def test_only_a_running_experiment_has_a_lease(database: Database) -> None:
    queued = at_status(database, QUEUED)
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session)
        with pytest.raises(ChangeRefused) as refused:
            move_experiment(session, queued.experiment_id, [QUEUED], RUNNING)
    assert refused.value.rule == "experiments_lease"
    running = moved(database, queued, RUNNING, run_id="run-1")
    assert (running.attempt, running.leased_until, running.run_id) == (1, LEASE, "run-1")
    back = moved(database, running, QUEUED)
    assert (back.attempt, back.leased_until, back.run_id) == (1, None, "run-1")


def test_a_worker_of_an_earlier_attempt_cannot_finish(database: Database) -> None:
    running = moved(database, at_status(database, RUNNING), QUEUED, RUNNING)
    with database.connect(Role.ORCHESTRATOR) as session:
        begin(session, "Kronos")
        with pytest.raises(ChangeRefused, match="is in attempt 2: expected 1"):
            move_experiment(session, running.experiment_id, [RUNNING], REVIEW, attempt=1)
        assert move_experiment(session, running.experiment_id, [RUNNING], REVIEW, attempt=2).status is REVIEW


def _record(database: Database, experiment: Experiment, sharpe: float, attempt: int = 1) -> None:
    with database.connect(Role.ORCHESTRATOR) as session:
        record_result(
            session,
            experiment.experiment_id,
            (START, END),
            attempt=attempt,
            metrics={"sharpe": sharpe},
            by_regime={"CALM": {"sharpe": 1.0}},
            by_market={},
            by_stability_bucket={},
            provenance={"seed": 7},
        )


def _labels(database: Database, experiment: Experiment) -> list[tuple[float, str]]:
    with database.connect(Role.READER) as session:
        found = results_of(session, experiment.experiment_id)
    return [(one.metrics["sharpe"], one.evidence) for one in found]


@pytest.mark.parametrize(
    ("creator", "enqueuer", "outcome", "of_experiment", "of_result"),
    [
        ("ann", "ann", "CANDIDATE", "HUMAN_TRIGGERED", "HUMAN_TRIGGERED"),
        ("Kronos", "Kronos", "CANDIDATE", "AUTO_PRESCREEN", "AUTO_PRESCREEN"),
        ("Kronos", "ann", "CANDIDATE", "AUTO_PRESCREEN", "HUMAN_TRIGGERED"),
        ("Kronos", "Kronos", "NEGATIVE_CONTROL", "CONTROL", "CONTROL"),
        ("Kronos", "ann", "POSITIVE_CONTROL", "CONTROL", "CONTROL"),
    ],
)
def test_the_evidence_label_is_that_of_the_path(
    database: Database, creator: str, enqueuer: str, outcome: str, of_experiment: str, of_result: str
) -> None:
    experiment = created(database, creator, ExpectedOutcome(outcome))
    moved(database, experiment, QUEUED, author=enqueuer)
    # preempted and started again by the scheduler: that is no new path
    moved(database, experiment, RUNNING, QUEUED, RUNNING, author="Kronos")
    _record(database, experiment, 1.0, attempt=2)
    assert experiment.evidence is EvidenceLabel(of_experiment)
    assert _labels(database, experiment) == [(1.0, of_result)]


@pytest.mark.parametrize("change", ["evidence = 'CONTROL'", "recorded_at = now()", "period_end = period_end + 1"])
def test_a_result_keeps_its_label_time_and_period(database: Database, change: str) -> None:
    experiment = at_status(database, RUNNING)
    _record(database, experiment, 1.0)
    with database.connect(Role.OWNER) as session, pytest.raises(psycopg.errors.RestrictViolation):
        session.execute(f"UPDATE kronos.experiment_results SET {change}")


def test_the_same_result_again_changes_nothing(database: Database) -> None:
    experiment = at_status(database, RUNNING)
    _record(database, experiment, 1.0)
    before = _whole(database, "experiment_results")
    _record(database, experiment, 1.0)
    assert (_whole(database, "experiment_results"), _whole(database, "superseded_results")) == (before, [])


def test_a_later_result_replaces_and_keeps_the_earlier(database: Database) -> None:
    experiment = moved(database, created(database, "Kronos"), QUEUED, RUNNING, author="Kronos")
    _record(database, experiment, 1.0)
    moved(database, experiment, REVIEW, author="Kronos")
    moved(database, experiment, QUEUED, author="ann")
    moved(database, experiment, RUNNING, author="Kronos")
    _record(database, experiment, 2.0, attempt=2)
    assert _labels(database, experiment) == [(2.0, "HUMAN_TRIGGERED")]
    superseded = _whole(database, "superseded_results")
    assert [(row[3], row[7]) for row in superseded] == [({"sharpe": 1.0}, "AUTO_PRESCREEN")]


@pytest.mark.parametrize("role", [Role.ORCHESTRATOR, Role.OWNER])
def test_results_stand_from_the_moment_they_can_be_judged(database: Database, role: Role) -> None:
    """Else they would be others than those of the verdict that is approved."""
    experiment = at_status(database, RUNNING)
    _record(database, experiment, 1.0)
    moved(database, experiment, REVIEW)
    with database.connect(role) as session, pytest.raises(psycopg.errors.RestrictViolation) as refused:
        session.execute("UPDATE kronos.experiment_results SET metrics = '{\"sharpe\": -5}'")
    assert refused.value.diag.constraint_name == "experiment_results_attempt"
    assert _labels(database, experiment) == [(1.0, "HUMAN_TRIGGERED")]


@pytest.mark.parametrize("status", [PENDING, QUEUED, REVIEW, REJECTED])
def test_results_are_of_experiments_that_run(database: Database, status: ExperimentStatus) -> None:
    experiment = at_status(database, status)
    with pytest.raises(ChangeRefused) as refused:
        _record(database, experiment, 1.0, attempt=experiment.attempt)
    assert refused.value.rule == "experiment_results_attempt"


def test_a_lost_worker_writes_no_result(database: Database) -> None:
    experiment = moved(database, at_status(database, RUNNING), QUEUED, RUNNING)
    with pytest.raises(ChangeRefused, match="attempt 2: a result of attempt 1 is too late"):
        _record(database, experiment, 1.0, attempt=1)


@pytest.mark.parametrize("table", ["experiments", "experiment_results", "superseded_results", "config_proposals"])
def test_not_even_the_owner_removes_rows(database: Database, table: str) -> None:
    for statement in ("DELETE FROM kronos.{}", "TRUNCATE kronos.{} CASCADE"):
        with database.connect(Role.OWNER) as session, pytest.raises(psycopg.errors.RestrictViolation):
            session.execute(statement.format(table))


def test_lists_filter_by_engine_and_status(database: Database) -> None:
    first, second = created(database), at_status(database, QUEUED)
    with database.connect(Role.READER) as session:
        assert [one.experiment_id for one in list_experiments(session)] == [first.experiment_id, second.experiment_id]
        assert list_experiments(session, "REGIME", QUEUED) == [second]
        assert list_experiments(session, "UNIVERSE") == []


@pytest.mark.parametrize("role", [Role.READER, Role.CHAT, Role.UPSTREAM, Role.CHANGE_MANAGER])
def test_only_the_orchestrator_writes_experiments(database: Database, role: Role) -> None:
    experiment = created(database)
    statements = [
        "UPDATE kronos.experiments SET status = 'QUEUED_FOR_BACKTEST'",
        "UPDATE kronos.config_proposals SET status = 'DISCARDED'",
        "UPDATE kronos.experiment_results SET metrics = '{}'",
        f"INSERT INTO kronos.experiments (experiment_id) VALUES ('{experiment.experiment_id}')",
    ]
    for statement in statements:
        with database.connect(role) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(statement)


@pytest.mark.parametrize("column", ["status", "evidence", "created_by", "attempt"])
def test_the_orchestrator_sets_no_column_that_triggers_set(database: Database, column: str) -> None:
    with database.connect(Role.ORCHESTRATOR) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(f"INSERT INTO kronos.experiments ({column}) VALUES (NULL)")


def _whole(database: Database, table: str) -> list[tuple[Any, ...]]:
    with database.connect(Role.READER) as session:
        return session.execute(f"SELECT * FROM kronos.{table}").fetchall()
