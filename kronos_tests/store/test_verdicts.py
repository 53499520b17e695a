"""What the database holds about verdicts and gate policies, whoever writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import combinations
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from kronos.core.canonical import canonical_hash
from kronos.core.changes.model import Experiment
from kronos.core.gates.model import Gate, GateVerdict, worst
from kronos.core.gates.policy import GatePolicy
from kronos.core.vocabulary import ExpectedOutcome, ExperimentStatus
from kronos.errors import ChangeRefused, NotAllowed
from kronos.store.database import Database, Role
from kronos.store.engine_configs import register
from kronos.store.experiments import insert_experiment, results_of
from kronos.store.gate_policies import begin_policy, policy_history, policy_in_force, set_policy
from kronos.store.verdicts import NewVerdict, duplicates_of, insert_verdict, looks_at, verdicts_of
from kronos_tests.store.changes import PATHS, T0, at_status, begin, moved, new_experiment
from kronos_tests.store.promoting import ADMIN, BOT, ENGINE, POLICY, Gated

REVIEW = ExperimentStatus.AWAITING_REVIEW


def new(gated: Gated, experiment_id: UUID, attempt: int, **changes: Any) -> NewVerdict:
    """A verdict that the database accepts, unless something is changed."""
    with gated.database.connect(Role.READER) as session:
        policy = policy_in_force(session, ENGINE)
    assert policy is not None
    values = {
        "experiment_id": experiment_id, "attempt": attempt, "incumbent": "base", "verdict": "PASS",
        "recommendation": "ADOPT", "report": report({}), "policy_engine": policy.engine_name,
        "policy_version": policy.version, "policy_digest": policy.digest, "evidence_digest": "e" * 64,
        "data_until": date(2010, 12, 31), "lake": {"backtest_cells": "t:1"},
        "code_version": "test",
    }  # fmt: skip
    return NewVerdict(**{**values, **changes})


def report(verdicts: Mapping[str, str]) -> dict[str, Any]:
    """Seven gates that pass, but for those named, each for one finding."""
    said = {gate: verdicts.get(gate, "PASS") for gate in Gate}
    return {"gates": [{"gate": gate, "verdict": one, "findings": findings(one)} for gate, one in said.items()]}


def findings(*verdicts: str) -> list[dict[str, str]]:
    """One finding for each."""
    return [{"verdict": one, "reason": "A_TEST"} for one in verdicts]


def keep(gated: Gated, verdict: NewVerdict) -> Any:
    with gated.database.connect(Role.ORCHESTRATOR) as session:
        begin(session, "Kronos")
        return insert_verdict(session, verdict)


def refused(gated: Gated, verdict: NewVerdict, rule: str) -> None:
    with pytest.raises(ChangeRefused) as caught:
        keep(gated, verdict)
    assert caught.value.rule == rule


def test_the_database_says_which_gates_refused_whose_evidence_it_was_and_until_when_it_counts(gated: Gated) -> None:
    experiment = at_status(gated.database, REVIEW)
    found = report({"IMPROVEMENT": "INCONCLUSIVE", "STRESS": "FAIL"})
    kept = keep(
        gated,
        new(gated, experiment.experiment_id, experiment.attempt, report=found, verdict="FAIL", recommendation="REJECT"),
    )
    assert kept.refused_by == (Gate.IMPROVEMENT, Gate.STRESS) and kept.evidence.value == "HUMAN_TRIGGERED"
    assert (kept.expires_at - kept.judged_at).days == POLICY["evidence"]["expires_days"] and kept.look == 1


@pytest.mark.parametrize(
    ("gates", "verdict"),
    [({"STRESS": "FAIL"}, "PASS"), ({"STRESS": "INVALID", "VALIDITY": "INCONCLUSIVE"}, "INCONCLUSIVE"), ({}, "FAIL")],
)
def test_a_verdict_is_no_better_and_no_worse_than_its_worst_gate(
    gated: Gated, gates: dict[str, str], verdict: str
) -> None:
    experiment = at_status(gated.database, REVIEW)
    told = {"verdict": verdict, "recommendation": "ADOPT" if verdict == "PASS" else "REJECT", "report": report(gates)}
    refused(gated, new(gated, experiment.experiment_id, experiment.attempt, **told), "experiment_verdicts_follows")


def test_a_verdict_without_one_of_the_gates_is_none(gated: Gated) -> None:
    experiment = at_status(gated.database, REVIEW)
    found = report({})
    found["gates"].pop(3)
    refused(
        gated, new(gated, experiment.experiment_id, experiment.attempt, report=found), "experiment_verdicts_follows"
    )


def by_stress(gated: Gated, verdict: str, found: Any) -> NewVerdict:
    """A verdict of gates that pass, but for one that says `verdict` and holds these findings; None: it has no list."""
    experiment = at_status(gated.database, REVIEW)
    told = report({"STRESS": verdict})
    (stress,) = (gate for gate in told["gates"] if gate["gate"] == "STRESS")
    stress["findings"] = found
    if found is None:
        del stress["findings"]
    advice = "ADOPT" if verdict == "PASS" else "REJECT"
    values = {"verdict": verdict, "recommendation": advice, "report": told}
    return new(gated, experiment.experiment_id, experiment.attempt, **values)


@pytest.mark.parametrize(
    ("verdict", "found"),
    [
        ("PASS", findings("PASS", "FAIL")),
        ("PASS", findings("INVALID")),
        ("FAIL", findings("PASS")),
        ("INVALID", findings("INVALID", "FAIL")),
        ("INCONCLUSIVE", findings("INCONCLUSIVE", "INVALID")),
        ("PASS", []),
        ("FAIL", []),
        ("INVALID", None),
        ("PASS", "PASS"),
        ("PASS", [{"reason": "NO_VERDICT"}]),
        ("FAIL", findings("FAIL", "BROKEN")),
    ],
)
def test_a_gate_is_no_better_and_no_worse_than_its_gravest_finding(gated: Gated, verdict: str, found: Any) -> None:
    refused(gated, by_stress(gated, verdict, found), "experiment_verdicts_findings")


def test_a_contradiction_is_refused_by_name_value_and_expectation(gated: Gated) -> None:
    with pytest.raises(ChangeRefused, match=r"their own findings: STRESS says PASS: expected FAIL$"):
        keep(gated, by_stress(gated, "PASS", findings("PASS", "FAIL")))


@pytest.mark.parametrize(("verdict", "found"), [("INVALID", []), ("INCONCLUSIVE", findings("PASS", "INCONCLUSIVE"))])
def test_a_gate_says_what_its_findings_say_and_without_any_that_it_is_invalid(
    gated: Gated, verdict: str, found: Any
) -> None:
    assert keep(gated, by_stress(gated, verdict, found)).verdict.value == verdict


def test_the_database_and_core_agree_on_the_gravest_verdict(database: Database) -> None:
    with database.connect(Role.OWNER) as session:
        for size in range(len(GateVerdict) + 1):
            for some in combinations(GateVerdict, size):
                (found,) = session.execute("SELECT kronos.gravest(%s::text[])", [[one.value for one in some]])
                assert found == (worst(some).value,)


def test_only_what_passed_is_recommended_for_adoption(gated: Gated) -> None:
    experiment = at_status(gated.database, REVIEW)
    told = {"verdict": "FAIL", "report": report({"STRESS": "FAIL"})}
    refused(gated, new(gated, experiment.experiment_id, experiment.attempt, **told), "experiment_verdicts_adopt")


def test_a_verdict_is_of_the_attempt_whose_results_stand(gated: Gated) -> None:
    experiment = at_status(gated.database, REVIEW)
    refused(gated, new(gated, experiment.experiment_id, experiment.attempt + 1), "experiment_verdicts_attempt")
    queued = at_status(gated.database, ExperimentStatus.QUEUED_FOR_BACKTEST)
    refused(gated, new(gated, queued.experiment_id, queued.attempt), "experiment_verdicts_attempt")


@pytest.mark.parametrize("verdict", ["PASS", "INVALID"])
def test_a_verdict_is_of_results(gated: Gated, verdict: str) -> None:
    experiment = at_status(gated.database, REVIEW)
    gated.as_owner("DELETE FROM kronos.experiment_results")
    told = report({} if verdict == "PASS" else {"INTEGRITY": verdict})
    values = {"verdict": verdict, "recommendation": "ADOPT" if verdict == "PASS" else "REJECT", "report": told}
    refused(gated, new(gated, experiment.experiment_id, experiment.attempt, **values), "experiment_verdicts_results")


def test_a_verdict_is_of_results_of_its_own_attempt(gated: Gated) -> None:
    """The results of an earlier look were judged then."""
    experiment = at_status(gated.database, REVIEW)
    gated.as_owner("UPDATE kronos.experiments SET attempt = attempt + 1")
    refused(gated, new(gated, experiment.experiment_id, experiment.attempt + 1), "experiment_verdicts_results")


def test_the_same_result_again_is_of_the_attempt_that_gave_it_last(gated: Gated) -> None:
    experiment = at_status(gated.database, REVIEW)
    again = moved(gated.database, experiment, *PATHS[REVIEW])
    assert keep(gated, new(gated, again.experiment_id, again.attempt)).attempt == experiment.attempt + 1


def test_a_verdict_under_a_policy_that_is_no_longer_in_force_comes_too_late(gated: Gated) -> None:
    experiment = at_status(gated.database, REVIEW)
    under_the_old_one = new(gated, experiment.experiment_id, experiment.attempt)
    gated.set_policy({**POLICY, "stress": {"loss_ratio": 1.5}}, expected=1)
    refused(gated, under_the_old_one, "experiment_verdicts_policy_in_force")


def test_the_same_evidence_under_the_same_policy_is_judged_once(gated: Gated) -> None:
    experiment = at_status(gated.database, REVIEW)
    first = keep(gated, new(gated, experiment.experiment_id, experiment.attempt))
    again = keep(gated, new(gated, experiment.experiment_id, experiment.attempt))
    with gated.database.connect(Role.READER) as session:
        assert again is None and [one.verdict_id for one in verdicts_of(session, experiment.experiment_id)] == [
            first.verdict_id
        ]


def test_another_policy_on_the_same_evidence_is_no_further_look(gated: Gated) -> None:
    experiment = at_status(gated.database, REVIEW)
    keep(gated, new(gated, experiment.experiment_id, experiment.attempt))
    gated.set_policy({**POLICY, "stress": {"loss_ratio": 1.5}}, expected=1)
    again = keep(gated, new(gated, experiment.experiment_id, experiment.attempt))
    assert again.look == 1 and again.policy_version == 2


def test_a_look_that_nobody_judged_is_spent_too(gated: Gated) -> None:
    """Results can be read as soon as they await review: to test on without a verdict costs as much as with one."""
    mine, other = gated.passed(), gated.passed()
    for _ in range(2):
        moved(gated.database, mine, *PATHS[REVIEW])
    gated.judge(mine, evidence="third look")
    with gated.database.connect(Role.READER) as session:
        newest, first = verdicts_of(session, mine.experiment_id)
        own = [(one.attempt, one.look) for one in looks_at(session, ENGINE, mine.experiment_id)
            if one.experiment_id == mine.experiment_id]  # fmt: skip
        seen_by_other = looks_at(session, ENGINE, other.experiment_id)
    assert [(one.attempt, one.look) for one in (first, newest)] == [(1, 1), (3, 3)]
    assert own == [(1, 1), (2, 2), (3, 3)]
    assert sum(one.experiment_id == mine.experiment_id for one in seen_by_other) == 3


def test_looks_at_controls_are_no_part_of_the_years_budget(gated: Gated) -> None:
    mine, other = (at_status(gated.database, REVIEW) for _ in range(2))
    control = at_status(gated.database, REVIEW, ExpectedOutcome.NEGATIVE_CONTROL)
    for experiment in (mine, other, control):
        keep(gated, new(gated, experiment.experiment_id, experiment.attempt))
    with gated.database.connect(Role.READER) as session:
        found = {one.experiment_id for one in looks_at(session, ENGINE, mine.experiment_id)}
    assert found == {mine.experiment_id, other.experiment_id}


@pytest.mark.parametrize("outcome", [ExpectedOutcome.NEGATIVE_CONTROL, ExpectedOutcome.POSITIVE_CONTROL])
def test_a_control_has_no_part_in_what_real_experiments_spent(gated: Gated, outcome: ExpectedOutcome) -> None:
    """Else a busy year would leave every control without a budget, and the gates' suite without an answer."""
    control, other = at_status(gated.database, REVIEW, outcome), at_status(gated.database, REVIEW, outcome)
    real = at_status(gated.database, REVIEW)
    for experiment in (control, other, real):
        keep(gated, new(gated, experiment.experiment_id, experiment.attempt))
    with gated.database.connect(Role.READER) as session:
        found = [(one.experiment_id, one.look) for one in looks_at(session, ENGINE, control.experiment_id)]
    assert found == [(control.experiment_id, 1)]


