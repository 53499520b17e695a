"""Experiments and proposals as use cases: all or nothing, guarded, and refused in words a person can act on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from kronos.core.changes.chain import verify
from kronos.core.changes.model import Experiment
from kronos.core.changes.request import KRONOS, EngineDates, ExperimentRequest
from kronos.core.policy import ObservationPolicy
from kronos.core.vocabulary import EvidenceLabel, ExperimentStatus, ProposalStatus, TrialFamily, TrialSource
from kronos.errors import BadValue, ChangeRefused, KronosError, NotFound
from kronos.sandbox.configs import CONFIGS
from kronos.services.experiments import (
    cancel,
    config_body_of,
    create_experiment,
    enqueue,
    experiment_results,
    find_experiment,
    list_experiments,
    requeue,
)
from kronos.services.proposals import (
    Conversion,
    convert_proposal,
    create_proposal,
    discard_proposal,
    find_proposal,
    list_proposals,
)
from kronos.services.workplace import Workplace, check_sandbox_config, check_sandbox_dates
from kronos.store.change_log import begin_change, entries
from kronos.store.database import Database, Role
from kronos.store.engine_configs import list_configs, register
from kronos.store.experiments import move_experiment
from kronos.store.trials import list_trials

BASE = next(one for one in CONFIGS if one.config_id == "portfolio-inverse-volatility")
BODY = {**BASE.body, "lookback": 42}
DATA = (date(1990, 1, 2), date(2017, 12, 29))
PENDING, QUEUED, RUNNING, REVIEW, _, REJECTED = ExperimentStatus


@pytest.fixture
def workplace(database: Database) -> Workplace:
    """A workplace whose database holds the sandbox's configs."""
    with database.connect(Role.ORCHESTRATOR) as session:
        for one in CONFIGS:
            register(
                session,
                config_id=one.config_id,
                engine_name=one.engine_name,
                version=one.version,
                config_body=one.body,
                created_by="sandbox",
                created_at=datetime(1990, 1, 2, tzinfo=UTC),
            )
    return Workplace(
        database,
        ObservationPolicy(),
        lambda _: EngineDates(DATA, DATA),
        check_sandbox_config,
        check_dates=check_sandbox_dates,
    )


def _request(**changes: Any) -> ExperimentRequest:
    values: dict[str, Any] = {
        "engine_name": "PORTFOLIO",
        "base_config_id": BASE.config_id,
        "proposed_config": BODY,
        "description": "a quicker volatility",
    }
    return ExperimentRequest(**values | changes)


def _propose(workplace: Workplace, author: str = "ann") -> UUID:
    made = create_proposal(workplace, "PORTFOLIO", BASE.config_id, BODY, "quicker is better", author)
    return made.proposal_id


def _through_backtests(workplace: Workplace, experiment_id: UUID) -> None:
    """Play the scheduler and its worker."""
    for was, target in ((QUEUED, RUNNING), (RUNNING, REVIEW)):
        with workplace.database.connect(Role.ORCHESTRATOR) as session:
            begin_change(session, KRONOS, code_version="test")
            lease = datetime(2100, 1, 1, tzinfo=UTC) if target is RUNNING else None
            move_experiment(session, experiment_id, [was], target, leased_until=lease)


def _counts(workplace: Workplace) -> list[int]:
    tables = ("engine_configs", "trials", "experiments", "config_proposals", "change_log")
    with workplace.database.connect(Role.READER) as session:
        return [session.execute(f"SELECT count(*) FROM kronos.{one}").fetchone()[0] for one in tables]  # type: ignore[index]


def test_creating_registers_counts_and_logs(workplace: Workplace) -> None:
    before = _counts(workplace)
    made = create_experiment(workplace, _request(), "ann")
    assert (made.status, made.created_by, made.priority, made.evidence) == (PENDING, "ann", 5, "HUMAN_TRIGGERED")
    assert (made.start_date, made.end_date) == DATA
    assert [now - then for now, then in zip(_counts(workplace), before, strict=True)] == [1, 1, 1, 0, 1]
    assert config_body_of(workplace.database, "PORTFOLIO", made.proposed_config_id) == BODY
    assert find_experiment(workplace.database, made.experiment_id) == made


