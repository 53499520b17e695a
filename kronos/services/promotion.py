"""The way to a live config: adopt the first, then review, approve or reject, promote, roll back.

The database decides, each in one call.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from kronos.core.changes.model import Experiment
from kronos.core.changes.request import text
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import BadValue, ChangeRefused, NotFound
from kronos.services.experiments import find_experiment
from kronos.services.gate_policies import gate_policy
from kronos.services.refused import refusals_logged
from kronos.services.workplace import Workplace
from kronos.store import promotions as stored
from kronos.store.change_log import Session
from kronos.store.database import Database, Role
from kronos.store.engine_configs import EVERYWHERE, list_configs
from kronos.store.latch import LatchCause, latch_causes
from kronos.store.promotions import ActiveConfig, Approval, LiveRecord, Promotion, Review


@dataclass(frozen=True)
class ToDecide:
    """What an approver is shown; review None: there is no verdict yet. latch: why it is closed, empty when open."""

    experiment: Experiment
    review: Review | None
    approvals: list[Approval]
    promotions: list[Promotion]
    latch: list[LatchCause]


def to_decide(database: Database, experiment_id: str | UUID) -> ToDecide:
    """The experiment with the verdict in force, what an approval would be of now, and what was decided so far."""
    experiment = find_experiment(database, experiment_id)
    with database.connect(Role.READER) as session:
        return ToDecide(
            experiment,
            stored.review_of(session, experiment.experiment_id),
            stored.approvals_of(session, experiment.experiment_id),
            stored.find_promotions(session, experiment_id=experiment.experiment_id),
            latch_causes(session, experiment.engine_name),
        )


def approve(workplace: Workplace, experiment_id: str | UUID, digest: str, reason: str) -> Approval:
    """Approve what has the digest the approver saw; `ChangeRefused` when it is something else by now.

    By the person whose token the workplace holds: not the one who brought the experiment about.
    """
    why, wanted = text("reason", reason), find_experiment(workplace.database, experiment_id).experiment_id
    with _changing(workplace, "approve", wanted) as session:
        stored.approve(session, workplace.token, wanted, digest=digest, reason=why, code_version=workplace.code_version)
        return stored.approvals_of(session, wanted)[-1]


def approve_by_policy(workplace: Workplace) -> dict[UUID, str]:
    """Approve what the gate policy approves by itself, as soon as everything that stood against it is gone.

    Per experiment that may be promoted, awaits review and is of an engine whose policy approves at all: `APPROVED`, or
    why a person has to.
    """
    # scipy: only who looks at candidates waits for it
    from kronos.services.gate_standing import promotion_candidates

    found = {}
    for candidate in promotion_candidates(workplace.database):
        judged = candidate.experiment
        terms = gate_policy(workplace.database, judged.engine_name).policy.auto_approval
        if candidate.promotable and terms.enabled and judged.status == ExperimentStatus.AWAITING_REVIEW:
            try:
                with workplace.database.connect(Role.ORCHESTRATOR) as session:
                    stored.auto_approve(session, judged.experiment_id, code_version=workplace.code_version)
            except ChangeRefused as refused:
                found[judged.experiment_id] = str(refused)
            else:
                found[judged.experiment_id] = ExperimentStatus.APPROVED.value
    return found


def reject(workplace: Workplace, experiment_id: str | UUID, reason: str) -> Experiment:
    """Reject what awaits review, or was approved and is not promoted, or rolled back since."""
    why, wanted = text("reason", reason), find_experiment(workplace.database, experiment_id).experiment_id
    with _changing(workplace, "reject", wanted) as session:
        stored.reject(session, workplace.token, wanted, reason=why, code_version=workplace.code_version)
    return find_experiment(workplace.database, wanted)


def promote(workplace: Workplace, experiment_id: str | UUID, reason: str, at: datetime | None = None) -> Promotion:
    """Make an approved config the incumbent of its engine, at once or at a time to come.

    at: by the clock activations go by, the sandbox's in the sandbox; later than now, by a year at most. `ChangeRefused`
    unless the verdict in force is a fresh PASS by code that a suite of controls has proven, the latch is open, the
    approval is of what there is now, the incumbent is the one judged against, and no other promotion
    of the experiment is scheduled.
    """
    if at is not None and at.tzinfo is None:
        raise BadValue("time of activation", at.isoformat(), "a time with its zone")
    why, wanted = text("reason", reason), find_experiment(workplace.database, experiment_id).experiment_id
    with _changing(workplace, "promote", wanted) as session:
        made = stored.promote(session, workplace.token, wanted, reason=why, at=at, code_version=workplace.code_version)
        return _promotion(session, made)


def cancel_promotion(workplace: Workplace, experiment_id: str | UUID, reason: str) -> Promotion:
    """Take back the scheduled promotion of an experiment."""
    why, wanted = text("reason", reason), find_experiment(workplace.database, experiment_id).experiment_id
    with _changing(workplace, "cancel promotion", wanted) as session:
        scheduled = [one for one in stored.find_promotions(session, experiment_id=wanted) if one.status == "SCHEDULED"]
        if not scheduled:
            raise ChangeRefused(f"experiment {wanted} has no scheduled promotion to cancel", "promotions_scheduled")
        promotion_id = scheduled[-1].promotion_id
        stored.cancel_promotion(session, workplace.token, promotion_id, reason=why, code_version=workplace.code_version)
        return _promotion(session, promotion_id)


def roll_back(workplace: Workplace, engine_name: str, expected: str, reason: str, scope: str = EVERYWHERE) -> Promotion:
    """Return an engine to the config that was active before the expected one, which has to be active still."""
    why = text("reason", reason)
    with _changing(workplace, "roll back", engine_name) as session:
        made = stored.roll_back(
            session,
            workplace.token,
            engine_name,
            expected_incumbent=expected,
            reason=why,
            code_version=workplace.code_version,
            scope=scope,
        )
        return _promotion(session, made)


def adopt(workplace: Workplace, live: LiveRecord, engine_name: str, config_id: str, reason: str) -> ActiveConfig:
    """Make what trades upstream already the engine's first active config, by the person whose token it is.

    live: the config's own record. `ChangeRefused` for an engine that ever had an active config, and for a config that
    is not a registered, real one of this engine with a LIVE decision in the last 31 days of the data.
    """
    why = text("reason", reason)
    with _changing(workplace, "adopt", engine_name) as session:
        stored.adopt(
            session,
            workplace.token,
            engine_name,
            config_id,
            live=live,
            reason=why,
            code_version=workplace.code_version,
        )
        (adopted,) = stored.active_configs(session, engine_name, None)
        return adopted


def activate_due(workplace: Workplace) -> list[Promotion]:
    """Activate, or cancel with the reason, the scheduled promotions whose time has come."""
    with workplace.database.connect(Role.CHANGE_MANAGER) as session:
        settled = stored.activate_due(session, code_version=workplace.code_version)
        return [_promotion(session, one) for one in settled]


def active_configs(
    database: Database, engine_name: str | None = None, at: datetime | None = None
) -> list[ActiveConfig]:
    """What was active at a time (default: is now), and why; `NotFound` for an engine without configs."""
    instant = None if at is None else (at if at.tzinfo else at.replace(tzinfo=UTC))
    with database.connect(Role.READER) as session:
        if engine_name is not None and not list_configs(session, engine_name):
            raise NotFound("engine", engine_name, sorted({one.engine_name for one in list_configs(session)}))
        return stored.active_configs(session, engine_name, instant)


@contextmanager
def _changing(workplace: Workplace, act: str, subject: UUID | str) -> Iterator[Session]:
    """A transaction of the change manager; what it is refused is logged after it has rolled back."""
    with (
        refusals_logged(workplace, act, str(subject)),
        workplace.database.connect(Role.CHANGE_MANAGER) as session,
    ):
        yield session


def _promotion(session: Session, promotion_id: UUID) -> Promotion:
    (found,) = stored.find_promotions(session, promotion_id=promotion_id)
    return found
