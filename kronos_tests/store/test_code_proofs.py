"""A verdict counts if a suite of controls has proven the code that reached it."""

from __future__ import annotations

import psycopg
import pytest

from kronos.core.changes.model import Experiment
from kronos.core.gates.record import VerdictRecord
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import ChangeRefused
from kronos.services.gate_standing import promotion_candidates
from kronos.services.latch import reopen_latch
from kronos.services.verdicts import verdict_history, verdict_of
from kronos.store.control_suites import promotable_experiments
from kronos.store.database import Role
from kronos.store.latch import latch_history
from kronos_tests.store.changes import at_status
from kronos_tests.store.promoting import ENGINE, IDA, REVIEW, Gated

NEW = "edited"
UNPROVEN = "judged by code edited, which no suite of controls"


def reopened(gated: Gated) -> None:
    """The latch, by mia, who has seen what closed it."""
    with gated.database.connect(Role.READER) as session:
        seen = latch_history(session, ENGINE)[-1].event_id
    reopen_latch(gated.workplace(), ENGINE, seen, "the edit is undone")


def told(gated: Gated) -> str:
    """What stands against the only candidate, which the tables alone agree on."""
    (found,) = promotion_candidates(gated.database)
    with gated.database.connect(Role.READER) as session:
        assert promotable_experiments(session) == [found.experiment.experiment_id] * found.promotable
    return "; ".join(found.reasons)


def test_a_pass_by_code_without_a_suite_is_approved_when_the_suite_has_come(gated: Gated) -> None:
    experiment = at_status(gated.database, REVIEW, author="ida", token=IDA)
    gated.judge(experiment, code=NEW)
    assert UNPROVEN in told(gated)
    with pytest.raises(ChangeRefused, match=f"{UNPROVEN}.* of REGIME has proven in the last 8 days: wait for its"):
        gated.approve(experiment)
    assert gated.status(experiment) is REVIEW
    gated.suite(code=NEW)
    assert told(gated) == ""
    gated.approve(experiment)
    gated.promote(experiment)
    assert gated.incumbent() == experiment.proposed_config_id


def test_what_proven_code_let_through_stays_so_while_the_next_code_waits_for_its_suite(gated: Gated) -> None:
    experiment = gated.approved()
    gated.suite(code=NEW)
    assert told(gated) == ""
    gated.promote(experiment)


def test_an_approval_lapses_when_a_later_suite_shows_the_code_broken(gated: Gated) -> None:
    experiment = at_status(gated.database, REVIEW, author="ida", token=IDA)
    gated.judge(experiment, code=NEW)
    gated.suite(code=NEW)
    gated.approve(experiment)
    gated.suite("PASS", code=NEW)
    gated.suite()
    reopened(gated)
    with pytest.raises(ChangeRefused, match=f"{UNPROVEN}.*continue testing"):
        gated.promote(experiment)
    assert (gated.incumbent(), gated.status(experiment)) == ("base", ExperimentStatus.APPROVED)


@pytest.mark.parametrize("order", ["suite first", "reopened first"])
def test_reopening_the_latch_proves_no_code(gated: Gated, order: str) -> None:
    experiment = at_status(gated.database, REVIEW, author="ida", token=IDA)
    gated.judge(experiment, code=NEW)
    gated.suite("PASS", code=NEW)
    if order == "suite first":
        gated.suite()
    reopened(gated)
    assert UNPROVEN in told(gated)
    with pytest.raises(ChangeRefused, match=UNPROVEN):
        gated.approve(experiment)
    gated.suite()
    gated.judge(experiment)
    assert told(gated) == ""
    gated.approve(experiment)
    gated.promote(experiment)


def test_a_backtest_by_code_known_to_be_wrong_is_no_evidence_whoever_judges_it(gated: Gated) -> None:
    experiment = at_status(gated.database, REVIEW, author="ida", token=IDA)
    gated.judge(experiment, tested_by=NEW)
    assert told(gated) == ""
    gated.suite("PASS", code=NEW)
    gated.suite()
    reopened(gated)
    assert f" ran by code {NEW}, whose suite of controls of REGIME was not as expected" in told(gated)
    with pytest.raises(ChangeRefused, match=f"ran by code {NEW}, whose suite .* continue testing"):
        gated.approve(experiment)
    gated.suite(code=NEW)
    gated.approve(experiment)