def test_an_experiment_may_be_queued_at_once(workplace: Workplace) -> None:
    made = create_experiment(workplace, _request(), KRONOS, queued=True)
    assert (made.status, made.priority, made.evidence) == (QUEUED, 3, "AUTO_PRESCREEN")


def test_an_experiment_enters_the_ledger_as_one(workplace: Workplace) -> None:
    made = create_experiment(workplace, _request(), "ann")
    with workplace.database.connect(Role.READER) as session:
        last = list_trials(session, "PORTFOLIO")[-1]
    assert (last.config_id, last.first_source) == (made.proposed_config_id, TrialSource.EXPERIMENT)


def test_the_same_body_twice_is_two_configs_and_one_trial(workplace: Workplace) -> None:
    first, second = (create_experiment(workplace, _request(), "ann") for _ in range(2))
    assert first.proposed_config_id != second.proposed_config_id
    assert first.metadata["power"]["n_trials"] == second.metadata["power"]["n_trials"] == 5


def test_power_is_told_before_anything_runs(workplace: Workplace) -> None:
    power = create_experiment(workplace, _request(hoped_ratio=1.0), "ann").metadata["power"]
    assert (power["n_trials"], power["hoped_ratio"], power["level"]) == (5, 1.0, 0.05)
    assert 6.0 < power["years_needed"] < 15.0 < power["years_planned"] < 29.0
    assert power["sufficient"]


