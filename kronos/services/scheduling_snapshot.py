"""Read one moment for the scheduler: queue, runs, nodes, tier 1, calendars, runtimes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import numpy as np
import psycopg

from kronos.core.backtests.attempts import Standing, standing
from kronos.core.backtests.policy import BacktestPolicy
from kronos.core.backtests.spec import count_pieces
from kronos.core.changes.model import Experiment
from kronos.core.changes.request import CONTROLS
from kronos.core.policy import ObservationPolicy
from kronos.core.scenarios.battery import default_battery
from kronos.core.scheduling.alarms import alarms
from kronos.core.scheduling.expectation import ACTIVE_FOR
from kronos.core.scheduling.policy import CLASSES, seconds
from kronos.core.scheduling.prediction import Kind, Profiles, profiles
from kronos.core.scheduling.snapshot import NEVER, Nodes, Queue, Running, Snapshot, Tier1
from kronos.core.scheduling.tier1 import JobState, RunState, tier1_states
from kronos.core.scheduling.windows import Windows, moved, windows
from kronos.errors import DatabaseUnavailable, LakeUnavailable, SourceMismatch
from kronos.services.market_hours import session_closes
from kronos.services.markets import markets_in_use
from kronos.services.observatory import current_instant
from kronos.services.pipeline import Pipeline
from kronos.services.telemetry import IoMeasure
from kronos.settings import Settings
from kronos.store import scheduler
from kronos.store.backtests import (
    QueuedBacktest,
    RunningBacktest,
    attempts_of_queued,
    queued_backtests,
    running_backtests,
    runtimes,
)

Session = psycopg.Connection[Any]

_LOOK_BACK: Final = timedelta(days=14)
"""Longer than any closure: what is known begins the day after the first session seen, and has to begin before now."""
_DEAD_AFTER: Final = timedelta(minutes=10)
"""A machine that gave no reading for so long counts as gone, with whatever ran on it."""


@dataclass(frozen=True)
class RunQueue:
    """The orchestrator's runs, whoever's they are. others: those of no open attempt. limit None: any number at once."""

    under_way: int
    queued: int
    others: int
    limit: int | None

    @property
    def slots(self) -> int | None:
        """Runs it leaves to backtests; None: any number."""
        return None if self.limit is None else max(0, self.limit - self.others)


@dataclass(frozen=True)
class Trading:
    """The markets in use and what tier 1 does there. unread: why that could not be read; then tier 1 is unknown."""

    markets: Sequence[str]
    tier1: tuple[Tier1, ...] = ()
    unread: str | None = None


CountRuns = Callable[[Set[str]], RunQueue]
"""The queue as it stands; the set: launches of the open attempts."""


@dataclass(frozen=True)
class Seen:
    """A snapshot with the rows it was made from."""

    now: datetime
    snapshot: Snapshot
    queued: Mapping[UUID, Experiment]
    standings: Mapping[UUID, Standing]
    running: Sequence[RunningBacktest]
    readings: Mapping[str, Any]
    """By node; `shut`: why nothing starts there, or None."""
    run_queue: RunQueue
    trading: Trading

    def members_of(self, run: str) -> list[RunningBacktest]:
        """The attempts of a run, which goes by the key of its launch."""
        return [one for one in self.running if one.attempt.launch == run]

    def state(self, admitted: int) -> scheduler.SchedulerState:
        """What is kept of the moment for whoever looks at the queue."""
        found, now = self.snapshot.windows, self.snapshot.now
        upcoming: dict[str, Any] = {}
        if found is not None and found.covers(now):
            open_now = found.open_at(now)
            start, market = found.next_start(now)
            upcoming = {"next_start": start, "next_market": market, "quiet_until": found.quiet_until(now)}
            if open_now is not None:
                upcoming |= {"open_until": int(found.ends[open_now]), "open_for": found.closed_by[open_now]}
        tier1 = {
            one.market: {"busy": one.busy, "since": one.since, "read": one.taken_at} for one in self.snapshot.tier1
        }
        counts = {
            "queued": len(self.queued) - admitted,
            "running": len(self.running) + admitted,
            "admitted": admitted,
            "run_queue": asdict(self.run_queue),
            "markets": list(self.trading.markets),
            "unread": self.trading.unread,
            "alarms": [asdict(alarm) for alarm in alarms(self.snapshot)],
        }
        return scheduler.SchedulerState(self.now, dict(self.readings), tier1, upcoming, counts)


def see(settings: Settings, pipeline: Pipeline, session: Session, count_runs: CountRuns) -> Seen:
    """The moment as the database, the source, the lake and the run queue tell it."""
    policy = pipeline.policy
    now = scheduler.database_now(session)
    before = scheduler.scheduler_state(session)
    queued, running = queued_backtests(session), running_backtests(session)
    attempts = attempts_of_queued(session)
    run_queue = count_runs({one.attempt.launch for one in running})
    standings = {
        one.experiment.experiment_id: _standing(one.experiment, attempts.get(one.experiment.experiment_id, ()), policy)
        for one in queued
    }
    forecasts = _profiles(session, policy, queued, running)
    # in the sandbox tier 1 lives in the sandbox's own time
    shift = now - current_instant(settings, pipeline.database) if settings.sandbox else timedelta(0)
    trading = _trading(pipeline, now, shift, before)
    readings = scheduler.node_readings(session)
    snapshot = Snapshot(
        now=_seconds(now),
        previous=None if before is None else _seconds(before.planned_at),
        queue=_queue(queued, standings, forecasts, policy.backtests),
        running=_running(running, forecasts, policy.backtests),
        nodes=_nodes(
            readings,
            now,
            policy.scheduler.least_disk_free_mb,
            [_gpu_at_work(one, running, forecasts) for one in readings],
        ),
        tier1=trading.tier1,
        windows=windows_in_use(policy, trading.markets, now, shift, sandbox=settings.sandbox),
        profiles=forecasts,
        policy=policy.scheduler,
        run_slots=run_queue.slots,
    )
    experiments = {one.experiment.experiment_id: one.experiment for one in queued}
    least = policy.scheduler.least_disk_free_mb
    told = {one.node: one.reading | {"shut": _shut(one.reading, least)} for one in readings}
    return Seen(now, snapshot, experiments, standings, running, told, run_queue, trading)


def _standing(experiment: Experiment, attempts: Sequence[Any], policy: ObservationPolicy) -> Standing:
    found = standing(attempts, policy.scheduler.retries)
    return found if found.pieces > 1 else replace(found, pieces=_pieces(experiment, policy.backtests))


def _pieces(experiment: Experiment, terms: BacktestPolicy) -> int:
    """Pieces of a backtest nobody has begun yet."""
    battery = terms.battery or default_battery(experiment.start_date, experiment.end_date)
    return count_pieces(experiment.start_date, experiment.end_date, terms.fold_months, battery, terms.probes)


def _profiles(
    session: Session, policy: ObservationPolicy, queued: Sequence[QueuedBacktest], running: Sequence[RunningBacktest]
) -> Profiles:
    terms = policy.scheduler
    history: dict[Kind, list[float]] = {}
    for one in runtimes(session, terms.history_length):
        if one.seconds > 0.0:
            history.setdefault((one.engine_name, one.resource_class), []).append(one.seconds)
    experiments = [one.experiment for one in queued] + [one.experiment for one in running]
    engines = {one.engine_name for one in experiments} | {engine for engine, _ in history}
    return profiles(sorted(engines), history, terms)


def _kind(forecasts: Profiles, experiment: Experiment) -> int:
    return forecasts.engines.index(experiment.engine_name) * len(CLASSES) + CLASSES.index(experiment.resource_class)


def _queue(
    queued: Sequence[QueuedBacktest],
    standings: Mapping[UUID, Standing],
    forecasts: Profiles,
    terms: BacktestPolicy,
) -> Queue:
    rows = [(one, one.experiment, standings[one.experiment.experiment_id]) for one in queued]
    return Queue.of(
        [str(experiment.experiment_id) for _, experiment, _ in rows],
        kind=_ints(_kind(forecasts, experiment) for _, experiment, _ in rows),
        priority=_ints(experiment.priority for _, experiment, _ in rows),
        auto_generated=np.array([experiment.auto_generated for _, experiment, _ in rows], dtype=np.bool_),
        control=np.array([experiment.expected_outcome in CONTROLS for _, experiment, _ in rows], dtype=np.bool_),
        queued_at=_ints(_seconds(one.queued_at) for one, _, _ in rows),
        not_before=_ints(_instant(found.not_before) for _, _, found in rows),
        preempted_at=_ints(_instant(found.preempted_at) for _, _, found in rows),
        stalls=_ints(found.stalls for _, _, found in rows),
        folds=_ints(found.pieces for _, _, found in rows),
        folds_done=_ints(min(found.pieces_done, found.pieces) for _, _, found in rows),
        survived=_ints(found.survived for _, _, found in rows),
        leave_seconds=_ints(seconds(terms.leave) for _ in rows),
    )


def _running(running: Sequence[RunningBacktest], forecasts: Profiles, terms: BacktestPolicy) -> Running:
    """One row per run, by the key of its launch."""
    runs: dict[str, list[RunningBacktest]] = {}
    for one in running:
        runs.setdefault(one.attempt.launch, []).append(one)
    first = [members[0] for members in runs.values()]
    return Running.of(
        list(runs),
        node=np.array([one.attempt.node for one in first], dtype=np.str_),
        kind=_ints(_kind(forecasts, one.experiment) for one in first),
        started_at=_ints(_seconds(one.attempt.admitted_at) for one in first),
        members=_ints(len(members) for members in runs.values()),
        folds=_ints(one.attempt.pieces for one in first),
        folds_done=_ints(min(one.attempt.pieces_before, one.attempt.pieces) for one in first),
        leave_seconds=_ints(seconds(terms.leave) for _ in first),
        leaving_since=_ints(
            min((_seconds(one.attempt.told_at) for one in members if one.attempt.told_at is not None), default=NEVER)
            for members in runs.values()
        ),
    )


def _nodes(
    readings: Sequence[scheduler.NodeReading], now: datetime, least_disk_free_mb: int, gpu_at_work: Sequence[int]
) -> Nodes:
    columns = ("cpu", "memory", "gpu", "cpu_used", "memory_used")
    return Nodes.of(
        [one.node for one in readings],
        gpu_used=_ints(
            max(0, int(one.reading["gpu_used"] or 0) - ours) for one, ours in zip(readings, gpu_at_work, strict=True)
        ),
        taken_at=_ints(NEVER if _unreadable(one.reading) else _seconds(one.taken_at) for one in readings),
        alive=np.array([now - one.taken_at <= _DEAD_AFTER for one in readings], dtype=np.bool_),
        disk_full=np.array([_disk_is_full(one.reading, least_disk_free_mb) for one in readings], dtype=np.bool_),
        gpu_unread=np.array([one.reading["gpu"] is None for one in readings], dtype=np.bool_),
        io_pressure=_ints(one.reading["io_pressure"] or 0 for one in readings),
        **{name: _ints(int(one.reading[name] or 0) for one in readings) for name in columns},
    )


def _shut(reading: Mapping[str, Any], least_disk_free_mb: int) -> str | None:
    """Why nothing starts on a machine, whatever else there is room for."""
    if _unreadable(reading):
        return "its I/O pressure cannot be read"
    if _disk_is_full(reading, least_disk_free_mb):
        return f"{reading['disk_free_mb']:,} MB free on its disk, least_disk_free_mb is {least_disk_free_mb:,}"
    return None


def _disk_is_full(reading: Mapping[str, Any], least_disk_free_mb: int) -> bool:
    return int(reading["disk_free_mb"]) < least_disk_free_mb


def _unreadable(reading: Mapping[str, Any]) -> bool:
    """Whether there is an I/O pressure that nobody understands: no telemetry, unlike none at all on some systems."""
    return reading["io_pressure"] is None and reading.get("io_measure") != IoMeasure.NONE


def _gpu_at_work(reading: scheduler.NodeReading, running: Sequence[RunningBacktest], forecasts: Profiles) -> int:
    """Thousandths of a GPU reserved for the node's runs that were at work when it was read.

    A driver does not tell whose use it is: that of a run counts as all it may use.
    """
    at_work = {
        one.attempt.launch: _kind(forecasts, one.experiment)
        for one in running
        if one.attempt.node == reading.node
        and one.attempt.started_at is not None
        and one.attempt.started_at <= reading.taken_at
    }
    return sum(int(forecasts.needs[forecasts.need_of[kind], 1]) for kind in at_work.values())


def _trading(pipeline: Pipeline, now: datetime, shift: timedelta, before: scheduler.SchedulerState | None) -> Trading:
    """Markets and tier 1 as lake and source tell them; before: the last plan's, whose markets stay those in use, with
    their windows, while the lake does not tell."""
    try:
        markets = markets_in_use(pipeline, (now - shift).date())
    except LakeUnavailable as error:
        return Trading([] if before is None else before.counts.get("markets", []), unread=str(error))
    try:
        return Trading(markets, _tier1(pipeline, markets, now, shift))
    except (DatabaseUnavailable, SourceMismatch) as error:
        return Trading(markets, unread=str(error))


def _tier1(pipeline: Pipeline, markets: Sequence[str], now: datetime, shift: timedelta) -> tuple[Tier1, ...]:
    """Their states, from the source's own times moved to ours."""
    there = now - shift
    terms = pipeline.policy.scheduler
    longest = terms.tier1_longest
    jobs = pipeline.source.tier1_jobs(there - ACTIVE_FOR, there - longest, there + longest)
    runs = pipeline.source.tier1_runs(there - ACTIVE_FOR)
    return tier1_states(
        {market: pipeline.policy.market(market).region for market in markets},
        [
            JobState(market, busy, _later(since, shift), _later(ended, shift), job_type)
            for market, job_type, busy, since, ended in jobs.iter_rows()
        ],
        [RunState(region, phase, since + shift) for region, phase, since in runs.iter_rows()],
        now,
        longest,
        terms.lower_tiers,
    )