def test_the_verdict_in_force_is_by_proven_code_where_there_is_one(gated: Gated) -> None:
    experiment = gated.passed()
    failed = gated.judge(experiment, "FAIL", code=NEW)
    assert (in_force(gated, experiment).verdict, told(gated)) == ("PASS", "")
    gated.suite(code=NEW)
    assert in_force(gated, experiment).verdict_id == failed
    assert "is FAIL by IMPROVEMENT: expected PASS" in told(gated)


def test_a_verdict_under_the_policy_in_force_goes_before_an_older_one_by_proven_code(gated: Gated) -> None:
    experiment = gated.passed()
    gated.set_policy({"evidence": {"expires_days": 20}}, expected=1)
    judged = gated.judge(experiment, "INCONCLUSIVE", code=NEW)
    assert in_force(gated, experiment).verdict_id == judged


def in_force(gated: Gated, experiment: Experiment) -> VerdictRecord:
    return verdict_of(gated.database, experiment.experiment_id)


def test_a_proof_of_the_code_ages_although_other_code_has_a_fresh_one(gated: Gated) -> None:
    gated.as_owner("UPDATE kronos.control_suites SET completed_at = now() - interval '9 days'")
    gated.suite(code=NEW)
    experiment = gated.passed()
    assert "judged by code test, which no suite of controls" in told(gated)
    with pytest.raises(ChangeRefused, match=r"judged by code test, which no suite .* in the last 8 days"):
        gated.approve(experiment)
    gated.judge(experiment, code=NEW)
    assert told(gated) == ""


def test_a_suite_of_another_policy_proves_no_code(gated: Gated) -> None:
    gated.suite(code=NEW)
    gated.set_policy({"evidence": {"expires_days": 20}}, expected=1)
    gated.suite()
    experiment = at_status(gated.database, REVIEW, author="ida", token=IDA)
    gated.judge(experiment, code=NEW)
    assert UNPROVEN in told(gated)


def test_a_suite_is_of_controls_that_its_own_code_judged(gated: Gated) -> None:
    with pytest.raises(ChangeRefused, match="inverted signal are not those of their verdicts"):
        gated.record(ENGINE, gated.negative(), code=NEW)


@pytest.mark.parametrize("code", ["leaky", None])
def test_a_suite_is_of_controls_that_its_own_code_ran(gated: Gated, code: str | None) -> None:
    told = gated.negative(tested_by="leaky")
    if code is None:
        gated.as_owner("UPDATE kronos.experiment_verdicts SET report = report - 'about'")
    with pytest.raises(ChangeRefused, match=r"inverted signal .* or their backtests not by code test"):
        gated.record(ENGINE, told)


def test_code_that_ran_a_control_which_was_let_through_is_broken_whoever_judged_it(gated: Gated) -> None:
    """As in suites of before the rule above."""
    suite = gated.suite("PASS")
    gated.suite()
    gated.as_owner(
        "UPDATE kronos.experiment_verdicts SET report = jsonb_set(report, '{about,code_version}', '\"leaky\"') FROM "
        f"kronos.control_suites WHERE suite_id = '{suite}' AND verdict_id = (outcomes #>> '{{0,verdict_id}}')::uuid"
    )
    reopened(gated)
    experiment = at_status(gated.database, REVIEW, author="ida", token=IDA)
    gated.judge(experiment, tested_by="leaky")
    assert " ran by code leaky, whose suite of controls of REGIME was not as expected" in told(gated)
    with pytest.raises(ChangeRefused, match="ran by code leaky, whose suite"):
        gated.approve(experiment)


def test_a_backtest_by_nobody_knows_which_code_is_no_evidence(gated: Gated) -> None:
    experiment = at_status(gated.database, REVIEW, author="ida", token=IDA)
    gated.judge(experiment, tested_by=None)
    assert "does not say which code ran its backtest" in told(gated)
    with pytest.raises(ChangeRefused, match="does not say which code ran its backtest: continue testing"):
        gated.approve(experiment)


def test_each_version_of_the_code_judges_the_same_evidence_once_and_the_look_is_the_same(gated: Gated) -> None:
    experiment = gated.passed()
    gated.judge(experiment, "FAIL", code=NEW)
    with pytest.raises(psycopg.errors.UniqueViolation, match="experiment_verdicts_once"):
        gated.judge(experiment, code=NEW)
    found = verdict_history(gated.database, experiment.experiment_id)
    assert [(one.verdict, one.look) for one in found] == [("PASS", 1), ("FAIL", 1)]