def test_controls_are_counted_apart(workplace: Workplace) -> None:
    made = create_experiment(workplace, _request(expected_outcome="NEGATIVE_CONTROL"), KRONOS)
    assert (made.priority, made.evidence, made.auto_generated) == (9, EvidenceLabel.CONTROL, True)
    assert made.metadata["power"]["n_trials"] == 5
    real = create_experiment(workplace, _request(proposed_config={**BODY, "lookback": 43}), "ann")
    assert real.metadata["power"]["n_trials"] == 5
    with workplace.database.connect(Role.READER) as session:
        families = {one.config_id: one.family for one in list_configs(session, "PORTFOLIO")}
    assert families[made.proposed_config_id] == TrialFamily.CONTROL


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"engine_name": "NONE"}, NotFound, "engine 'NONE' does not exist; known: ASSESSMENT, PORTFOLIO"),
        ({"base_config_id": "regime-slow"}, NotFound, "config of PORTFOLIO 'regime-slow' does not exist; known: portf"),
        ({"proposed_config": "x"}, BadValue, "config body has value 'x': expected an object"),
        ({"proposed_config": {**BODY, "lookbak": 3}}, BadValue, "PORTFOLIO.lookbak has value 3"),
        ({"proposed_config": {**BODY, "lookback": "long"}}, BadValue, "PORTFOLIO.lookback has value 'long'"),
        ({"end_date": date(1991, 1, 2), "start_date": date(1992, 1, 2)}, BadValue, "end date has value '1991-01-02'"),
        ({"end_date": date(2018, 1, 2)}, BadValue, "end date has value '2018-01-02': expected a date the data covers"),
        ({"start_date": date(1990, 1, 1)}, BadValue,
         "start date has value '1990-01-01': expected a date the data covers, 1990-01-02 to 2017-12-29"),
        ({"start_date": date(1990, 1, 6), "end_date": date(1990, 1, 7)}, BadValue,
         "dates has value '1990-01-06 to 1990-01-07': expected at least one session"),
        ({"start_date": date(1990, 12, 25), "end_date": date(1990, 12, 25)}, BadValue, "at least one session"),
        ({"priority": 11}, BadValue, "priority has value 11: expected a whole number from 0"),
        ({"resource_class": "TPU"}, BadValue, "resource class has value 'TPU': expected one of CPU_HEAVY"),
        ({"expected_outcome": "POSITIVE_CONTROL"}, BadValue, "POSITIVE_CONTROL.*: Kronos makes the controls"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_and_leaves_nothing(
    workplace: Workplace, changes: dict[str, Any], kind: type[KronosError], said: str
) -> None:
    before = _counts(workplace)
    with pytest.raises(kind, match=said):
        create_experiment(workplace, _request(**changes), "ann")
    assert _counts(workplace) == before


def test_a_single_session_is_enough(workplace: Workplace) -> None:
    made = create_experiment(workplace, _request(start_date=date(1990, 1, 6), end_date=date(1990, 1, 8)), "ann")
    assert (made.start_date, made.end_date) == (date(1990, 1, 6), date(1990, 1, 8))


def test_an_engine_unknown_here_takes_any_object_and_dates(workplace: Workplace) -> None:
    with workplace.database.connect(Role.ORCHESTRATOR) as session:
        register(
            session, config_id="f1", engine_name="FRAGILITY_ALPHA", version="1", config_body={}, created_by="x",
            created_at=datetime(2000, 1, 1, tzinfo=UTC),
        )  # fmt: skip
    request = _request(engine_name="FRAGILITY_ALPHA", base_config_id="f1", proposed_config={"anything": [1, None]})
    assert create_experiment(workplace, request, "ann").engine_name == "FRAGILITY_ALPHA"
    weekend = replace(request, start_date=date(1990, 1, 6), end_date=date(1990, 1, 7))
    assert create_experiment(workplace, weekend, "ann").end_date == date(1990, 1, 7)


def test_an_experiment_goes_round_and_ends(workplace: Workplace) -> None:
    made = create_experiment(workplace, _request(end_date=date(2016, 12, 30)), "ann")
    assert enqueue(workplace, made.experiment_id, "ann", priority=2).priority == 2
    _through_backtests(workplace, made.experiment_id)
    again = requeue(workplace, made.experiment_id, "ben", "one more year", end_date=date(2017, 12, 29))
    assert (again.status, again.end_date, again.priority) == (QUEUED, date(2017, 12, 29), 2)
    ended = cancel(workplace, made.experiment_id, "ben", "superseded")
    assert (ended.status, ended.metadata["reason"]) == (REJECTED, "superseded")
    with workplace.database.connect(Role.READER) as session:
        log = list(entries(session))
    assert [entry.author for entry in log] == ["ann", "ann", KRONOS, KRONOS, "ben", "ben"]
    assert verify(log).broken is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w, one: enqueue(w, one, "ann"), "has status QUEUED_FOR_BACKTEST: expected PENDING"),
        (lambda w, one: enqueue(w, one, "ann", priority=11), "priority has value 11"),
        (lambda w, one: requeue(w, one, "ann", "more"), "has status QUEUED_FOR_BACKTEST: expected APPROVED or AWAIT"),
        (lambda w, one: requeue(w, one, "ann", " "), "reason has value ' '"),
        (lambda w, one: requeue(w, one, "ann", "x", end_date=date(1995, 1, 2)), "not before the present one, 2017"),
        (lambda w, one: requeue(w, one, "ann", "x", end_date=date(2020, 1, 2)), "the data covers"),
        (lambda w, one: cancel(w, one, "ann", ""), "reason has value ''"),
        (lambda w, one: cancel(w, uuid4(), "ann", "x"), "does not exist"),
    ],
)
def test_what_does_not_fit_the_status_is_refused(
    workplace: Workplace, change: Callable[[Workplace, UUID], Experiment], said: str
) -> None:
    made = create_experiment(workplace, _request(), "ann")
    queued = enqueue(workplace, made.experiment_id, "ann")
    with pytest.raises(KronosError, match=said):
        change(workplace, made.experiment_id)
    assert find_experiment(workplace.database, made.experiment_id) == queued


def test_a_proposal_becomes_a_queued_experiment(workplace: Workplace) -> None:
    proposal_id = _propose(workplace)
    made = convert_proposal(workplace, proposal_id, "ben", Conversion(priority=1, resource_class="MIXED"))
    assert (made.status, made.priority, made.resource_class, made.created_by) == (QUEUED, 1, "MIXED", "ben")
    assert (made.proposal_id, made.auto_generated, made.description) == (proposal_id, False, "quicker is better")
    assert find_proposal(workplace.database, proposal_id).status is ProposalStatus.CONVERTED_TO_EXPERIMENT
    assert config_body_of(workplace.database, "PORTFOLIO", made.proposed_config_id) == BODY


