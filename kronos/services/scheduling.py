"""The backtest scheduler's tick: read everything, let `plan` decide, apply, and keep what was decided.

One scheduler plans at a time (a lock in the database); what it applies is guarded row by row all the same, so that two
of them, or a person in between, start nothing twice. All times are the database's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import numpy as np

from kronos.core.backtests.attempts import AttemptOutcome
from kronos.core.changes.request import KRONOS
from kronos.core.scheduling.decisions import Plan
from kronos.core.scheduling.plan import plan
from kronos.core.scheduling.turn import Turn, turn
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import ChangeRefused
from kronos.services.attempts import hand_back
from kronos.services.experiments import changing
from kronos.services.pipeline import Pipeline
from kronos.services.presence import working
from kronos.services.scheduling_snapshot import CountRuns, Seen, see
from kronos.services.telemetry import node_name, take_reading
from kronos.services.workplace import Workplace
from kronos.settings import Settings
from kronos.store import backtests as store
from kronos.store import scheduler
from kronos.store.backtests import RunningBacktest
from kronos.store.database import Role
from kronos.store.experiments import move_experiment


class RunState(StrEnum):
    """How far Dagster knows the run of an attempt to be."""

    WAITING = "WAITING"
    BEGUN = "BEGUN"
    """Its process was there; Dagster does not always hear of its end."""
    OVER = "OVER"
    CANCELLED = "CANCELLED"
    """Somebody ended it."""


_ENDED: Final = (RunState.OVER, RunState.CANCELLED)

StateOf = Callable[[RunningBacktest], RunState | None]
"""State of the Dagster run of an attempt; None: there is no such run."""


@dataclass(frozen=True)
class Launch:
    """A run to be launched: one experiment's attempt, or those of a batch. The key is the same however often asked."""

    key: str
    node: str
    members: tuple[tuple[UUID, int], ...]
    priority: int
    engine_name: str
    resource_class: str


