"""The backtest scheduler's one decision: who may start, who waits and why, who has to leave.

Order: priority 0-9, lifted by one for each `ageing_step` waited, without end; at the same level auto-generated
experiments, then the older, then the smaller id. So an experiment of priority p is overtaken only by what was enqueued
less than (p + 1) steps after it, and nothing starves that fits at all.

Time: an experiment starts only where its P95 end, or, when it can be resumed and leaves within the grace time, its next
checkpoint, lies before the next protected window; every admitted run carries the moment at which it leaves by itself.

Room: in strict order. The first of each need that finds no room keeps the node where it will find some first;
those behind it may use that node only if they are gone by then at P95, or fit beside it (EASY backfilling: Lifka, The
ANL/IBM SP scheduling system, 1995).

Livelock: what is preempted pauses; after `preemption_limit` preemptions in a row without a new checkpoint it starts
only where the P95 of its next checkpoint fits, and that P95 knows how long the failed attempts took.

Whatever is not known, telemetry, calendars, tier 1, or the right time, admits nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kronos.core.scheduling.candidates import Candidates, Held, candidates, lengths_needed, longest_gap
from kronos.core.scheduling.decisions import CODE, Plan, QueueDecisions, Reason
from kronos.core.scheduling.filling import Filling, Verdicts
from kronos.core.scheduling.policy import Caps, seconds
from kronos.core.scheduling.room import capacities, fresh_nodes, usable_nodes, with_unread_gpus
from kronos.core.scheduling.runs import decide_runs, node_of_runs
from kronos.core.scheduling.snapshot import Snapshot
from kronos.core.scheduling.windows import Windows

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Halt:
    """Why nothing at all is admitted, and when that may change."""

    reason: Reason
    blocker: str
    until: int


def plan(snapshot: Snapshot) -> Plan:
    """Decide about every waiting experiment and every run of a snapshot.

    Pure and deterministic: the same rows, in any order, give the same decisions.
    """
    codes = {"": 0}
    node_of_run = node_of_runs(snapshot)
    runs = decide_runs(snapshot, node_of_run, codes)
    halted = halt(snapshot)
    if halted is not None:
        queue = _halted(snapshot, halted, codes)
    else:
        assert snapshot.windows is not None, "without them everything halts"
        queue = _filled(snapshot, snapshot.windows, node_of_run, codes)
    return Plan(snapshot.now, tuple(snapshot.nodes.ids.tolist()), tuple(codes), queue, runs)


def halt(snapshot: Snapshot) -> Halt | None:
    """The first rule that forbids every admission."""
    now, policy, windows = snapshot.now, snapshot.policy, snapshot.windows
    again = now + seconds(policy.tick)
    if snapshot.previous is not None and now < snapshot.previous - seconds(policy.clock_tolerance):
        return Halt(Reason.CLOCK_BACKWARDS, "clock", snapshot.previous)
    if windows is None or not windows.covers(now):
        return Halt(Reason.NO_CALENDAR, "no market is observed" if windows is None else "calendar", again)
    index = windows.open_at(now)
    if index is not None:
        return Halt(Reason.PROTECTED_WINDOW, windows.closed_by[index], int(windows.ends[index]))
    return _no_node(snapshot, again) or _tier1(snapshot, windows, again)


def _no_node(snapshot: Snapshot, again: int) -> Halt | None:
    nodes = snapshot.nodes
    if not nodes.alive.any():
        return Halt(Reason.NO_NODES, "nodes", again)
    if usable_nodes(snapshot).any():
        return None
    if fresh_nodes(snapshot).any():
        return Halt(Reason.LOW_DISK, "disks", again)
    seen = (nodes.taken_at[nodes.alive] > 0).any()
    return Halt(Reason.STALE_TELEMETRY if seen else Reason.NO_TELEMETRY, "telemetry", again)


def _tier1(snapshot: Snapshot, windows: Windows, again: int) -> Halt | None:
    now, policy = snapshot.now, snapshot.policy
    states = sorted(snapshot.tier1, key=lambda state: state.market)
    if not states:
        return Halt(Reason.TIER1_UNKNOWN, "tier 1", again)
    for state in states:
        if not -seconds(policy.clock_tolerance) <= now - state.taken_at <= seconds(policy.telemetry_age):
            return Halt(Reason.TIER1_UNKNOWN, state.market, again)
    for state in states:
        if state.busy:
            # a market that starts early is done with its window; nobody knows of one that is late
            return Halt(Reason.TIER1_RUNNING, state.market, int(windows.reopens(_one(windows.next_start(now)[0]))[0]))
    latest = max(states, key=lambda state: state.since)
    settled = latest.since + seconds(policy.tier1_settle)
    return Halt(Reason.TIER1_SETTLING, latest.market, settled) if now < settled else None


def _halted(snapshot: Snapshot, halted: Halt, codes: dict[str, int]) -> QueueDecisions:
    count = len(snapshot.queue)
    nothing = np.full(count, -1, dtype=np.int64)
    return QueueDecisions(
        snapshot.queue.ids,
        nothing,
        np.full(count, CODE[halted.reason]),
        np.full(count, codes.setdefault(halted.blocker, len(codes))),
        np.full(count, halted.until),
        nothing,
        nothing,
    )


def _filled(snapshot: Snapshot, windows: Windows, node_of_run: Ints, codes: dict[str, int]) -> QueueDecisions:
    """First what time allows, then what some node could take at all, then, in order, what finds room."""
    places, held = candidates(snapshot)
    verdicts = Verdicts.waiting(len(places.lead), snapshot.now, codes)
    needed = _by_time(snapshot, windows, places, verdicts)
    _by_size(snapshot, windows, places, verdicts)
    rows = places.order(snapshot.queue)
    rows = rows[verdicts.reason[rows] == 0]
    if len(rows):
        Filling(snapshot, windows, places, needed, verdicts, node_of_run).fill(rows)
    return _decisions(snapshot, windows, places, held, verdicts)


def _by_time(snapshot: Snapshot, windows: Windows, places: Candidates, verdicts: Verdicts) -> Ints:
    """Give those the next protected window is too near for their reason; the seconds each place needs before it."""
    now = snapshot.now
    boundary, market = windows.next_start(now)
    longest = longest_gap(windows, now)
    needed = lengths_needed(places.needed, places.survived, longest, snapshot)
    late = needed > boundary - now
    verdicts.say(late, Reason.WINDOW_TOO_NEAR, market)
    verdicts.say(needed > longest, Reason.LONGER_THAN_ANY_GAP, "calendar")
    verdicts.start[late] = windows.first_gap_of(now, needed[late])
    return needed


def _by_size(snapshot: Snapshot, windows: Windows, places: Candidates, verdicts: Verdicts) -> None:
    """Give those their reason that no living node can take, ever or under the caps of this hour."""
    normal, quiet = (_possible(snapshot, caps) for caps in (snapshot.policy.caps, snapshot.policy.quiet_caps))
    if normal.all():
        return
    need = snapshot.profiles.need_of[places.kind]
    if windows.quiet_until(snapshot.now) is None:
        later = (quiet & ~normal)[need] & (verdicts.reason == 0)
        verdicts.say(later, Reason.NEEDS_QUIET_WINDOW, "caps")
        verdicts.start[later] = windows.next_quiet(snapshot.now)
    never = (~(normal | quiet))[need]
    verdicts.say(never, Reason.NO_SUCH_NODE, "nodes")
    verdicts.start[never] = windows.known_until
    unread = never & _possible_unread(snapshot)[need]
    verdicts.say(unread, Reason.NO_TELEMETRY, "GPUs")
    verdicts.start[unread] = snapshot.now + seconds(snapshot.policy.tick)


def _possible(snapshot: Snapshot, caps: Caps) -> Bools:
    """Per need, whether some living node could take it if it were empty."""
    return _fitting(snapshot, capacities(snapshot, caps))


def _possible_unread(snapshot: Snapshot) -> Bools:
    """The same, under the higher caps, if nodes had the GPUs that nobody could read."""
    return _fitting(snapshot, with_unread_gpus(snapshot, capacities(snapshot, snapshot.policy.quiet_caps)))


def _fitting(snapshot: Snapshot, capacity: Ints) -> Bools:
    sizes = capacity[snapshot.nodes.alive]
    fits: Bools = np.all(sizes[None, :, :] >= snapshot.profiles.needs[:, None, :], axis=2)
    possible: Bools = np.any(fits, axis=1)
    return possible


def _decisions(
    snapshot: Snapshot, windows: Windows, places: Candidates, held: Held, verdicts: Verdicts
) -> QueueDecisions:
    """The verdict of each row's place; of a row that is held, what holds it."""
    boundary, _ = windows.next_start(snapshot.now)
    place = places.of_row
    alone = np.append(places.members, 1)[place] == 1
    waits = place < 0
    admitted = np.append(verdicts.node, -1)[place]
    leave = np.append(boundary - places.leave_seconds, -1)[place]
    return QueueDecisions(
        snapshot.queue.ids,
        admitted,
        np.where(waits, held.reason, np.append(verdicts.reason, 0)[place]),
        np.where(waits, 0, np.append(verdicts.blocker, 0)[place]),
        np.where(waits, windows.reopens(held.until), np.append(verdicts.start, 0)[place]),
        np.where(admitted < 0, -1, leave),
        np.where(alone | (admitted < 0), -1, place),
    )


def _one(instant: int) -> Ints:
    return np.array([instant], dtype=np.int64)