def copies(gated: Gated, count: int = 2) -> list[Experiment]:
    """Experiments, in the queue, of configs with the same parameters."""
    made = []
    for _ in range(count):
        config_id = f"copy-{uuid4()}"
        with gated.database.connect(Role.ORCHESTRATOR) as session:
            begin(session)
            register(
                session, config_id=config_id, engine_name=ENGINE, version="1", config_body={"window": 7},
                created_by="ann", created_at=T0,
            )  # fmt: skip
            made.append(insert_experiment(session, new_experiment(config_id)))
    return made


def duplicates(gated: Gated, experiment: Experiment) -> tuple[str, ...]:
    with gated.database.connect(Role.READER) as session:
        return duplicates_of(session, experiment.experiment_id, "base")


def test_who_has_results_first_is_the_original_and_the_others_are_its_duplicates(gated: Gated) -> None:
    handed_in_first, seen_first = copies(gated)
    assert duplicates(gated, handed_in_first) == duplicates(gated, seen_first) == (), "nobody saw anything"
    moved(gated.database, seen_first, *PATHS[REVIEW])
    assert duplicates(gated, handed_in_first) == (seen_first.proposed_config_id,)
    gated.judge(moved(gated.database, handed_in_first, *PATHS[REVIEW]))
    assert duplicates(gated, handed_in_first) == (seen_first.proposed_config_id,), "judged first, and seen second"
    assert duplicates(gated, seen_first) == ()


