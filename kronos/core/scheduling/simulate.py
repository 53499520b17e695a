"""A discrete-event simulator of the backtest scheduler: what `plan` decides, obeyed by imperfect machines.

Time moves from event to event; at the scheduler's next tick after each a snapshot is planned and its decisions are
applied. Runs take their true time, leave sometimes more slowly than they say, and leave by themselves at the moment
their admission gave them, whether the scheduler is up or not. What is measured is compared with the promises in
`kronos.core.scheduling.promises`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from kronos.core.backtests.attempts import crashes_after
from kronos.core.scheduling.decisions import CODE, Plan, Reason
from kronos.core.scheduling.idle import Idle
from kronos.core.scheduling.plan import halt, plan
from kronos.core.scheduling.policy import seconds
from kronos.core.scheduling.scenario import DAY, HOUR, LONGEST_DAYS, Job, Schedule, slice_of
from kronos.core.scheduling.snapshot import NEVER, Nodes, Queue, Running, Snapshot, Tier1
from kronos.core.scheduling.windows import Windows

STARTUP: Final = 7
"""Seconds a run takes before it works (a run process costs as much)."""
_HEARTBEAT: Final = 3 * HOUR
"""A plan is made at least so often while something runs or waits."""
_FOR_ROOM: Final = np.isin(
    list(CODE.values()), [CODE[one] for one in (Reason.NO_CAPACITY, Reason.BEHIND_RESERVATION, Reason.LAUNCH_LIMIT)]
)
"""By the code of a reason, whether it is want of room."""


@dataclass(eq=False, slots=True)
class Run:
    """One process on a node, working through its jobs one after the other."""

    jobs: list[Job]
    node: int
    started: int
    leave_by: int
    told: int | None = None
    gone: int | None = None
    """When it will be gone; None while nobody told it to leave."""
    tier1_seen: int | None = None

    @property
    def finishes(self) -> int:
        """When its last job is done if it is left alone."""
        return self.started + STARTUP + sum(job.work - job.folds_done * job.piece for job in self.jobs)


@dataclass(frozen=True)
class Stay:
    """A run as it was: on which node, from when to when, with how many thousandths of a processor."""

    name: str
    node: int
    start: int
    end: int
    cpu: int


@dataclass(eq=False)
class Outcome:
    """What happened, in seconds and thousandths of a processor x seconds."""

    schedule: Schedule
    stays: list[Stay] = field(default_factory=list)
    plans: int = 0
    used: int = 0
    unused: int = 0
    """What waited for room while there was some, under the caps, outside protected windows and halts."""
    unused_as_fluid: int = 0
    """The same, if runs could be cut into any pieces and spread over all nodes."""
    wasted: int = 0
    """Part of what was used that was lost with an attempt."""
    longest_after_tier1: int = 0
    """Longest time a run stayed after a plan had seen tier 1 at work outside its window."""
    ended: int = 0


def simulate(schedule: Schedule, rng: np.random.Generator) -> Outcome:
    """Run a schedule until everything that can finish has, or `LONGEST_DAYS` are over."""
    world = _World(schedule, rng)
    last = schedule.start + LONGEST_DAYS * DAY
    now = schedule.start - 1
    while now < last and not world.is_through:
        now = world.step(now)
    world.outcome.ended = now
    return world.outcome


class _World:
    """Everything that is true at a moment."""

    def __init__(self, schedule: Schedule, rng: np.random.Generator) -> None:
        self._schedule, self._rng, self._policy = schedule, rng, schedule.policy
        self.outcome = Outcome(schedule)
        self._tick = seconds(schedule.policy.tick)
        self._grace, self._kill = seconds(schedule.policy.grace), seconds(schedule.policy.kill_time)
        self._coming = sorted(schedule.jobs, key=lambda job: job.arrives, reverse=True)
        self._waiting: dict[str, Job] = {}
        self._runs: dict[str, Run] = {}
        self._previous: int | None = None
        self._seen: tuple[int, Windows] = (0, schedule.windows)
        self._edges = _edges(schedule)
        self._hopeless = {job.name for job in schedule.jobs if not can_finish(schedule, job)}
        self._pauses: list[int] = []
        sizes, count = np.array(schedule.cpu), len(schedule.cpu)
        names = [f"n{node}" for node in range(count)]
        self._machines = Nodes.of(names, cpu=sizes, memory=8 * sizes, gpu=np.array(schedule.gpu), taken_at=0)

    @property
    def is_through(self) -> bool:
        """Whether only what cannot finish is left."""
        return not self._coming and all(
            job.name in self._hopeless for job in [*self._waiting.values(), *self._running_jobs()]
        )

    def step(self, now: int) -> int:
        """Go to the first tick after the next event, let happen what happened until then, plan, apply."""
        up, tick = self._next_tick(self._next_event(now))
        self._happen(tick)
        snapshot = self._snapshot(tick)
        said = plan(snapshot)
        self.outcome.plans += 1
        self._previous = max(snapshot.now, self._previous or snapshot.now)
        self._watch_tier1(snapshot, tick)
        started = self._apply(snapshot, said, tick)
        late = started * (tick - up)
        self.outcome.unused += late
        self.outcome.unused_as_fluid += late
        self._account(snapshot, said, tick)
        return tick

    def _running_jobs(self) -> list[Job]:
        return [job for run in self._runs.values() for job in run.jobs]

    # -- events

    def _next_event(self, now: int) -> int:
        """The next instant at which a plan may say something new."""
        times = [now + _HEARTBEAT]
        if self._coming:
            times.append(self._coming[-1].arrives)
        place = bisect_right(self._edges, now)
        if place < len(self._edges):
            times.append(self._edges[place])
        for run in self._runs.values():
            times.append(run.finishes if run.gone is None else run.gone)
            times.append(run.leave_by - self._tick)
        times += self._pauses
        return min((time for time in times if time > now), default=now + self._tick)

    def _next_tick(self, event: int) -> tuple[int, int]:
        """When the scheduler is up again after an event, and its next tick."""
        up = event
        for begin, end in sorted(self._schedule.down):
            if begin - self._tick < up < end:
                up = end
        start = self._schedule.start
        return up, start - (start - up) // self._tick * self._tick

    def _happen(self, until: int) -> None:
        for name, run in list(self._runs.items()):
            self._live(name, run, until)
        while self._coming and self._coming[-1].arrives <= until:
            job = self._coming.pop()
            self._waiting[job.name] = job

    def _live(self, name: str, run: Run, until: int) -> None:
        """Let a run work, leave by itself, or go down with its node."""
        if run.told is None and run.leave_by <= until and run.finishes > run.leave_by:
            self._tell(run, run.leave_by, forced=False)
        end = run.finishes if run.gone is None else min(run.gone, run.finishes)
        crash = min(
            (
                begin
                for node, begin, back in self._schedule.lost
                if node == run.node and begin < end and back > run.started
            ),
            default=None,
        )
        if crash is not None and max(crash, run.started) <= until:
            self._end(name, run, max(crash, run.started), crashed=True)
        elif end <= until:
            self._end(name, run, end, crashed=False)

    def _tell(self, run: Run, at: int, *, forced: bool) -> None:
        """A run told to leave does so in its own time, but is ended by itself after the grace time."""
        resumable = run.jobs[0].folds > 1
        takes = self._kill if forced or not resumable else min(max(job.leave_truly for job in run.jobs), self._grace)
        run.told = at if run.told is None else run.told
        run.gone = at + takes if run.gone is None else min(run.gone, at + takes)

    def _end(self, name: str, run: Run, at: int, *, crashed: bool) -> None:
        """Book what a run has reached by its end; what is not finished goes back into the queue."""
        del self._runs[name]
        worked = (at if run.told is None or at >= run.finishes else run.told) - run.started - STARTUP
        cpu = self._cpu(run)
        self.outcome.stays.append(Stay(name, run.node, run.started, at, cpu))
        self.outcome.used += (at - run.started) * cpu
        if run.tier1_seen is not None:
            self.outcome.longest_after_tier1 = max(self.outcome.longest_after_tier1, at - run.tier1_seen)
        for job in run.jobs:
            worked = self._book(job, max(worked, 0), at, crashed, cpu)

    def _book(self, job: Job, worked: int, at: int, crashed: bool, cpu: int) -> int:
        """Give a job its part of the run's work; the seconds that are left for the next."""
        left = job.work - job.folds_done * job.piece
        if worked >= left:
            job.finished = at
            return worked - left
        gained = worked // job.piece
        lost = worked - gained * job.piece
        self.outcome.wasted += lost * cpu
        job.folds_done += gained
        job.survived = lost if gained else max(job.survived, lost)
        # nobody knows of an attempt that never began whether it would have failed
        failed = crashed and worked > 0
        job.crashes = crashes_after(job.crashes, failed=failed, gained=gained > 0)
        if failed:
            job.not_before = at + seconds(self._policy.retries.after(job.crashes))
        elif not crashed:
            job.preempted_at = at
            job.stalls = 0 if gained else job.stalls + (worked > 0)
            job.fruitless += not gained and worked > 0
        self._waiting[job.name] = job
        return 0

    # -- what the scheduler sees

    def _snapshot(self, tick: int) -> Snapshot:
        clock = tick
        if self._schedule.clock_back and self._rng.random() < self._schedule.clock_back:
            clock = tick - int(self._rng.integers(10, 600))
        blind = any(begin <= tick < end for begin, end in self._schedule.blind)
        return Snapshot(
            now=clock,
            previous=self._previous,
            queue=_queue(list(self._waiting.values())),
            running=self._running(),
            nodes=self._nodes(tick, NEVER if blind else tick),
            tier1=self._tier1(tick, blind),
            windows=self._windows(clock),
            profiles=self._schedule.profiles,
            policy=self._policy,
        )

    def _windows(self, clock: int) -> Windows:
        """The calendars as far as they are looked ahead, read once a day."""
        day = clock // DAY
        if self._seen[0] != day:
            ahead = seconds(self._policy.horizon)
            self._seen = (day, slice_of(self._schedule.windows, (day - 2) * DAY, day * DAY + DAY + ahead))
        return self._seen[1]

    def _running(self) -> Running:
        runs = list(self._runs.items())
        numbers = [
            (
                run.jobs[0].kind, run.started, len(run.jobs), run.jobs[0].folds, run.jobs[0].folds_done,
                run.jobs[0].leave_seconds, NEVER if run.told is None else run.told,
            )
            for _, run in runs
        ]  # fmt: skip
        return Running(
            np.array([name for name, _ in runs], dtype=np.str_),
            np.array([f"n{run.node}" for _, run in runs], dtype=np.str_),
            *_columns(numbers, 7),
        )

    def _nodes(self, tick: int, taken_at: int) -> Nodes:
        alive = np.ones(len(self._machines), dtype=np.bool_)
        alive[[node for node, begin, end in self._schedule.lost if begin <= tick < end]] = False
        return replace(self._machines, alive=alive, taken_at=np.full(len(alive), taken_at))

    def _tier1(self, tick: int, blind: bool) -> tuple[Tier1, ...]:
        taken_at = NEVER if blind else tick
        busy = [(begin, market) for market, begin, end in self._schedule.tier1 if begin <= tick < end]
        if busy:
            begin, market = min(busy)
            return (Tier1(market, True, begin, taken_at),)
        ended = max((end for _, _, end in self._schedule.tier1 if end <= tick), default=self._schedule.start - DAY)
        return (Tier1("US_EQ", False, ended, taken_at),)

    # -- what it decides

    def _apply(self, snapshot: Snapshot, said: Plan, tick: int) -> int:
        """Tell runs to leave and start what is admitted; processors given to new runs."""
        for index in np.flatnonzero(said.running.preempted).tolist():
            run = self._runs[str(said.running.ids[index])]
            self._tell(run, tick, forced=bool(said.running.forced[index]))
        batches: dict[int, list[int]] = {}
        for index in np.flatnonzero(said.queue.node >= 0).tolist():
            batch = int(said.queue.batch[index])
            batches.setdefault(batch if batch >= 0 else -1 - index, []).append(index)
        return sum(self._start(said, rows, tick) for rows in batches.values())

    def _start(self, said: Plan, rows: list[int], tick: int) -> int:
        jobs = [self._waiting.pop(str(said.queue.ids[row])) for row in rows]
        run = Run(jobs, int(said.queue.node[rows[0]]), tick, int(said.queue.leave_by[rows[0]]))
        self._runs[jobs[0].name] = run
        return self._cpu(run)

    def _cpu(self, run: Run) -> int:
        return int(self._schedule.profiles.needs[self._schedule.profiles.need_of[run.jobs[0].kind], 0])

    # -- what is measured

    def _watch_tier1(self, snapshot: Snapshot, tick: int) -> None:
        if any(state.busy for state in snapshot.tier1):
            for run in self._runs.values():
                run.tier1_seen = tick if run.tier1_seen is None else run.tier1_seen

    def _account(self, snapshot: Snapshot, said: Plan, tick: int) -> None:
        """Until the next tick: does anything wait for room while there is some, and is any cap exceeded?"""
        self._pauses = [t for t in {*said.queue.expected_start.tolist()} if t > tick]
        waits = _FOR_ROOM[said.queue.reason] & (said.queue.node < 0)
        if not waits.any() or halt(snapshot) is not None or snapshot.windows is None:
            return
        until = min(self._next_event(tick), snapshot.windows.next_start(tick)[0])
        mine = [run.jobs[0].kind for run in self._runs.values()]
        idle = Idle(snapshot, mine, snapshot.queue.kind[waits].tolist())
        self.outcome.unused += idle.as_runs() * max(until - tick, 0)
        self.outcome.unused_as_fluid += idle.as_fluid() * max(until - tick, 0)


