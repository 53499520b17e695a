"""One attempt at an experiment's backtest, as its worker holds it: taken up, kept by a heartbeat, handed back.

An attempt that lost the experiment, to another worker or to a person, finds out at its next heartbeat.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from kronos.core.backtests.attempts import AttemptOutcome, standing
from kronos.core.backtests.runner import ChosenRunner
from kronos.core.changes.model import Experiment
from kronos.core.changes.request import KRONOS
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import BacktestFailed, ChangeRefused, holdable
from kronos.services.experiments import changing
from kronos.services.pipeline import Pipeline
from kronos.services.workplace import Workplace
from kronos.store import backtests as store
from kronos.store.backtests import Renewed
from kronos.store.database import Role
from kronos.store.experiments import move_experiment

RESULTS_VERSION: Final = "1"
"""Rises when the code gives results of backtests another meaning."""
REJECTED: Final = "rejected "
"""Before the name of a rule, among the counts of a piece: rows the runner gave that break it."""


class Leaving(Exception):
    """The run has to go, with what it has: the experiment returns to the queue."""


class Fenced(Exception):
    """The attempt no longer holds the experiment: somebody else decides about it."""


@dataclass(frozen=True)
class Bench:
    """What a worker works with. choose: the runner of an experiment; now: in the data's own time."""

    workplace: Workplace
    pipeline: Pipeline
    now: datetime
    choose: Callable[[Experiment], ChosenRunner]
    say: Callable[[str], None] = field(default=lambda _: None)


@dataclass
class Heartbeat:
    """Prolongs the lease, hears what is wanted, and stops the work when it has to stop."""

    bench: Bench
    experiment_id: UUID
    attempt: int
    _beat: float = 0.0
    _gone_by: float | None = None
    _why: str = ""

    def __call__(self) -> None:
        """Raise `Fenced` when the experiment is lost, `Leaving` when there is no more time for this piece."""
        now = time.monotonic()
        terms = self.bench.pipeline.policy.backtests
        if now - self._beat >= terms.heartbeat.total_seconds():
            self._beat = now
            self._heed(self._renewed(terms.lease.total_seconds()), now)
        if self._gone_by is not None and now >= self._gone_by:
            raise Leaving(self._why)

    def between_pieces(self) -> None:
        """As a call, but who has to leave begins nothing new."""
        self._beat = 0.0
        self()
        if self._gone_by is not None:
            raise Leaving(self._why)

    def _renewed(self, lease_seconds: float) -> Renewed:
        with self.bench.workplace.database.connect(Role.ORCHESTRATOR) as session:
            renewed = store.renew(session, self.experiment_id, self.attempt, lease_seconds)
        if renewed is None:
            raise Fenced
        return renewed

    def _heed(self, renewed: Renewed, now: float) -> None:
        over = renewed.seconds_left is not None and renewed.seconds_left <= 0.0
        if renewed.forced:
            self._gone_by, self._why = now, renewed.why
        elif (renewed.told or over) and self._gone_by is None:
            leave = self.bench.pipeline.policy.backtests.leave
            self._gone_by, self._why = now + leave.total_seconds(), renewed.why or "its time before the window is over"


def taken_up(bench: Bench, experiment_id: UUID, attempt: int, run_id: str) -> bool:
    with bench.workplace.database.connect(Role.ORCHESTRATOR) as session:
        try:
            return store.take_up(session, experiment_id, attempt, run_id)
        except ChangeRefused:
            return False


@contextmanager
def handing_back(bench: Bench, experiment_id: UUID, attempt: int) -> Iterator[None]:
    """Whatever ends the block early ends the attempt: what is told away ends quietly, a failure goes on."""
    try:
        yield
    except Fenced:
        bench.say("the experiment was taken away: nothing of this attempt counts from here on")
    except Leaving as leaving:
        bench.say(f"left: {leaving}")
        hand_back(bench.workplace, experiment_id, attempt, AttemptOutcome.PREEMPTED, str(leaving))
    except ChangeRefused as refused:
        # the database said so before the next heartbeat could
        if hand_back(bench.workplace, experiment_id, attempt, AttemptOutcome.CRASHED, str(refused)):
            raise
        bench.say(f"the experiment was taken away: {refused}")
    except Exception as error:
        final = isinstance(error, BacktestFailed) and error.final
        hand_back(bench.workplace, experiment_id, attempt, AttemptOutcome.CRASHED, str(error), final=final)
        raise
    except BaseException:
        # stopped from outside: by a signal, or by whoever cancelled the run
        hand_back(bench.workplace, experiment_id, attempt, AttemptOutcome.PREEMPTED, "the run was stopped")
        raise


def hand_back(
    workplace: Workplace,
    experiment_id: UUID,
    attempt: int,
    outcome: AttemptOutcome,
    why: str,
    *,
    final: bool = False,
) -> bool:
    """End an attempt that did not complete: back to the queue, or rejected after too many failures or a final one.

    False when the attempt is over already, whoever ended it.
    """
    retries, why = workplace.policy.scheduler.retries, holdable(why)
    with changing(workplace, KRONOS, f"{outcome}: {why}") as session:
        if not store.end_attempt(session, experiment_id, outcome, attempt=attempt, why=why):
            return False
        now = standing(store.attempts_of(session, experiment_id), retries)
        failed = outcome in (AttemptOutcome.CRASHED, AttemptOutcome.LOST) and (final or now.given_up(retries))
        target = ExperimentStatus.REJECTED if failed else ExperimentStatus.QUEUED_FOR_BACKTEST
        move_experiment(session, experiment_id, [ExperimentStatus.RUNNING_BACKTESTS], target, attempt=attempt)
    return True
