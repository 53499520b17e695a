"""The only path to a live config: what it needs, and that nothing happens when a part of it is missing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from kronos.core.changes.model import Experiment
from kronos.core.vocabulary import ExpectedOutcome, ExperimentStatus
from kronos.errors import ChangeRefused, NotAllowed
from kronos.services.experiments import requeue
from kronos.services.promotion import reject
from kronos.services.proposals import convert_proposal
from kronos.store import promotions
from kronos.store.database import Role
from kronos.store.experiments import move_experiment
from kronos.store.latch import latch_causes, reopen_latch
from kronos.store.principals import hash_of, revoke_principal, rotate_principal
from kronos_tests.store.changes import at_status, begin, moved, proposed
from kronos_tests.store.promoting import ADMIN, BOT, CODE, ENGINE, FUTURE, IDA, MIA, POLICY, REVIEW, Gated


def test_an_approved_config_becomes_the_incumbent(gated: Gated) -> None:
    experiment = gated.approved()
    assert gated.status(experiment) is ExperimentStatus.APPROVED
    gated.promote(experiment)
    assert gated.incumbent() == experiment.proposed_config_id


def test_what_is_active_says_why(gated: Gated) -> None:
    experiment = gated.approved()
    gated.promote(experiment)
    with gated.database.connect(Role.READER) as session:
        (active,) = promotions.active_configs(session, ENGINE)
        (before,) = promotions.active_configs(session, ENGINE, active.activated_at - timedelta(seconds=1))
    assert (active.through, active.approver, active.verdict, active.evidence) == (
        "PROMOTION", "mia", "PASS", "HUMAN_TRIGGERED",
    )  # fmt: skip
    assert (before.config_id, before.through, before.deactivated_at) == ("base", "FIRST", active.activated_at)


def test_every_step_is_logged_by_who_took_it(gated: Gated) -> None:
    gated.promote(gated.approved())
    assert gated.log("approval") == [(None, "PERSON", "mia")]
    assert gated.log("promotion") == [(None, "ACTIVATED", "mia")]


# what an approval needs


@pytest.mark.parametrize("token", [None, "nobody's"])
def test_who_shows_no_valid_token_approves_nothing(gated: Gated, token: str | None) -> None:
    experiment = gated.passed()
    with pytest.raises(NotAllowed, match="a token is needed to approve an experiment"):
        gated.approve(experiment, token)
    assert gated.status(experiment) is REVIEW


@pytest.mark.parametrize(("role", "kind"), [("reader", "PERSON"), ("chat", "SERVICE"), ("orchestrator", "SERVICE")])
def test_a_principal_of_another_role_neither_approves_nor_promotes(gated: Gated, role: str, kind: str) -> None:
    gated.person("eve", "token of eve", role, kind)
    with pytest.raises(NotAllowed, match="principal eve is a"):
        gated.approve(gated.passed(), "token of eve")
    with pytest.raises(NotAllowed, match="change_manager or admin"):
        gated.promote(gated.approved(), "token of eve")
    assert gated.incumbent() == "base"


def test_a_service_promotes_and_does_not_approve(gated: Gated) -> None:
    with pytest.raises(NotAllowed, match="is a person with role"):
        gated.approve(gated.passed(), BOT)
    gated.promote(gated.approved(), BOT)


@pytest.mark.parametrize("name", ["ida", "Ida", "IDA"])
def test_nobody_approves_what_he_brought_about(gated: Gated, name: str) -> None:
    experiment = at_status(gated.database, REVIEW, author=name, token=IDA)
    gated.judge(experiment)
    with pytest.raises(ChangeRefused) as refused:
        gated.approve(experiment, IDA)
    assert refused.value.rule == "approvals_four_eyes"


def test_what_nobody_knows_the_author_of_is_not_approved(gated: Gated) -> None:
    """Who showed no token may be anyone, the approver too, also when somebody takes that name later."""
    experiment = at_status(gated.database, REVIEW, author="somebody")
    gated.judge(experiment)
    with pytest.raises(ChangeRefused, match="brought about by somebody without the token of a person") as refused:
        gated.approve(experiment)
    assert refused.value.rule == "approvals_known_author"
    gated.person("somebody", "token of somebody")
    with pytest.raises(ChangeRefused, match="brought about by somebody without the token of a person"):
        gated.approve(experiment)
    assert gated.status(experiment) is REVIEW


def test_what_a_service_brought_about_is_not_approved(gated: Gated) -> None:
    """Whoever holds its token may be the approver."""
    experiment = at_status(gated.database, REVIEW, author="bot", token=BOT)
    gated.judge(experiment)
    with pytest.raises(ChangeRefused, match="brought about by bot without the token of a person") as refused:
        gated.approve(experiment)
    assert refused.value.rule == "approvals_known_author"


def test_nobody_approves_his_proposal_that_another_converted(gated: Gated) -> None:
    proposal_id = proposed(gated.database, "mia", token=MIA)
    made = convert_proposal(gated.workplace(IDA), proposal_id, "ida")
    experiment = moved(gated.database, made, ExperimentStatus.RUNNING_BACKTESTS, REVIEW)
    gated.judge(experiment)
    with pytest.raises(ChangeRefused) as refused:
        gated.approve(experiment, MIA)
    assert refused.value.rule == "approvals_four_eyes"


def test_what_kronos_proposed_one_person_approves(gated: Gated) -> None:
    experiment = at_status(gated.database, REVIEW, author="Kronos")
    gated.judge(experiment)
    gated.approve(experiment)
    assert gated.status(experiment) is ExperimentStatus.APPROVED


def test_a_token_that_was_replaced_or_revoked_opens_nothing(gated: Gated) -> None:
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        rotate_principal(session, MIA, "mia", token_hash=hash_of("another"), code_version=CODE)
    with pytest.raises(NotAllowed, match="unknown or revoked"):
        gated.approve(gated.passed(), MIA)
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        revoke_principal(session, ADMIN, "mia", "left", code_version=CODE)
    with pytest.raises(NotAllowed, match="unknown or revoked"):
        gated.approve(gated.passed(), "another")


def judged_anew(gated: Gated, experiment: Experiment) -> None:
    gated.judge(experiment, evidence="another look")


def policy_changed(gated: Gated, _: Experiment) -> None:
    gated.set_policy({**POLICY, "strict": True}, expected=1)


def diff_changed(gated: Gated, experiment: Experiment) -> None:
    body, config_id = '{"x": 1}', experiment.proposed_config_id
    gated.as_owner(f"UPDATE kronos.engine_configs SET config_body = '{body}' WHERE config_id = '{config_id}'")


def incumbent_changed(gated: Gated, _: Experiment) -> None:
    gated.promote(gated.approved())


def failed_since(gated: Gated, experiment: Experiment) -> None:
    gated.judge(experiment, "FAIL", evidence="a look at more")


def expired(gated: Gated, experiment: Experiment) -> None:
    gated.as_owner(
        "UPDATE kronos.experiment_verdicts SET expires_at = now() - interval '1 second' "
        f"WHERE experiment_id = '{experiment.experiment_id}'"
    )


CHANGES = [
    (judged_anew, "approvals_digest"),
    (diff_changed, "approvals_digest"),
    (policy_changed, "promotions_policy"),
    (incumbent_changed, "promotions_incumbent"),
    (failed_since, "promotions_pass"),
    (expired, "promotions_fresh"),
]


@pytest.mark.parametrize(("change", "rule"), CHANGES)
def test_what_changed_since_it_was_seen_is_not_approved(
    gated: Gated, change: Callable[[Gated, Experiment], None], rule: str
) -> None:
    experiment = gated.passed()
    seen = gated.digest(experiment)
    change(gated, experiment)
    with pytest.raises(ChangeRefused) as refused:
        gated.approve(experiment, digest=seen)
    assert refused.value.rule == rule
    assert gated.status(experiment) is REVIEW


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE", "INVALID"])
def test_only_a_pass_is_approved(gated: Gated, verdict: str) -> None:
    experiment = at_status(gated.database, REVIEW, author="ida", token=IDA)
    gated.judge(experiment, verdict)
    with pytest.raises(ChangeRefused, match=f"is {verdict} by IMPROVEMENT: expected PASS"):
        gated.approve(experiment)


def test_a_control_is_never_approved_however_it_was_judged(gated: Gated) -> None:
    control = at_status(gated.database, REVIEW, ExpectedOutcome.POSITIVE_CONTROL)
    gated.judge(control)
    with pytest.raises(ChangeRefused) as refused:
        gated.approve(control)
    assert refused.value.rule == "promotions_no_control"


@pytest.mark.parametrize("statement", [
    "INSERT INTO kronos.approvals (approval_id, experiment_id, verdict_id, digest, content, kind, approver, reason, "
    "evidence) SELECT gen_random_uuid(), experiment_id, verdict_id, evidence_digest, '{}', 'PERSON', 'x', 'x', "
    "evidence FROM kronos.experiment_verdicts WHERE evidence = 'CONTROL'",
])  # fmt: skip
def test_not_even_the_owner_enters_an_approval_of_a_control(gated: Gated, statement: str) -> None:
    with gated.database.connect(Role.OWNER) as session, pytest.raises(psycopg.errors.CheckViolation) as refused:
        begin(session)
        session.execute(statement)
    assert refused.value.diag.constraint_name == "approvals_no_control"


def test_the_same_is_approved_once(gated: Gated) -> None:
    experiment = gated.approved()
    with pytest.raises(ChangeRefused) as refused:
        gated.approve(experiment)
    assert refused.value.rule == "approvals_once"


# what a promotion needs


def test_without_an_approval_nothing_is_promoted(gated: Gated) -> None:
    with pytest.raises(ChangeRefused) as refused:
        gated.promote(gated.passed())
    assert refused.value.rule == "promotions_approval"


def test_an_approval_is_for_one_promotion(gated: Gated) -> None:
    """Cancelled, it was used as well."""
    experiment = gated.approved()
    promotion = gated.promote(experiment, at=FUTURE)
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        promotions.cancel_promotion(session, MIA, promotion, reason="not now", code_version=CODE)
    with pytest.raises(ChangeRefused) as refused:
        gated.promote(experiment)
    assert refused.value.rule == "promotions_approval_used_once"
    assert gated.incumbent() == "base"


def evidence_swapped(gated: Gated, experiment: Experiment) -> None:
    gated.as_owner(
        f"UPDATE kronos.experiment_verdicts SET evidence_digest = repeat('a', 64) "
        f"WHERE experiment_id = '{experiment.experiment_id}'"
    )


def latch_closed(gated: Gated, _: Experiment) -> None:
    gated.suite("PASS")


def approver_revoked(gated: Gated, _: Experiment) -> None:
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        revoke_principal(session, ADMIN, "mia", "left", code_version=CODE)


@pytest.mark.parametrize(("change", "rule"), [
    (evidence_swapped, "promotions_digest"),
    (diff_changed, "promotions_digest"),
    (policy_changed, "promotions_policy"),
    (incumbent_changed, "promotions_incumbent"),
    (expired, "promotions_fresh"),
    (latch_closed, "promotions_latch"),
    (approver_revoked, "promotions_approver"),
])  # fmt: skip
@pytest.mark.parametrize("scheduled", [False, True])
def test_what_changed_since_the_approval_is_not_promoted(
    gated: Gated, change: Callable[[Gated, Experiment], None], rule: str, scheduled: bool
) -> None:
    """Neither at once nor when its time has come: then it is cancelled, with the reason."""
    experiment = gated.approved()
    if scheduled:
        promotion = gated.promote(experiment, at=FUTURE)
    change(gated, experiment)
    active = gated.incumbent()
    if scheduled:
        gated.make_due()
        with gated.database.connect(Role.CHANGE_MANAGER) as session:
            assert promotions.activate_due(session, code_version=CODE) == [promotion]
        (one,) = gated.found(promotion_id=promotion)
        assert (one.status, bool(one.settled_why)) == ("CANCELLED", True)
    else:
        with pytest.raises(ChangeRefused) as refused:
            gated.promote(experiment, ADMIN)
        assert refused.value.rule == rule
    assert gated.incumbent() == active != experiment.proposed_config_id


def test_a_scheduled_promotion_waits_for_its_time(gated: Gated) -> None:
    experiment = gated.approved()
    promotion = gated.promote(experiment, at=FUTURE)
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        assert promotions.activate_due(session, code_version=CODE) == []
    assert gated.incumbent() == "base"
    gated.make_due()
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        assert promotions.activate_due(session, code_version=CODE) == [promotion]
        assert promotions.activate_due(session, code_version=CODE) == []
    assert gated.incumbent() == experiment.proposed_config_id
    assert gated.log("promotion") == [(None, "SCHEDULED", "mia"), ("SCHEDULED", "ACTIVATED", "mia")]


def test_while_one_is_scheduled_nothing_else_makes_the_config_live(gated: Gated) -> None:
    """Else it could be promoted at once, rolled back, and return by itself."""
    experiment = gated.approved()
    gated.promote(experiment, at=FUTURE)
    for attempt in (lambda: gated.approve(experiment, ADMIN), lambda: gated.promote(experiment)):
        with pytest.raises(ChangeRefused, match="cancel that first") as refused:
            attempt()
        assert refused.value.rule == "promotions_one_scheduled"
    assert gated.incumbent() == "base"


SCHEDULED_BESIDES = """
WITH another AS (
    INSERT INTO kronos.approvals
    SELECT (jsonb_populate_record(approvals, jsonb_build_object('approval_id', gen_random_uuid()))).*
    FROM kronos.approvals
    RETURNING approval_id
)
INSERT INTO kronos.promotions
SELECT (jsonb_populate_record(promotions, jsonb_build_object('promotion_id', gen_random_uuid(), 'status', 'SCHEDULED',
    'approval_id', another.approval_id, 'settled_at', null, 'activation_id', null))).*