@pytest.mark.parametrize(
    ("converter", "evidence", "priority"), [(KRONOS, "AUTO_PRESCREEN", 3), ("ben", "HUMAN_TRIGGERED", 3)]
)
def test_what_kronos_proposed_stays_marked(workplace: Workplace, converter: str, evidence: str, priority: int) -> None:
    made = convert_proposal(workplace, _propose(workplace, KRONOS), converter)
    assert (made.auto_generated, made.evidence, made.priority) == (True, evidence, priority)


def test_of_eight_that_convert_at_once_one_does(workplace: Workplace) -> None:
    proposal_id = _propose(workplace)
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(convert_proposal, workplace, proposal_id, f"writer {n}") for n in range(8)]
        errors = [error for future in futures if (error := future.exception())]
    assert {str(error) for error in errors} == {
        f"proposal {proposal_id} has status CONVERTED_TO_EXPERIMENT: expected PENDING_REVIEW"
    }
    assert (len(errors), len(list_experiments(workplace.database))) == (7, 1)


def test_a_conversion_that_fails_leaves_the_proposal_in_review(workplace: Workplace) -> None:
    proposal_id = _propose(workplace)
    before = _counts(workplace)
    with pytest.raises(BadValue, match="priority"):
        convert_proposal(workplace, proposal_id, "ben", Conversion(priority=10))
    assert _counts(workplace) == before
    assert find_proposal(workplace.database, proposal_id).status is ProposalStatus.PENDING_REVIEW


def test_a_discarded_proposal_is_not_converted(workplace: Workplace) -> None:
    proposal_id = _propose(workplace)
    assert discard_proposal(workplace, proposal_id, "ben", "seen before").metadata["reason"] == "seen before"
    with pytest.raises(ChangeRefused, match="has status DISCARDED"):
        convert_proposal(workplace, proposal_id, "ben")


@pytest.mark.parametrize(
    ("engine", "base", "body", "said"),
    [
        ("NONE", "x", BODY, "engine 'NONE' does not exist"),
        ("PORTFOLIO", "regime-slow", BODY, "config of PORTFOLIO 'regime-slow' does not exist"),
        ("PORTFOLIO", BASE.config_id, [1], "config body"),
        ("PORTFOLIO", BASE.config_id, {**BODY, "lookbak": 1}, "PORTFOLIO.lookbak"),
    ],
)
@pytest.mark.parametrize("role", [Role.ORCHESTRATOR, Role.CHAT])
def test_a_bad_proposal_is_refused(
    workplace: Workplace, role: Role, engine: str, base: str, body: object, said: str
) -> None:
    before = _counts(workplace)
    with pytest.raises(KronosError, match=said):
        create_proposal(workplace, engine, base, body, "why not", "ann", role=role)
    assert _counts(workplace) == before


def test_ids_may_be_shortened_while_they_are_unique(workplace: Workplace) -> None:
    made = create_experiment(workplace, _request(), "ann")
    assert find_experiment(workplace.database, str(made.experiment_id)[:8].upper()) == made
    with pytest.raises(BadValue, match="at least its first 4 characters"):
        find_experiment(workplace.database, str(made.experiment_id)[:3])
    with pytest.raises(NotFound, match="experiment 'zzzz' does not exist"):
        find_experiment(workplace.database, "zzzz")
    with pytest.raises(NotFound, match="proposal 'zzzz' does not exist"):
        find_proposal(workplace.database, "zzzz")


def test_lists_filter_and_refuse_unknown_words(workplace: Workplace) -> None:
    made, proposal_id = create_experiment(workplace, _request(), "ann"), _propose(workplace)
    assert list_experiments(workplace.database, "PORTFOLIO", "PENDING") == [made]
    assert [one.proposal_id for one in list_proposals(workplace.database, "PORTFOLIO")] == [proposal_id]
    for listing in (list_experiments, list_proposals):
        with pytest.raises(BadValue, match="status has value 'DONE': expected one of PENDING"):
            listing(workplace.database, None, "DONE")  # type: ignore[operator]


def test_results_of_an_experiment_that_never_ran_are_empty(workplace: Workplace) -> None:
    made = create_experiment(workplace, _request(), "ann")
    found = experiment_results(workplace.database, made.experiment_id)
    assert (found.experiment, found.periods, found.whole) == (made, (), None)
    assert found.to_json_dict()["experiment"]["status"] == "PENDING"
