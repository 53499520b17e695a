"""One walk through the waiting experiments, in order: it fills the nodes and says what is in the others' way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from kronos.core.scheduling.candidates import Candidates
from kronos.core.scheduling.decisions import CODE, Reason
from kronos.core.scheduling.policy import CLASSES, seconds
from kronos.core.scheduling.room import Room, capacities, free_units, usable_nodes
from kronos.core.scheduling.runs import ends_of_runs
from kronos.core.scheduling.snapshot import Snapshot
from kronos.core.scheduling.windows import Windows

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

_UNLIMITED: Final = 2**40


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What is known of each place so far: its node or -1, reason 0 while nothing is in the way, blocker, start."""

    node: Ints
    reason: Ints
    blocker: Ints
    start: Ints
    codes: dict[str, int]

    @classmethod
    def waiting(cls, count: int, now: int, codes: dict[str, int]) -> Verdicts:
        """Nothing decided yet."""
        nodes = np.full(count, -1, dtype=np.int64)
        return cls(nodes, np.zeros_like(nodes), np.zeros_like(nodes), np.full(count, now, dtype=np.int64), codes)

    def say(self, where: Bools | Ints, reason: Reason, blocker: str) -> None:
        """Give some places a reason to wait, whatever they had before."""
        self.reason[where] = CODE[reason]
        self.blocker[where] = self.codes.setdefault(blocker, len(self.codes))


class Filling:
    """The walk. It ends early when no need finds room any more, so a long queue costs what its front costs."""

    def __init__(
        self,
        snapshot: Snapshot,
        windows: Windows,
        places: Candidates,
        needed: Ints,
        verdicts: Verdicts,
        node_of_run: Ints,
    ) -> None:
        self._snapshot, self._windows, self._places, self._verdicts = snapshot, windows, places, verdicts
        self._usable = usable_nodes(snapshot)
        self._room = Room(snapshot, free_units(snapshot, node_of_run), self._usable, _releases(snapshot, node_of_run))
        self._latest = windows.next_start(snapshot.now)[0] - needed
        """Instant after which a place no longer has the time it needs before the next protected window."""
        running = np.bincount(snapshot.running.kind % len(CLASSES), minlength=len(CLASSES))
        limits = [snapshot.policy.limits[name] for name in CLASSES]
        most = np.array([_UNLIMITED if limit is None else limit for limit in limits])
        self._class_left: list[int] = (most - running).tolist()
        self._slots, self._limit = _slots(snapshot)
        self._closed: dict[int, int] = {}
        """Need -> the first place that found no room for it."""
        self._kept_out: dict[int, int] = {}
        """Need -> longest runtime that still gets on a node kept for another."""
        self._reserved_start: dict[int, int] = {}

    def fill(self, rows: Ints) -> None:
        """Decide about all places in `rows`, first to last."""
        kinds = self._places.kind[rows]
        needs, classes = self._snapshot.profiles.need_of[kinds], kinds % len(CLASSES)
        different = len(np.unique(needs))
        columns = (rows, needs, classes, self._places.whole[rows])
        for place, need, of_class, whole in zip(*(column.tolist() for column in columns), strict=True):
            if need in self._closed or self._class_left[of_class] <= 0:
                continue
            if self._slots <= 0:
                break
            if whole <= self._kept_out.get(need, whole):
                self._try(place, need, of_class, whole)
                if len(self._closed) == different:
                    break
        left = self._verdicts.node[rows] < 0
        self._explain(rows[left], needs[left], classes[left])

    def _try(self, place: int, need: int, of_class: int, whole: int) -> None:
        node = self._room.place(need, whole)
        if node is not None:
            self._verdicts.node[place] = node
            self._slots -= 1
            self._class_left[of_class] -= 1
            return
        kept_until = self._room.behind_reservation(need)
        if kept_until is not None:
            self._kept_out[need] = kept_until - self._snapshot.now
            return
        self._closed[need] = place
        if need not in self._room.launch_limited:
            self._reserve(place, need)

    def _reserve(self, place: int, need: int) -> None:
        kept = self._room.reserve(need, place, int(self._latest[place]) + 1)
        if kept is not None:
            self._reserved_start[place] = kept[1]

    def _explain(self, rows: Ints, needs: Ints, classes: Ints) -> None:
        """Reason, blocker and expected start of the places that wait, in order."""
        verdicts, ids = self._verdicts, self._snapshot.queue.ids
        holders = [kept.holder for kept in self._room.reserved.values()]
        if holders:
            verdicts.say(rows, Reason.BEHIND_RESERVATION, str(ids[self._places.lead[holders[0]]]))
        for of_class in range(len(CLASSES)):
            if self._class_left[of_class] <= 0:
                verdicts.say(rows[classes == of_class], Reason.CLASS_LIMIT, CLASSES[of_class].value)
        if self._slots <= 0:
            verdicts.say(rows, Reason.RUN_LIMIT, self._limit)
        for need, first in self._closed.items():
            limited = need in self._room.launch_limited
            reason = Reason.LAUNCH_LIMIT if limited else Reason.NO_CAPACITY
            verdicts.say(rows[needs == need], reason, "nodes" if limited else str(ids[self._places.lead[first]]))
            verdicts.say(np.array([first]), reason, "nodes")
        verdicts.start[rows] = self._estimates(rows, needs)
        for place, start in self._reserved_start.items():
            verdicts.start[place] = start
        for node, kept in self._room.reserved.items():
            verdicts.say(np.array([kept.holder]), Reason.NO_CAPACITY, str(self._snapshot.nodes.ids[node]))

    def _estimates(self, rows: Ints, needs: Ints) -> Ints:
        """When each would start if those before it ran for their median, one after the other, on all processors."""
        snapshot = self._snapshot
        work = self._places.typical[rows] * snapshot.profiles.needs[needs, 0]
        total = int(capacities(snapshot, snapshot.policy.caps)[self._usable, 0].sum())
        if not total:
            return np.full(len(rows), self._windows.known_until)
        ahead = (np.cumsum(work) - work) // total
        return self._windows.after(snapshot.now, ahead + seconds(snapshot.policy.tick))


def _slots(snapshot: Snapshot) -> tuple[int, str]:
    """Runs that may still begin, and what limits them."""
    limits = (("most_running", snapshot.policy.most_running), ("run queue", snapshot.run_slots))
    known = [(most - len(snapshot.running), name) for name, most in limits if most is not None]
    return min(known, default=(_UNLIMITED, ""))


def _releases(snapshot: Snapshot, node_of_run: Ints) -> list[tuple[int, int, int]]:
    known = node_of_run >= 0
    needs = snapshot.profiles.need_of[snapshot.running.kind]
    columns = (ends_of_runs(snapshot), node_of_run, needs)
    return list(zip(*(column[known].tolist() for column in columns), strict=True))
