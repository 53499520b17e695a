"""Everything a plan is made from, read at one moment: queue, runs, nodes, tier 1, windows, predictions, policy.

Columns are numpy arrays of one length, rows in any order, instants as whole seconds since 1970 in UTC. `NEVER` stands
for an instant that has not been.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from kronos.core.scheduling.policy import SchedulerPolicy
from kronos.core.scheduling.prediction import Profiles
from kronos.core.scheduling.windows import Windows
from kronos.errors import BadValue

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Texts: TypeAlias = npt.NDArray[np.str_]

NEVER: Final = -(2**40)


@dataclass(frozen=True, eq=False)
class _Columns:
    """A table of arrays; columns that are not given take the class's `_DEFAULTS`."""

    _DEFAULTS: ClassVar[Mapping[str, Any]] = {}
    ids: Texts

    @classmethod
    def of(cls, ids: Iterable[str], **columns: Any) -> Self:
        """A table from any sequences; a single value fills its column."""
        names = np.asarray(list(ids), dtype=np.str_)
        filled = {**cls._DEFAULTS, **columns}
        arrays = {
            name: np.asarray(value) if np.ndim(value) else np.full(len(names), value) for name, value in filled.items()
        }
        return cls(ids=names, **arrays)

    def __post_init__(self) -> None:
        for name, column in vars(self).items():
            if len(column) != len(self.ids):
                raise BadValue(f"length of column {name}", len(column), f"{len(self.ids)} as of ids")

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class Queue(_Columns):
    """Experiments waiting for a backtest, one row each."""

    _DEFAULTS: ClassVar[Mapping[str, Any]] = {
        "kind": 0,
        "priority": 5,
        "auto_generated": False,
        "control": False,
        "queued_at": 0,
        "not_before": NEVER,
        "preempted_at": NEVER,
        "stalls": 0,
        "folds": 1,
        "folds_done": 0,
        "survived": 0,
        "leave_seconds": 0,
    }

    kind: Ints
    """Code of engine and class in the profiles."""
    priority: Ints
    auto_generated: Bools
    control: Bools
    queued_at: Ints
    """When it was first enqueued; going back into the queue after a preemption or a crash keeps it."""
    not_before: Ints
    """End of the pause after a crash."""
    preempted_at: Ints
    stalls: Ints
    """Preemptions in a row that lost everything since the checkpoint they had started from."""
    folds: Ints
    """Pieces of the backtest with a checkpoint after each; 1: it cannot be resumed."""
    folds_done: Ints
    survived: Ints
    """Longest attempt in seconds, since the last checkpoint, that did not reach the next one."""
    leave_seconds: Ints
    """Time a resumable run needs to be gone once told to leave."""


@dataclass(frozen=True, eq=False)
class Running(_Columns):
    """Backtests under way, one row per run; a batch of controls goes by its first experiment's id."""

    _DEFAULTS: ClassVar[Mapping[str, Any]] = {
        "node": "",
        "kind": 0,
        "started_at": 0,
        "members": 1,
        "folds": 1,
        "folds_done": 0,
        "leave_seconds": 0,
        "leaving_since": NEVER,
    }

    node: Texts
    kind: Ints
    started_at: Ints
    members: Ints
    """Experiments in the run."""
    folds: Ints
    folds_done: Ints
    """When the attempt began."""
    leave_seconds: Ints
    leaving_since: Ints
    """When it was told to leave."""


@dataclass(frozen=True, eq=False)
class Nodes(_Columns):
    """Machines with their size, and the newest reading of what is in use there without the backtests.

    cpu and gpu are in thousandths of one, memory in megabytes, io_pressure in thousandths of the time and of all tasks,
    the backtests' included: nobody can tell whose waiting for a disk it is.
    """

    _DEFAULTS: ClassVar[Mapping[str, Any]] = {
        "gpu": 0,
        "alive": True,
        "taken_at": NEVER,
        "cpu_used": 0,
        "gpu_used": 0,
        "memory_used": 0,
        "io_pressure": 0,
        "disk_full": False,
        "gpu_unread": False,
    }

    cpu: Ints
    memory: Ints
    gpu: Ints
    alive: Bools
    taken_at: Ints
    cpu_used: Ints
    gpu_used: Ints
    memory_used: Ints
    io_pressure: Ints
    disk_full: Bools
    """What runs there goes on; nothing starts."""
    gpu_unread: Bools
    """How many GPUs it has, and what is in use of them, could not be read; both count as 0. What runs there goes on;
    nothing that needs one starts."""


@dataclass(frozen=True)
class Tier1:
    """What a market's tier-1 jobs do: busy from a moment on, or idle since."""

    market: str
    busy: bool
    since: int
    taken_at: int


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One moment. `windows` None: no market is observed. previous: the moment of the last plan, None before the first.

    tier1: one entry per market; none at all means that nobody knows what tier 1 does. run_slots: runs that the
    orchestrator's queue leaves to backtests, those under way among them; None: as many as there are.
    """

    now: int
    previous: int | None
    queue: Queue
    running: Running
    nodes: Nodes
    tier1: tuple[Tier1, ...]
    windows: Windows | None
    profiles: Profiles
    policy: SchedulerPolicy
    run_slots: int | None = None

    def __post_init__(self) -> None:
        kinds = len(self.profiles.p95)
        for name, column in (("queue", self.queue.kind), ("running", self.running.kind)):
            if len(column) and not 0 <= int(column.min()) <= int(column.max()) < kinds:
                raise BadValue(f"kinds of the {name}", sorted({*column.tolist()}), f"codes from 0 to {kinds - 1}")
