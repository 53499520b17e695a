"""Who is called promotable is promoted, and who is not is refused, for the reason that was told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kronos.core.changes.model import Experiment
from kronos.core.controls.standing import Candidate
from kronos.errors import ChangeRefused
from kronos.services.gate_standing import promotion_candidates, unfounded_candidates
from kronos.services.latch import reopen_latch
from kronos.store.database import Role
from kronos.store.latch import close_latch, latch_history
from kronos_tests.store.changes import begin
from kronos_tests.store.promoting import ENGINE, FUTURE, POLICY, Gated

State = Callable[[Gated, Experiment], object]


def candidate(gated: Gated, experiment: Experiment) -> Candidate:
    (found,) = [
        one for one in promotion_candidates(gated.database) if one.experiment.experiment_id == experiment.experiment_id
    ]
    return found


def reopened(gated: Gated) -> None:
    with gated.database.connect(Role.READER) as session:
        newest = latch_history(session, ENGINE)[-1]
    reopen_latch(gated.workplace(), ENGINE, newest.event_id, "looked at")


def failed_by_other_code_and_looked_at(gated: Gated, _: Experiment) -> None:
    gated.suite("PASS", code="edited")
    reopened(gated)


def policy_there_and_back(gated: Gated, _: Experiment) -> None:
    gated.set_policy({**POLICY, "strict": True}, expected=1)
    gated.suite()
    gated.set_policy(POLICY, expected=2)


def positives_missed(gated: Gated, _: Experiment) -> None:
    for _again in range(3):
        gated.missed()


def rolled_back(gated: Gated, experiment: Experiment) -> None:
    gated.promote(experiment)
    gated.roll_back(experiment.proposed_config_id)


def promoted(gated: Gated, experiment: Experiment) -> None:
    gated.promote(experiment)


def scheduled(gated: Gated, experiment: Experiment) -> None:
    gated.promote(experiment, at=FUTURE)


def closed(gated: Gated, _: Experiment) -> None:
    with gated.database.connect(Role.CHANGE_MANAGER) as session:
        begin(session, "ann")
        close_latch(session, ENGINE, "SUSPECT", {"why": "a look is needed"})


def stale(gated: Gated, _: Experiment) -> None:
    gated.as_owner("UPDATE kronos.control_suites SET completed_at = completed_at - interval '8 days'")


def expired(gated: Gated, _: Experiment) -> None:
    gated.as_owner("UPDATE kronos.experiment_verdicts SET expires_at = now()")


def under_another_policy(gated: Gated, _: Experiment) -> None:
    gated.set_policy({**POLICY, "strict": True}, expected=1)
    gated.suite()


@pytest.mark.parametrize("state", [failed_by_other_code_and_looked_at, policy_there_and_back, positives_missed])
def test_what_the_database_lets_through_is_called_promotable(gated: Gated, state: State) -> None:
    experiment = gated.approved()
    state(gated, experiment)
    assert candidate(gated, experiment).reasons == () and unfounded_candidates(gated.database).passed
    gated.promote(experiment)


@pytest.mark.parametrize(
    "state", [rolled_back, promoted, scheduled, closed, stale, expired, under_another_policy],
)  # fmt: skip
def test_what_the_database_refuses_is_not_called_promotable_and_the_reason_is_told(gated: Gated, state: State) -> None:
    experiment = gated.approved()
    state(gated, experiment)
    found = candidate(gated, experiment)
    with pytest.raises(ChangeRefused) as refused:
        gated.promote(experiment)
    assert found.reasons[0] == str(refused.value)