@dataclass(frozen=True)
class Ticked:
    """What a tick did. stopped: attempts whose Dagster run is to be ended, if it is there."""

    launches: tuple[Launch, ...] = ()
    stopped: tuple[RunningBacktest, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Scheduling:
    """What a tick works with."""

    settings: Settings
    workplace: Workplace
    pipeline: Pipeline
    state_of: StateOf
    count_runs: CountRuns


def tick(scheduling: Scheduling) -> Ticked:
    """Take back what was lost, plan, start and preempt; what to launch comes back, also what an earlier tick had to."""
    database = scheduling.workplace.database
    reading = take_reading(working(scheduling.settings.home), scheduling.settings.home)
    with database.connect(Role.ORCHESTRATOR) as session:
        if not scheduler.try_lock(session):
            return Ticked(note="another scheduler is planning")
        lost = _take_back(scheduling, store.running_backtests(session))
        scheduler.save_reading(session, node_name(), reading.to_json_dict())
        seen = see(scheduling.settings, scheduling.pipeline, session, scheduling.count_runs)
        said = plan(seen.snapshot)
        forced = _preempt(scheduling, seen, said)
        admitted = _admit(scheduling, seen, said)
        scheduler.save_decisions(session, seen.now, _decisions(seen, said, admitted))
        scheduler.save_state(session, seen.state(len(admitted)))
    with database.connect(Role.READER) as session:
        launches = tuple(_launches(store.running_backtests(session)))
    return Ticked(launches, (*lost, *forced), _note(seen, said, admitted))


def _take_back(scheduling: Scheduling, running: Sequence[RunningBacktest]) -> list[RunningBacktest]:
    """End the attempts whose worker says nothing any more or whose run is over; those may yet have to be stopped."""
    lost = []
    working = {one.attempt.launch for one in running if one.attempt.started_at is not None and not one.lapsed}
    for one in running:
        state = scheduling.state_of(one)
        if one.attempt.started_at is None and _waits(state, one.attempt.launch in working):
            _prolong(scheduling, one)
        elif (one.lapsed or state in _ENDED) and hand_back(
            scheduling.workplace,
            one.experiment.experiment_id,
            one.attempt.attempt,
            _outcome(one, state),
            _why(one, state),
        ):
            lost.append(one)
    return lost


def _waits(state: RunState | None, working: bool) -> bool:
    """Whether an attempt that no run took up waits for its turn; working: its run is at another of its attempts.

    A run that has begun and takes nothing up has the rest of the lease for it.
    """
    return state is RunState.WAITING or (state is RunState.BEGUN and working)


def _prolong(scheduling: Scheduling, one: RunningBacktest) -> None:
    """What waits for its turn keeps the experiment, and has a whole lease left when its turn comes."""
    lease = scheduling.pipeline.policy.backtests.launch_lease.total_seconds()
    with scheduling.workplace.database.connect(Role.ORCHESTRATOR) as session:
        store.renew(session, one.experiment.experiment_id, one.attempt.attempt, lease)


def _outcome(one: RunningBacktest, state: RunState | None) -> AttemptOutcome:
    """A run that ended by itself before it took anything up failed, and would again at once."""
    return AttemptOutcome.CRASHED if state is RunState.OVER and not one.begun else AttemptOutcome.LOST


def _why(one: RunningBacktest, state: RunState | None) -> str:
    if state is RunState.CANCELLED:
        return "its run was cancelled"
    if state is RunState.OVER:
        return "its run ended without a word" if one.attempt.started_at else "its run ended and never took it up"
    if one.attempt.started_at is not None:
        return "its worker fell silent for a whole lease"
    return "its run never began" if state is None else "its run began and never took it up"


def _preempt(scheduling: Scheduling, seen: Seen, said: Plan) -> list[RunningBacktest]:
    """Tell runs to leave; those that are to be stopped without waiting for them.

    Committed at once: a worker that hands back has the change log's lock and waits for its attempt's row, and whoever
    held that row until something is admitted would wait for the lock.
    """
    forced = []
    for row in np.flatnonzero(said.running.preempted).tolist():
        reason, by = said.words(int(said.running.reason[row]), int(said.running.blocker[row]))
        hard = bool(said.running.forced[row])
        for one in seen.members_of(str(said.running.ids[row])):
            why = f"{reason} {by}".strip()
            with scheduling.workplace.database.connect(Role.ORCHESTRATOR) as session:
                store.tell(session, one.experiment.experiment_id, one.attempt.attempt, why, forced=hard)
            if hard:
                forced.append(one)
    return forced


def _admit(scheduling: Scheduling, seen: Seen, said: Plan) -> dict[UUID, int]:
    """Start what the plan admits: experiment and attempt of all that nobody else moved meanwhile."""
    leads: dict[int, UUID] = {}
    admitted: dict[UUID, int] = {}
    for row in _in_order(seen, np.flatnonzero(said.queue.node >= 0).tolist()):
        batch, experiment_id = int(said.queue.batch[row]), UUID(str(said.queue.ids[row]))
        lead = leads.get(batch, experiment_id) if batch >= 0 else experiment_id
        attempt = _admitted(scheduling, seen, said, row, lead)
        if attempt is not None:
            admitted[experiment_id] = attempt
            leads.setdefault(batch, lead)
    return admitted


def _in_order(seen: Seen, rows: Sequence[int]) -> list[int]:
    """Rows of the queue in the order in which the plan looked at them."""
    queue, step = seen.snapshot.queue, seen.snapshot.policy.ageing_step

    def place(row: int) -> Turn:
        queued_at = datetime.fromtimestamp(int(queue.queued_at[row]), UTC)
        return turn(seen.queued[UUID(str(queue.ids[row]))], queued_at, seen.now, step)

    return sorted(rows, key=place)


def _admitted(scheduling: Scheduling, seen: Seen, said: Plan, row: int, lead: UUID) -> int | None:
    experiment_id = UUID(str(said.queue.ids[row]))
    node = said.nodes[int(said.queue.node[row])]
    before = seen.standings[experiment_id]
    lease = seen.now + scheduling.pipeline.policy.backtests.launch_lease
    try:
        with changing(scheduling.workplace, KRONOS, f"admitted to {node}") as session:
            moved = move_experiment(
                session,
                experiment_id,
                [ExperimentStatus.QUEUED_FOR_BACKTEST],
                ExperimentStatus.RUNNING_BACKTESTS,
                leased_until=lease,
            )
            store.admit(
                session,
                experiment_id,
                moved.attempt,
                node=node,
                batch=lead,
                leave_by=instant(int(said.queue.leave_by[row])),
                pieces=before.pieces,
                pieces_before=before.pieces_done,
            )
    except ChangeRefused:
        return None
    return moved.attempt


def _decisions(seen: Seen, said: Plan, admitted: Mapping[UUID, int]) -> list[scheduler.Decision]:
    """What the plan said of every experiment that waits or runs, and what became of it."""
    found = []
    columns = said.queue
    for row, name in enumerate(columns.ids.tolist()):
        one = seen.queued[UUID(name)]
        reason, blocker = said.words(int(columns.reason[row]), int(columns.blocker[row]))
        placed = int(columns.node[row]) >= 0
        found.append(
            scheduler.Decision(
                experiment_id=UUID(name),
                attempt=admitted.get(UUID(name), one.attempt + 1),
                action="ADMIT" if UUID(name) in admitted else "WAIT",
                reason=reason if UUID(name) in admitted or not placed else "MOVED_MEANWHILE",
                blocker=blocker,
                node=said.nodes[int(columns.node[row])] if placed else "",
                expected_start=instant(int(columns.expected_start[row])),
                leave_by=instant(int(columns.leave_by[row])),
            )
        )
    return found + [decision for row in range(len(said.running.ids)) for decision in _of_run(seen, said, row)]


def _of_run(seen: Seen, said: Plan, row: int) -> Iterator[scheduler.Decision]:
    columns = said.running
    reason, blocker = said.words(int(columns.reason[row]), int(columns.blocker[row]))
    for one in seen.members_of(str(columns.ids[row])):
        yield scheduler.Decision(
            experiment_id=one.experiment.experiment_id,
            attempt=one.attempt.attempt,
            action="PREEMPT" if columns.preempted[row] else "KEEP",
            reason=reason,
            blocker=blocker,
            node=one.attempt.node,
            expected_start=None,
            leave_by=one.attempt.leave_by,
        )


def _launches(running: Sequence[RunningBacktest]) -> Iterator[Launch]:
    """The runs of open attempts that have not begun; an earlier tick may have died before it asked for them."""
    launches: dict[str, list[RunningBacktest]] = {}
    for one in running:
        if not one.begun:
            launches.setdefault(one.attempt.launch, []).append(one)
    for key, members in launches.items():
        yield _launch(key, members)


def _launch(key: str, members: Sequence[RunningBacktest]) -> Launch:
    """The run of what is left of a batch; its lead may have been cancelled."""
    lead = next((one for one in members if one.experiment.experiment_id == one.attempt.batch), members[0])
    ordered = sorted(members, key=lambda one: (one is not lead, str(one.experiment.experiment_id)))
    pairs = tuple((one.experiment.experiment_id, one.attempt.attempt) for one in ordered)
    return Launch(
        key=key,
        node=lead.attempt.node,
        members=pairs,
        priority=lead.experiment.priority,
        engine_name=lead.experiment.engine_name,
        resource_class=lead.experiment.resource_class.value,
    )


def _note(seen: Seen, said: Plan, admitted: Mapping[UUID, int]) -> str:
    waiting = len(said.queue.ids) - len(admitted)
    counts = f"{len(seen.running)} running, {len(admitted)} admitted, {waiting} waiting"
    first = next(iter(np.flatnonzero(said.queue.node < 0).tolist()), None)
    if first is None:
        return counts
    reason, blocker = said.words(int(said.queue.reason[first]), int(said.queue.blocker[first]))
    return f"{counts}: {reason} {blocker}".strip()


def instant(second: int) -> datetime | None:
    """An instant of a plan; None for none."""
    return datetime.fromtimestamp(second, UTC) if second > 0 else None
