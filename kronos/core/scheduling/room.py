"""Room on the nodes: what is free under the caps, who goes where, and what is kept for the first that finds none."""

from __future__ import annotations

from dataclasses import dataclass
from operator import ge
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kronos.core.scheduling.policy import Caps, seconds
from kronos.core.scheduling.snapshot import Snapshot

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

_RESOURCES = ("cpu", "gpu", "memory", "io")
_ENOUGH = 2**40


@dataclass
class Reservation:
    """A node kept for an experiment that waits for others to end there: from when, and what is left beside it then."""

    start: int
    beside: list[int]
    holder: int
    """Place it is kept for."""


def caps_in_force(snapshot: Snapshot, *, admitting: bool) -> Caps:
    """The quiet caps in quiet hours, for what is admitted not shortly before they end; else the normal ones."""
    policy, windows = snapshot.policy, snapshot.windows
    until = None if windows is None else windows.quiet_until(snapshot.now)
    if windows is None or until is None:
        return policy.caps
    ends_soon = until - snapshot.now < seconds(policy.quiet_lead) and windows.next_start(snapshot.now)[0] > until
    return policy.caps if admitting and ends_soon else policy.quiet_caps


def capacities(snapshot: Snapshot, caps: Caps) -> Ints:
    """What a cap leaves of each node for everything together; rows as `Need.units`."""
    nodes = snapshot.nodes
    sizes = np.full((len(nodes), len(_RESOURCES)), 1000, dtype=np.int64)
    sizes[:, 0], sizes[:, 1], sizes[:, 2] = nodes.cpu, nodes.gpu, nodes.memory
    sizes *= np.array([round(getattr(caps, name) * 1000) for name in _RESOURCES])
    sizes //= 1000
    return sizes


def with_unread_gpus(snapshot: Snapshot, sizes: Ints) -> Ints:
    """Capacities of nodes with GPUs that could not be read as if there were enough of them."""
    found = sizes.copy()
    found[snapshot.nodes.gpu_unread, 1] = _ENOUGH
    return found


def reserved_by_runs(snapshot: Snapshot, node_of_run: Ints) -> Ints:
    """Sum of the needs of the runs on each node."""
    totals = np.zeros((len(snapshot.nodes), len(_RESOURCES)), dtype=np.int64)
    placed = node_of_run >= 0
    kinds = snapshot.running.kind[placed]
    np.add.at(totals, node_of_run[placed], snapshot.profiles.needs[snapshot.profiles.need_of[kinds]])
    return totals


def free_units(snapshot: Snapshot, node_of_run: Ints) -> Ints:
    """What may still be given away per node under the caps in force.

    Others' use and ours add up, but for the disk: its pressure already contains ours.
    """
    nodes = snapshot.nodes
    ours = reserved_by_runs(snapshot, node_of_run)
    used = ours.copy()
    used[:, 0] += nodes.cpu_used
    used[:, 1] += nodes.gpu_used
    used[:, 2] += nodes.memory_used
    used[:, 3] = np.maximum(ours[:, 3], nodes.io_pressure)
    free = capacities(snapshot, caps_in_force(snapshot, admitting=True)) - used
    # runs hold some of what counts as none: that is in nobody else's way
    free[nodes.gpu_unread, 1] = 0
    return free


def fresh_nodes(snapshot: Snapshot) -> Bools:
    """Nodes that are alive and whose reading is neither old nor from the future."""
    policy, nodes = snapshot.policy, snapshot.nodes
    age = snapshot.now - nodes.taken_at
    recent = (age <= seconds(policy.telemetry_age)) & (age >= -seconds(policy.clock_tolerance))
    return nodes.alive & recent


def usable_nodes(snapshot: Snapshot) -> Bools:
    """Nodes that something may be started on: their reading is fresh and their disk is not full."""
    return fresh_nodes(snapshot) & ~snapshot.nodes.disk_full