FROM kronos.promotions CROSS JOIN another
"""


def test_a_config_that_was_rolled_back_does_not_return_by_itself(gated: Gated) -> None:
    """Not even by what was scheduled when two promotions of one experiment could be."""
    experiment = gated.approved()
    gated.promote(experiment)
    with gated.database.connect(Role.OWNER) as session:
        begin(session)
        session.execute(SCHEDULED_BESIDES)
    gated.roll_back(experiment.proposed_config_id)
    cancelled = [one.settled_why for one in gated.found() if one.status == "CANCELLED"]
    assert cancelled == ["its config was rolled back: worse"]
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        assert promotions.activate_due(session, code_version=CODE) == []
    assert gated.incumbent() == "base"


def test_who_was_revoked_has_nothing_activated_any_more(gated: Gated) -> None:
    gated.person("eve", "token of eve")
    promotion = gated.promote(gated.approved(), "token of eve", at=FUTURE)
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        revoke_principal(session, ADMIN, "eve", "left", code_version=CODE)
    gated.make_due()
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        promotions.activate_due(session, code_version=CODE)
    (one,) = gated.found(promotion_id=promotion)
    assert (one.status, one.settled_why) == ("CANCELLED", "this promotion was asked for by eve, who was revoked")
    assert gated.log("promotion")[-1] == ("SCHEDULED", "CANCELLED", "without token: kronos_change_manager")
    assert gated.incumbent() == "base"


@pytest.mark.parametrize("at", [
    pytest.param(datetime(2020, 1, 1, tzinfo=UTC), id="past"),
    pytest.param(FUTURE + timedelta(days=366), id="in more than a year"),
    pytest.param(datetime.fromisoformat("9999-12-31T23:00-12:00"), id="after the last year"),
])  # fmt: skip
def test_a_time_that_is_past_or_years_ahead_is_a_mistyped_one(gated: Gated, at: datetime) -> None:
    experiment = gated.approved()
    with pytest.raises(ChangeRefused, match=r"time of activation has value .*: expected one after .*, within") as no:
        gated.promote(experiment, at=at)
    assert no.value.rule == "promotions_time"
    assert (gated.incumbent(), gated.found()) == ("base", [])


def test_a_scheduled_promotion_can_be_taken_back_and_approved_anew(gated: Gated) -> None:
    experiment = gated.approved()
    promotion = gated.promote(experiment, at=FUTURE)
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        promotions.cancel_promotion(session, MIA, promotion, reason="not yet", code_version=CODE)
    gated.approve(experiment)
    gated.promote(experiment)
    assert gated.incumbent() == experiment.proposed_config_id


@pytest.mark.parametrize("at", [FUTURE, None])
def test_a_promotion_is_settled_once(gated: Gated, at: datetime | None) -> None:
    promotion = gated.promote(gated.approved(), at=at)
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        if at is not None:
            promotions.cancel_promotion(session, MIA, promotion, reason="no", code_version=CODE)
        with pytest.raises(ChangeRefused, match="only a scheduled one can be cancelled"):
            promotions.cancel_promotion(session, MIA, promotion, reason="no", code_version=CODE)


def test_of_eight_promotions_racing_one_wins(gated: Gated) -> None:
    rivals = [gated.approved() for _ in range(4)]

    def attempt(experiment: Experiment) -> str | None:
        try:
            gated.promote(experiment)
        except ChangeRefused:
            return None
        return experiment.proposed_config_id

    with ThreadPoolExecutor(8) as pool:
        winners = [name for name in pool.map(attempt, rivals * 2) if name]
    assert winners == [gated.incumbent()]
    assert len(gated.found()) == 1


# rejecting


def test_a_person_rejects_what_awaits_review(gated: Gated) -> None:
    experiment = gated.passed()
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        promotions.reject(session, MIA, experiment.experiment_id, reason="too complex", code_version=CODE)
    assert gated.status(experiment) is ExperimentStatus.REJECTED
    with gated.database.connect(Role.CHANGE_MANAGER) as session, pytest.raises(ChangeRefused, match="cannot become"):
        promotions.reject(session, MIA, experiment.experiment_id, reason="again", code_version=CODE)


# an approval that lapsed


def requeued(gated: Gated, experiment: Experiment) -> None:
    requeue(gated.workplace(), experiment.experiment_id, "mia", "it changed")


def rejected(gated: Gated, experiment: Experiment) -> None:
    reject(gated.workplace(), experiment.experiment_id, "it changed")


def test_for_an_approver_who_was_revoked_another_approves(gated: Gated) -> None:
    experiment = gated.approved()
    approver_revoked(gated, experiment)
    with pytest.raises(ChangeRefused, match="by mia, who was revoked: another person approves it"):
        gated.promote(experiment, ADMIN)
    gated.approve(experiment, ADMIN)
    gated.promote(experiment, ADMIN)
    assert gated.incumbent() == experiment.proposed_config_id


@pytest.mark.parametrize(("change", "advice"), [
    (incumbent_changed, "continue testing, against that"),
    (expired, "continue testing"),
    (policy_changed, "continue testing"),
])  # fmt: skip
def test_what_was_approved_under_other_conditions_is_tested_on(
    gated: Gated, change: Callable[[Gated, Experiment], None], advice: str
) -> None:
    experiment = gated.approved()
    change(gated, experiment)
    with pytest.raises(ChangeRefused, match=f"{advice}$"):
        gated.promote(experiment)
    requeued(gated, experiment)
    assert gated.status(experiment) is ExperimentStatus.QUEUED_FOR_BACKTEST


def test_an_approval_is_of_its_attempt(gated: Gated) -> None:
    """Tested on and passed on the very same evidence, it has to be approved anew."""
    experiment = gated.approved()
    requeued(gated, experiment)
    with pytest.raises(ChangeRefused, match="is QUEUED_FOR_BACKTEST: expected APPROVED"):
        gated.promote(experiment)
    again = moved(gated.database, experiment, ExperimentStatus.RUNNING_BACKTESTS, REVIEW)
    gated.judge(again)
    with pytest.raises(ChangeRefused) as refused:
        gated.promote(experiment)
    assert refused.value.rule == "promotions_digest"
    gated.approve(experiment)
    gated.promote(experiment)
    assert gated.incumbent() == experiment.proposed_config_id


def test_a_person_rejects_what_was_approved_and_not_promoted(gated: Gated) -> None:
    experiment = gated.approved()
    rejected(gated, experiment)
    assert gated.status(experiment) is ExperimentStatus.REJECTED


@pytest.mark.parametrize("change", [requeued, rejected])
@pytest.mark.parametrize(("at", "rule"), [(FUTURE, "promotions_one_scheduled"), (None, "experiments_promoted")])
def test_what_is_promoted_or_to_be_stays_approved(
    gated: Gated, change: Callable[[Gated, Experiment], None], at: datetime | None, rule: str
) -> None:
    experiment = gated.approved()
    gated.promote(experiment, at=at)
    with pytest.raises(ChangeRefused) as refused:
        change(gated, experiment)
    assert refused.value.rule == rule
    assert gated.status(experiment) is ExperimentStatus.APPROVED


def test_a_person_reopens_the_latch_and_after_a_suite_as_expected_the_promotion_goes_on(gated: Gated) -> None:
    experiment = gated.approved()
    gated.suite("PASS")
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        (closed,) = latch_causes(session, ENGINE)
        assert closed.event_id is not None
        reopen_latch(session, MIA, ENGINE, seen=closed.event_id, reason="mislabelled", code_version=CODE)
    with pytest.raises(ChangeRefused) as refused:
        gated.promote(experiment)
    assert refused.value.rule == "promotions_code"
    gated.suite()
    gated.promote(experiment)
    assert gated.incumbent() == experiment.proposed_config_id


@pytest.mark.parametrize(("expected", "scope"), [("base", "*"), (None, "US_EQ")])
def test_nobody_activates_past_the_path(gated: Gated, expected: str | None, scope: str) -> None:
    experiment = gated.approved()
    with gated.database.connect(Role.CHANGE_MANAGER) as session, pytest.raises(psycopg.errors.RestrictViolation):
        session.execute(
            "SELECT kronos.activate_config('REGIME', %s, 'somebody', 'me', now(), %s, %s)",
            [experiment.proposed_config_id, expected, scope],
        )


def test_who_asked_for_what_is_due_lends_his_name_to_nothing_else(gated: Gated) -> None:
    """Settled in one transaction with a change by somebody else."""
    gated.promote(gated.approved(), IDA, at=FUTURE)
    other = gated.passed()
    gated.make_due()
    with gated.database.connect(Role.OWNER) as session:
        session.execute("SET ROLE kronos_change_manager")
        promotions.activate_due(session, code_version=CODE)
        session.execute("SET ROLE kronos_orchestrator")
        with pytest.raises(ChangeRefused, match="a change needs an author"):
            move_experiment(session, other.experiment_id, [REVIEW], ExperimentStatus.QUEUED_FOR_BACKTEST)


def test_nor_does_who_was_refused(gated: Gated) -> None:
    other = gated.passed()
    with gated.database.connect(Role.ORCHESTRATOR) as session:
        session.execute("SELECT kronos.log_refusal(%s, 'ann', 'promote', 'x', 'rule', 'why')", [MIA])
        with pytest.raises(ChangeRefused, match="a change needs an author"):
            move_experiment(session, other.experiment_id, [REVIEW], ExperimentStatus.QUEUED_FOR_BACKTEST)