def test_what_was_seen_and_then_cancelled_keeps_its_parameters(gated: Gated) -> None:
    seen, again = copies(gated)
    moved(gated.database, seen, *PATHS[REVIEW], ExperimentStatus.REJECTED)
    moved(gated.database, again, *PATHS[REVIEW])
    assert duplicates(gated, again) == (seen.proposed_config_id,)


def test_what_was_cancelled_before_it_had_results_takes_nothing(gated: Gated) -> None:
    unseen, again = copies(gated)
    moved(gated.database, unseen, *PATHS[ExperimentStatus.RUNNING_BACKTESTS], ExperimentStatus.REJECTED)
    moved(gated.database, again, *PATHS[REVIEW])
    assert duplicates(gated, again) == ()


def test_after_a_year_what_was_seen_is_new_again(gated: Gated) -> None:
    seen, again = copies(gated)
    moved(gated.database, seen, *PATHS[REVIEW])
    gated.as_owner("UPDATE kronos.experiment_results SET recorded_at = recorded_at - interval '367 days'")
    moved(gated.database, again, *PATHS[REVIEW])
    assert duplicates(gated, again) == ()


def test_results_that_others_took_the_place_of_were_seen_too(gated: Gated) -> None:
    """Tested on, an experiment is no duplicate of a copy that came between."""
    first, copy = copies(gated)
    moved(gated.database, first, *PATHS[REVIEW])
    moved(gated.database, copy, *PATHS[REVIEW])
    gated.as_owner("UPDATE kronos.experiment_results SET detail = jsonb_build_object('of', 'an earlier end')")
    moved(gated.database, first, *PATHS[REVIEW])
    with gated.database.connect(Role.READER) as session:
        (newest,) = results_of(session, first.experiment_id)
        (other,) = results_of(session, copy.experiment_id)
    assert newest.recorded_at > other.recorded_at
    assert duplicates(gated, first) == () and duplicates(gated, copy) == (first.proposed_config_id,)


