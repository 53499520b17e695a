"""What a scheduler without foresight or order could add to what runs: the yardstick of the simulator's utilisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kronos.core.scheduling.room import capacities, caps_in_force, usable_nodes
from kronos.core.scheduling.snapshot import Snapshot


class Idle:
    """Thousandths of processors that are free although someone waits for them.

    running, waiting: kinds, of the runs and of those that wait for room only.
    """

    def __init__(self, snapshot: Snapshot, running: Sequence[int], waiting: Sequence[int]) -> None:
        profiles = snapshot.profiles
        self._capacity = capacities(snapshot, caps_in_force(snapshot, admitting=True))[usable_nodes(snapshot)]
        self._running = profiles.needs[profiles.need_of[np.array(running, dtype=np.int64)]]
        self._waiting = profiles.needs[profiles.need_of[np.array(waiting, dtype=np.int64)]]

    def as_runs(self) -> int:
        """What waits and would still fit if the runs could be moved between nodes: first fit, the largest first."""
        groups = [needs[np.lexsort((-needs[:, 0], -needs[:, 1]))] for needs in (self._running, self._waiting)]
        free, packed = self._capacity.tolist(), 0
        for need in np.concatenate(groups).tolist():
            for node in free:
                if all(have >= want for have, want in zip(node, need, strict=True)):
                    node[:] = [have - want for have, want in zip(node, need, strict=True)]
                    packed += need[0]
                    break
        return max(packed - int(self._running[:, 0].sum()), 0)

    def as_fluid(self) -> int:
        """The same if work could be cut into any pieces: all of the free capacity that what waits could fill."""
        free = np.maximum(self._capacity.sum(axis=0) - self._running.sum(axis=0), 0)
        on_gpus = self._waiting[self._waiting[:, 1] > 0]
        served = on_gpus[: int(free[1] // 1000)].sum(axis=0) + self._waiting[self._waiting[:, 1] == 0].sum(axis=0)
        shares = [float(free[n] / served[n]) for n in range(4) if served[n] > 0]
        return int(min([1.0, *shares]) * served[0])
