"""The backtest queue as it stands: what runs, what waits and why, and whether anybody plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from kronos.core.changes.model import Experiment
from kronos.core.scheduling.decisions import END_UNKNOWN
from kronos.core.scheduling.policy import SchedulerPolicy
from kronos.core.scheduling.turn import turn
from kronos.store import scheduler
from kronos.store.backtests import QueuedBacktest, RunningBacktest, queued_backtests, running_backtests
from kronos.store.database import Database, Role
from kronos.store.scheduler import KeptDecision, SchedulerState

_MISSED = 4
"""Ticks without a plan after which the scheduler counts as silent."""


@dataclass(frozen=True)
class Waiting:
    """An experiment in the queue; decision: what the last plan said about it, None when it was not planned yet."""

    experiment: Experiment
    queued_at: datetime
    decision: KeptDecision | None


@dataclass(frozen=True)
class QueueStatus:
    """The queue at one moment of the database's clock. silent: nobody has planned lately, so nothing will start."""

    now: datetime
    state: SchedulerState | None
    silent: bool
    running: Sequence[RunningBacktest]
    waiting: Sequence[Waiting]

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "now": self.now.isoformat(),
            "planned_at": self.state.planned_at.isoformat() if self.state else None,
            "silent": self.silent,
            "nodes": self.state.nodes if self.state else {},
            "tier1": self.state.tier1 if self.state else {},
            "unread": self.state.counts.get("unread") if self.state else None,
            "windows": self.state.windows if self.state else {},
            "run_queue": self.state.counts.get("run_queue", {}) if self.state else {},
            "running": [_running_as_json(one) for one in self.running],
            "waiting": [_waiting_as_json(one) for one in self.waiting],
        }


def queue_status(database: Database, policy: SchedulerPolicy) -> QueueStatus:
    """Everything from one view of the database; who waits stands in the order of priority and age."""
    with database.connect(Role.READER) as session:
        scheduler.read_one_moment(session)
        now, state = scheduler.database_now(session), scheduler.scheduler_state(session)
        running, queued = running_backtests(session), queued_backtests(session)
        decisions = scheduler.last_decisions(session)
    planned = state is not None and now - state.planned_at <= _MISSED * max(policy.tick, timedelta(seconds=15))
    return QueueStatus(now, state, not planned, running, _ordered(queued, decisions, now, policy))


def _ordered(
    queued: Sequence[QueuedBacktest],
    decisions: Mapping[UUID, KeptDecision],
    now: datetime,
    policy: SchedulerPolicy,
) -> list[Waiting]:
    """In the order in which a plan looks at them."""
    rows = sorted(queued, key=lambda one: turn(one.experiment, one.queued_at, now, policy.ageing_step))
    return [Waiting(one.experiment, one.queued_at, _of_wait(decisions, one.experiment)) for one in rows]


def _of_wait(decisions: Mapping[UUID, KeptDecision], experiment: Experiment) -> KeptDecision | None:
    """The last decision, if it is about this wait and not about the attempt before."""
    decision = decisions.get(experiment.experiment_id)
    return decision if decision is not None and decision.attempt == experiment.attempt + 1 else None


def _running_as_json(one: RunningBacktest) -> dict[str, Any]:
    attempt = one.attempt
    return {
        "experiment_id": str(one.experiment.experiment_id),
        "engine_name": one.experiment.engine_name,
        "priority": one.experiment.priority,
        "resource_class": one.experiment.resource_class,
        "attempt": attempt.attempt,
        "node": attempt.node,
        "admitted_at": attempt.admitted_at.isoformat(),
        "started_at": _iso(attempt.started_at),
        "leave_by": _iso(attempt.leave_by),
        "told_to_leave": attempt.told_why,
        "pieces_done": attempt.pieces_stand,
        "pieces": attempt.pieces,
        "leased_until": _iso(one.experiment.leased_until),
        "run_id": attempt.run_id,
    }


def _waiting_as_json(one: Waiting) -> dict[str, Any]:
    decision = one.decision
    return {
        "experiment_id": str(one.experiment.experiment_id),
        "engine_name": one.experiment.engine_name,
        "priority": one.experiment.priority,
        "resource_class": one.experiment.resource_class,
        "queued_at": one.queued_at.isoformat(),
        "reason": decision.reason if decision else None,
        "blocker": decision.blocker if decision else None,
        "expected_start": _iso(decision.expected_start) if decision else None,
        "expected_start_is_known": decision is not None and decision.reason not in END_UNKNOWN,
        "since": _iso(decision.first_at) if decision else None,
    }


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