def test_a_controls_results_take_nothing_from_a_candidate(gated: Gated) -> None:
    control = at_status(gated.database, REVIEW, ExpectedOutcome.NEGATIVE_CONTROL)
    candidate, _ = copies(gated)
    gated.as_owner("UPDATE kronos.engine_configs SET config_body = '{\"window\": 7}' WHERE family = 'CONTROL'")
    moved(gated.database, candidate, *PATHS[REVIEW])
    assert control.proposed_config_id not in duplicates(gated, candidate) == ()


def test_every_verdict_is_in_the_change_log(gated: Gated) -> None:
    experiment = at_status(gated.database, REVIEW)
    keep(gated, new(gated, experiment.experiment_id, experiment.attempt))
    assert (None, "PASS", "Kronos") in gated.log("verdict")


@pytest.mark.parametrize("statement", ["UPDATE {0} SET verdict = 'PASS'", "DELETE FROM {0}", "TRUNCATE {0}"])
def test_no_verdict_changes_or_goes_even_for_the_owner(gated: Gated, statement: str) -> None:
    experiment = at_status(gated.database, REVIEW)
    keep(gated, new(gated, experiment.experiment_id, experiment.attempt))
    with pytest.raises(psycopg.Error), gated.database.connect(Role.OWNER) as session:
        session.execute(statement.format("kronos.experiment_verdicts") + (" CASCADE" if "TRUNC" in statement else ""))


