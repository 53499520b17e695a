"""Which runs stay and which have to leave."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kronos.core.scheduling.alarms import alarms, believed_clock
from kronos.core.scheduling.decisions import CODE, Reason, RunDecisions
from kronos.core.scheduling.policy import seconds
from kronos.core.scheduling.room import capacities, caps_in_force, reserved_by_runs, with_unread_gpus
from kronos.core.scheduling.snapshot import NEVER, Snapshot

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]


def node_of_runs(snapshot: Snapshot) -> Ints:
    """Index of each run's node; -1 for a node the snapshot does not hold."""
    index = {name: place for place, name in enumerate(snapshot.nodes.ids.tolist())}
    return np.fromiter((index.get(name, -1) for name in snapshot.running.node.tolist()), dtype=np.int64)


def ends_of_runs(snapshot: Snapshot) -> Ints:
    """Predicted P95 end of each run, given that it has not ended yet; later than now."""
    running, profiles = snapshot.running, snapshot.profiles
    left = np.maximum(running.folds - running.folds_done, 1) * running.members
    ran = np.maximum(snapshot.now - running.started_at, 0)
    whole = profiles.p95_given(running.kind, -(-ran * running.folds // left))
    ends: Ints = running.started_at + np.maximum(-(-whole * left // running.folds), ran + 1)
    return ends


def decide_runs(snapshot: Snapshot, node_of_run: Ints, blocker_code: dict[str, int]) -> RunDecisions:
    """KEEP or PREEMPT every run. blocker_code: codes of the names that may block, extended here."""
    running = snapshot.running
    clock = believed_clock(snapshot)
    leave = _leave_seconds(snapshot)
    reason = np.zeros(len(running), dtype=np.int64)
    blocker = np.zeros(len(running), dtype=np.int64)
    tick, grace, kill = (seconds(getattr(snapshot.policy, name)) for name in ("tick", "grace", "kill_time"))
    gone_by = np.where(running.leaving_since == NEVER, -NEVER, running.leaving_since + grace)
    for alarm in alarms(snapshot):
        due = (clock + tick + leave > alarm.starts) & (reason == 0)
        if not due.any():
            continue
        reason[due] = CODE[alarm.reason]
        blocker[due] = blocker_code.setdefault(alarm.blocker, len(blocker_code))
        gone_by[due] = np.minimum(gone_by[due], alarm.starts + grace)
    forced = clock + tick + kill > gone_by
    reason[forced & (reason == 0)] = CODE[Reason.OVERSTAYED]
    over = _over_cap(snapshot, node_of_run, reason != 0)
    reason[over] = CODE[Reason.OVER_CAP]
    lost = ~np.append(snapshot.nodes.alive, False)[node_of_run]
    reason[lost] = CODE[Reason.NODE_LOST]
    stateless = (reason != 0) & (running.folds <= 1)
    return RunDecisions(running.ids, reason != 0, forced | lost | stateless, reason, blocker)


def _leave_seconds(snapshot: Snapshot) -> Ints:
    running, kill = snapshot.running, seconds(snapshot.policy.kill_time)
    return np.where(running.folds > 1, running.leave_seconds, kill)


def _over_cap(snapshot: Snapshot, node_of_run: Ints, leaving: Bools) -> Bools:
    """Resumable runs that a lower cap no longer has room for, the newest on their node first."""
    over = np.zeros(len(snapshot.running), dtype=np.bool_)
    capacity = with_unread_gpus(snapshot, capacities(snapshot, caps_in_force(snapshot, admitting=False)))
    totals = reserved_by_runs(snapshot, node_of_run)
    crowded = (totals > capacity).any(axis=1)
    if not crowded.any():
        return over
    running, profiles = snapshot.running, snapshot.profiles
    newest_first = np.lexsort((running.ids, -running.started_at))
    totals -= _leaving_units(snapshot, node_of_run, leaving)
    for run in newest_first[np.append(crowded, False)[node_of_run[newest_first]]].tolist():
        node = node_of_run[run]
        need = profiles.needs[profiles.need_of[running.kind[run]]]
        helps = ((totals[node] > capacity[node]) & (need > 0)).any()
        if helps and not leaving[run] and running.folds[run] > 1:
            over[run] = True
            totals[node] -= need
    return over


def _leaving_units(snapshot: Snapshot, node_of_run: Ints, leaving: Bools) -> Ints:
    """Units of the runs that are on their way out already."""
    gone = leaving | (snapshot.running.leaving_since != NEVER)
    return reserved_by_runs(snapshot, np.where(gone, node_of_run, -1))
