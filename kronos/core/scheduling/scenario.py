"""Random schedules for the scheduler's simulator: machines, arrivals, runtimes and troubles over real calendars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from kronos.core.scheduling.policy import CLASSES, SchedulerPolicy
from kronos.core.scheduling.prediction import Profiles, profiles
from kronos.core.scheduling.windows import Windows

HOUR: Final = 3_600
DAY: Final = 24 * HOUR

Span: TypeAlias = tuple[int, int]

ENGINES: Final = ("ASSESSMENT", "PORTFOLIO")
LONGEST_DAYS: Final = 70
"""A schedule that is not through by then has starved something."""
_ARRIVAL_DAYS: Final = 3
_TROUBLE_DAYS: Final = 6
_LONGEST_PIECE: Final = 30 * HOUR
"""Longest runtime between two checkpoints: a weekend holds it with room to spare on every calendar."""
_IMPOSSIBLE: Final = 400 * HOUR
"""Runtime of the few that cannot be resumed and fit nowhere."""


@dataclass(eq=False, slots=True)
class Job:
    """One experiment: what is true of it, and how far it has got."""

    name: str
    kind: int
    priority: int
    auto_generated: bool
    control: bool
    arrives: int
    work: int
    """True seconds of the whole backtest."""
    folds: int
    leave_seconds: int
    leave_truly: int
    folds_done: int = 0
    stalls: int = 0
    survived: int = 0
    not_before: int = -(2**40)
    preempted_at: int = -(2**40)
    crashes: int = 0
    fruitless: int = 0
    """Attempts that were told to leave before they reached a checkpoint."""
    finished: int | None = None

    @property
    def piece(self) -> int:
        """Seconds between two checkpoints."""
        return -(-self.work // self.folds)


@dataclass(eq=False)
class Schedule:
    """A stretch of time on a few machines. Spans are half-open, in UTC seconds.

    windows: those of the whole stretch; a plan sees `policy.horizon` of them. tier1: market and span of every time the
    live engines work outside their windows. lost: node index and span. blind: no telemetry. down: no plan is made.
    """

    start: int
    windows: Windows
    policy: SchedulerPolicy
    profiles: Profiles
    cpu: list[int]
    gpu: list[int]
    jobs: list[Job]
    tier1: list[tuple[str, int, int]] = field(default_factory=list)
    lost: list[tuple[int, int, int]] = field(default_factory=list)
    blind: list[Span] = field(default_factory=list)
    down: list[Span] = field(default_factory=list)
    clock_back: float = 0.0
    """Share of the plans that are made with a clock some minutes behind."""


def random_schedule(rng: np.random.Generator, calendars: Mapping[str, Windows], policy: SchedulerPolicy) -> Schedule:
    """A schedule of 4 to 14 experiments from three days, starting at a random moment of a random calendar.

    calendars: windows over years, by any name. One half of the schedules begins within a week before a Sunday on which
    clocks may change or beside the shortened days of July, Thanksgiving and Christmas.
    """
    windows = calendars[sorted(calendars)[rng.integers(len(calendars))]]
    start = _start(rng, windows)
    cpu = (1000 * rng.choice([2, 4, 8, 16, 32], size=rng.integers(1, 5))).tolist()
    gpu = (1000 * rng.choice([0, 0, 1, 2], size=len(cpu))).tolist()
    schedule = Schedule(
        start,
        slice_of(windows, start - 2 * DAY, start + (LONGEST_DAYS + 20) * DAY),
        policy,
        _profiles(rng, policy),
        cpu,
        gpu,
        [],
    )
    schedule.jobs = [_job(rng, schedule, number) for number in range(rng.integers(4, 15))]
    _add_troubles(rng, schedule)
    return schedule


def slice_of(windows: Windows, first: int, until: int) -> Windows:
    """The windows within a span, known no further than they were."""
    low, high = np.searchsorted(windows.ends, first, side="right"), np.searchsorted(windows.starts, until, side="left")
    quiet = slice(
        np.searchsorted(windows.quiet_ends, first, side="right"),
        np.searchsorted(windows.quiet_starts, until, side="left"),
    )
    return Windows(
        windows.starts[low:high],
        windows.ends[low:high],
        windows.opened_by[low:high],
        windows.closed_by[low:high],
        windows.quiet_starts[quiet],
        windows.quiet_ends[quiet],
        max(windows.known_from, first),
        min(windows.known_until, until),
    )


def _start(rng: np.random.Generator, windows: Windows) -> int:
    last = windows.known_until - (LONGEST_DAYS + 25) * DAY
    anywhere = int(rng.integers(windows.known_from + 3 * DAY, last))
    if rng.random() < 0.5:
        return anywhere
    year = np.datetime64(anywhere, "s").astype("datetime64[Y]")
    month, day = [(3, 8), (3, 24), (6, 30), (10, 22), (11, 1), (11, 21), (12, 20)][rng.integers(7)]
    special = np.datetime64(f"{year}-{month:02}-{day:02}", "s").astype(np.int64)
    return int(np.clip(special + rng.integers(0, 4 * DAY), windows.known_from + 3 * DAY, last))


def _profiles(rng: np.random.Generator, policy: SchedulerPolicy) -> Profiles:
    """Lognormal and Pareto runtimes with a history of 0 to 200 runs."""
    history = {
        (engine, name): _runtimes(rng, int(rng.choice([0, 5, 19, 60, 200]))).tolist()
        for engine in ENGINES
        for name in CLASSES
    }
    return profiles(ENGINES, history, policy)


def _runtimes(rng: np.random.Generator, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    tails = rng.random(count) < 0.2
    body = rng.lognormal(np.log(2_400.0), 0.8, count)
    return np.ceil(np.where(tails, 2_400.0 * (1.0 + rng.pareto(1.3, count)), body))


def _job(rng: np.random.Generator, schedule: Schedule, number: int) -> Job:
    kind = int(rng.choice(6, p=[0.3, 0.08, 0.12, 0.3, 0.08, 0.12]))
    folds = int(rng.choice([1, 1, 2, 5, 10, 40]))
    overrun = float(rng.choice([1.0, 1.0, 1.0, 1.0, 6.0]))
    work = int(min(_runtimes(rng, 1)[0] * overrun, folds * _LONGEST_PIECE, 90 * HOUR))
    impossible = folds == 1 and rng.random() < 0.02
    leave = int(rng.integers(5, 200))
    control = bool(rng.random() < 0.2)
    return Job(
        name=f"e{number:02}",
        kind=kind,
        priority=9 if control else int(rng.integers(0, 10)),
        auto_generated=bool(rng.random() < 0.5),
        control=control,
        arrives=schedule.start + int(rng.integers(0, _ARRIVAL_DAYS * DAY)),
        work=_IMPOSSIBLE if impossible else max(work, folds),
        folds=folds,
        leave_seconds=leave,
        leave_truly=int(leave * rng.choice([0.5, 0.9, 1.0, 4.0], p=[0.5, 0.3, 0.15, 0.05])),
    )


def _add_troubles(rng: np.random.Generator, schedule: Schedule) -> None:
    """Early, late and stray tier-1 work; lost nodes and telemetry; a scheduler that is down; a clock that goes back."""
    start, end = schedule.start, schedule.start + _TROUBLE_DAYS * DAY
    within = (schedule.windows.starts >= start) & (schedule.windows.starts < end)
    for index in np.flatnonzero(within).tolist():
        opens, closes = int(schedule.windows.starts[index]), int(schedule.windows.ends[index])
        market = schedule.windows.opened_by[index]
        if rng.random() < 0.2:
            schedule.tier1.append((market, opens - int(rng.integers(60, HOUR)), opens))
        if rng.random() < 0.1:
            schedule.tier1.append((market, closes, closes + int(rng.integers(60, HOUR))))
    for _ in range(rng.poisson(1.0)):
        begins = int(rng.integers(start, end))
        for _ in range(rng.integers(1, 4)):  # it may flap
            schedule.tier1.append(("US_EQ", begins, begins + int(rng.integers(30, 1_200))))
            begins += int(rng.integers(1_300, 2_400))
    for node in range(len(schedule.cpu)):
        if rng.random() < 0.15:
            begins = int(rng.integers(start, end))
            schedule.lost.append((node, begins, begins + int(rng.integers(60, 8 * HOUR))))
    schedule.blind = _spans(rng, start, end, 0.5, 2 * HOUR)
    schedule.down = _spans(rng, start, end, 0.5, HOUR)
    schedule.clock_back = float(rng.choice([0.0, 0.0, 0.02]))


def _spans(rng: np.random.Generator, start: int, end: int, mean: float, longest: int) -> list[Span]:
    begins = rng.integers(start, end, rng.poisson(mean)).tolist()
    return [(begin, begin + int(rng.integers(60, longest))) for begin in begins]