def test_the_defaults_become_the_first_policy_once(database: Database) -> None:
    with database.connect(Role.ORCHESTRATOR) as session:
        begin_policy(session, GatePolicy().model_dump(mode="json"))
        begin_policy(session, {"evidence": {"expires_days": 1}})
        found = policy_history(session)
    assert [one.version for one in found] == [1] and found[0].digest == canonical_hash(found[0].body)
    assert found[0].body == GatePolicy().model_dump(mode="json")


def test_the_first_policy_does_not_approve_by_itself(database: Database) -> None:
    body = GatePolicy().model_dump(mode="json")
    body["auto_approval"]["enabled"] = True
    first = pytest.raises(psycopg.errors.RestrictViolation, match="the first gate policy approves by itself")
    with first, database.connect(Role.ORCHESTRATOR) as session:
        begin_policy(session, body)


def test_an_engines_own_policy_goes_before_the_one_for_all(gated: Gated) -> None:
    gated.set_policy({**POLICY, "stress": {}}, engine=ENGINE)
    with gated.database.connect(Role.READER) as session:
        mine, others = policy_in_force(session, ENGINE), policy_in_force(session, "PORTFOLIO")
    assert mine is not None and others is not None
    assert (mine.engine_name, others.engine_name) == (ENGINE, "*")


def test_of_two_changes_of_a_policy_one_comes_too_late(gated: Gated) -> None:
    gated.set_policy({**POLICY, "stress": {}}, expected=1)
    late = pytest.raises(ChangeRefused, match="is at version 2: expected 1")
    with late, gated.database.connect(Role.CHANGE_MANAGER) as session:
        set_policy(session, ADMIN, "*", POLICY, 1, reason="a test", code_version="test")


@pytest.mark.parametrize("token", [None, "nobody's", BOT])
def test_only_a_person_who_may_changes_a_policy(gated: Gated, token: str | None) -> None:
    with pytest.raises(NotAllowed), gated.database.connect(Role.CHANGE_MANAGER) as session:
        set_policy(session, token, "*", POLICY, 1, reason="a test", code_version="test")


def test_the_orchestrator_cannot_change_a_policy(gated: Gated) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), gated.database.connect(Role.ORCHESTRATOR) as session:
        session.execute("SELECT kronos.set_gate_policy(%s, '*', %s, 1, 'a test')", [ADMIN, Jsonb({})])


def test_a_suite_that_says_something_else_than_its_verdicts_is_refused(gated: Gated) -> None:
    control = at_status(gated.database, REVIEW, ExpectedOutcome.NEGATIVE_CONTROL)
    verdict_id = gated.judge(control, "FAIL")
    outcome = {
        "control": "cost_drag", "family": "IMPROVEMENT", "reason": "", "experiment_id": str(control.experiment_id),
        "verdict_id": str(verdict_id), "expected_verdicts": ["FAIL"], "expected_gate": "VALIDITY", "verdict": "FAIL",
        "gate_verdict": "PASS", "refused_by": ["IMPROVEMENT"], "as_expected": True, "why": "",
        "expected_reasons": [], "gate_reasons": ["NOT_SHOWN"],
    }  # fmt: skip
    untrue = pytest.raises(psycopg.errors.RestrictViolation, match="cost_drag")
    with untrue, gated.database.connect(Role.ORCHESTRATOR) as session:
        begin(session, "Kronos")
        session.execute(
            "INSERT INTO kronos.control_suites (suite_id, engine_name, period, seed, policy_digest, code_version, "
            "outcomes, planned) SELECT %s, %s, '2017-W51', 9, digest, 'test', %s, 1 "
            "FROM kronos.gate_policy_in_force(%s)",
            [uuid4(), ENGINE, Jsonb([outcome]), ENGINE],
        )