def windows_in_use(
    policy: ObservationPolicy, markets: Sequence[str], now: datetime, shift: timedelta, *, sandbox: bool
) -> Windows | None:
    """The windows of the markets in use; None while there are none. In the sandbox nothing trades: all is quiet."""
    if not markets:
        return None
    today = (now - shift).date()
    found = _windows_around(policy.model_dump_json(), tuple(markets), today)
    return moved(found, seconds(shift), all_quiet=True) if sandbox else found


@lru_cache(maxsize=4)
def _windows_around(policy_json: str, markets: tuple[str, ...], today: date) -> Windows:
    """Worked out once a day: opening an exchange's calendar takes a second."""
    policy = ObservationPolicy.model_validate_json(policy_json)
    closes = session_closes(policy, markets, today - _LOOK_BACK, today + policy.scheduler.horizon)
    without = [market for market in markets if policy.market(market).calendar is None]
    return windows(closes, markets, without, policy.scheduler)


def _later(instant: datetime | None, shift: timedelta) -> datetime | None:
    return None if instant is None else instant + shift


def _instant(instant: datetime | None) -> int:
    return NEVER if instant is None else _seconds(instant)


def _seconds(instant: datetime) -> int:
    return int(instant.timestamp())


def _ints(values: Any) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.fromiter(values, dtype=np.int64)