class Room:
    """The nodes while one plan fills them. Free units only shrink, so a node without room for a need is not seen again.

    free: units per node. usable: nodes that take anything at all. releases: when runs end and give back what they need,
    as (end, node, need row).
    """

    def __init__(self, snapshot: Snapshot, free: Ints, usable: Bools, releases: list[tuple[int, int, int]]) -> None:
        self._now = snapshot.now
        self._needs = snapshot.profiles.needs.tolist()
        self._free = free.tolist()
        self._launches = [snapshot.policy.launches_per_node] * len(free)
        queued = snapshot.profiles.need_of[snapshot.queue.kind]
        wanted = bool((snapshot.profiles.needs[queued, 1] > 0).any())
        self._waiting = [_in_order(snapshot, free, usable, need, wanted) for need in snapshot.profiles.needs]
        self._usable = usable.tolist()
        self._rank = np.argsort(np.argsort(snapshot.nodes.ids)).tolist()
        self._releases = releases
        self.reserved: dict[int, Reservation] = {}
        self.launch_limited: set[int] = set()
        """Needs for which there was room on a node that is starting enough runs already."""

    def place(self, need: int, whole: int) -> int | None:
        """Take room for a need that will be given back within `whole` seconds; the node, or None."""
        units, nodes = self._needs[need], self._waiting[need]
        index = 0
        while index < len(nodes):
            node = nodes[index]
            if not self._has_room(node, need, units):
                del nodes[index]
            elif self._in_the_way(node, units, whole):
                index += 1
            else:
                self._take(node, need, units, whole)
                return int(node)
        return None

    def behind_reservation(self, need: int) -> int | None:
        """Latest end with which the need still gets on a node that is kept for another; None: there is no such node."""
        starts = [self.reserved[node].start for node in self._waiting[need] if node in self.reserved]
        return max(starts, default=None)

    def reserve(self, need: int, holder: int, until: int) -> tuple[int, int] | None:
        """Keep the node where the need finds room first; the node and when, or None if that is not before `until`."""
        units = self._needs[need]
        growing: dict[int, list[int]] = {}
        for end, node, given_back in sorted(self._releases, key=lambda one: (one[0], self._rank[one[1]], one[2])):
            if end >= until:
                return None
            if node in self.reserved or not self._usable[node]:
                continue
            free = growing.setdefault(node, list(self._free[node]))
            free[:] = [have + back for have, back in zip(free, self._needs[given_back], strict=True)]
            if all(map(ge, free, units)):
                beside = [have - want for have, want in zip(free, units, strict=True)]
                self.reserved[node] = Reservation(end, beside, holder)
                return node, end
        return None

    def _has_room(self, node: int, need: int, units: list[int]) -> bool:
        if not all(map(ge, self._free[node], units)):
            return False
        if not self._launches[node]:
            self.launch_limited.add(need)
            return False
        return True

    def _in_the_way(self, node: int, units: list[int], whole: int) -> bool:
        kept = self.reserved.get(node)
        return kept is not None and self._now + whole > kept.start and not all(map(ge, kept.beside, units))

    def _take(self, node: int, need: int, units: list[int], whole: int) -> None:
        kept = self.reserved.get(node)
        if kept is not None and self._now + whole > kept.start:
            kept.beside = [have - want for have, want in zip(kept.beside, units, strict=True)]
        self._free[node] = [have - want for have, want in zip(self._free[node], units, strict=True)]
        self._launches[node] -= 1
        self._releases.append((self._now + whole, node, need))


def _in_order(snapshot: Snapshot, free: Ints, usable: Bools, need: Ints, gpus_wanted: bool) -> list[int]:
    """Nodes with room for a need: the smallest first, then the emptiest, by id; without a GPU before all others.

    Large nodes stay free for what fits nowhere else, and so do GPUs while some experiment waits for one; among equal
    nodes the load spreads.
    """
    fitting = np.flatnonzero(usable & (free >= need).all(axis=1))
    gpus = snapshot.nodes.gpu[fitting] * (gpus_wanted and not need[1])
    order: list[int] = fitting[
        np.lexsort((snapshot.nodes.ids[fitting], -free[fitting, 0], snapshot.nodes.cpu[fitting], gpus))
    ].tolist()
    return order