def can_finish(schedule: Schedule, job: Job) -> bool:
    """Whether an experiment fits: some node can take it, and no piece of it is longer than what gaps offer."""
    policy, profiles = schedule.policy, schedule.profiles
    need = profiles.needs[profiles.need_of[job.kind]]
    caps = policy.quiet_caps
    large = any(
        need[0] <= cpu * caps.cpu and need[1] <= gpu * caps.gpu and need[2] <= 8 * cpu * caps.memory
        for cpu, gpu in zip(schedule.cpu, schedule.gpu, strict=True)
    )
    resumable = job.folds > 1 and job.leave_seconds <= seconds(policy.grace)
    return large and (job.piece if resumable else job.work) <= 40 * HOUR


def _edges(schedule: Schedule) -> list[int]:
    """Every instant at which the world changes by itself, or a settled tier 1 admits again."""
    windows, settle = schedule.windows, seconds(schedule.policy.tier1_settle)
    times = {*windows.ends.tolist(), *windows.quiet_starts.tolist(), *windows.quiet_ends.tolist()}
    times |= {edge for _, begin, end in schedule.tier1 for edge in (begin, end, end + settle)}
    times |= {edge for _, begin, end in schedule.lost for edge in (begin, end)}
    times |= {end for _, end in schedule.blind} | {end for _, end in schedule.down}
    return sorted(times)


def _queue(jobs: list[Job]) -> Queue:
    numbers = [
        (
            job.kind, job.priority, job.arrives, job.not_before, job.preempted_at, job.stalls, job.folds,
            job.folds_done, job.survived, job.leave_seconds,
        )
        for job in jobs
    ]  # fmt: skip
    kind, priority, arrives, not_before, preempted_at, stalls, folds, folds_done, survived, leave_seconds = _columns(
        numbers, 10
    )
    return Queue(
        ids=np.array([job.name for job in jobs], dtype=np.str_),
        kind=kind,
        priority=priority,
        auto_generated=np.array([job.auto_generated for job in jobs], dtype=np.bool_),
        control=np.array([job.control for job in jobs], dtype=np.bool_),
        queued_at=arrives,
        not_before=not_before,
        preempted_at=preempted_at,
        stalls=stalls,
        folds=folds,
        folds_done=folds_done,
        survived=survived,
        leave_seconds=leave_seconds,
    )


def _columns(rows: Sequence[tuple[int, ...]], width: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Rows turned into columns; `width` of them also when there is no row."""
    return np.ascontiguousarray(np.array(rows, dtype=np.int64).reshape(len(rows), width).T)
