"""Which waiting experiments may start now, and in which order: pauses, batches of controls, time before the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kronos.core.scheduling.decisions import CODE, Reason
from kronos.core.scheduling.policy import seconds
from kronos.core.scheduling.snapshot import Queue, Snapshot
from kronos.core.scheduling.windows import Windows

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Held:
    """Rows that are not to be started yet, whatever room there is. reason: code, 0 where nothing holds the row."""

    reason: Ints
    until: Ints


@dataclass(frozen=True, eq=False)
class Candidates:
    """What takes one place each: an experiment, or a batch of controls. One row per place, of_row: queue row -> place.

    lead: queue row that gives the place its id. whole: P95 seconds of all that is left. typical: the same at the
    median. needed: seconds before the next protected window without which it is not started.
    """

    lead: Ints
    kind: Ints
    level: Ints
    auto_generated: Bools
    queued_at: Ints
    whole: Ints
    typical: Ints
    needed: Ints
    survived: Ints
    leave_seconds: Ints
    members: Ints
    of_row: Ints

    def order(self, queue: Queue) -> Ints:
        """Places from first to last: priority with age, auto-generated, arrival, id."""
        keys = (self.queued_at, ~self.auto_generated, self.level)
        order = np.lexsort(keys)
        equal = np.ones(max(len(order) - 1, 0), dtype=np.bool_)
        for key in keys:
            ranked = key[order]
            equal &= ranked[1:] == ranked[:-1]
        if not equal.any():
            return order
        # comparing texts is what costs: only those that nothing else tells apart
        tied = np.append(equal, False) | np.insert(equal, 0, False)
        rows = order[tied]
        order[tied] = rows[np.lexsort((queue.ids[self.lead[rows]], *(key[rows] for key in keys)))]
        return order


def candidates(snapshot: Snapshot) -> tuple[Candidates, Held]:
    """Places for all rows that nothing holds, and the reason for the others."""
    held = _held(snapshot)
    single, batched = _split(snapshot, held)
    alone = _alone(snapshot, single)
    if not len(batched):
        return alone, held
    return _with_batches(snapshot, alone, batched, held)


def lengths_needed(needed: Ints, survived: Ints, longest: int, snapshot: Snapshot) -> Ints:
    """What is longer than the longest gap known is tried in it, unless an attempt has shown that it is too long.

    The result is above `longest` for what fits nowhere.
    """
    policy = snapshot.policy
    last_resort = np.maximum(int(longest * policy.gap_share), survived + seconds(policy.window_margin))
    return np.where(needed > longest, last_resort, needed)


def longest_gap(windows: Windows, now: int) -> int:
    """Seconds of the longest stretch without a protected window from now on, as far as the calendars are known."""
    starts, ends = windows.gaps_from(now)
    return int((ends - starts).max()) if len(starts) else 0


def _held(snapshot: Snapshot) -> Held:
    queue, now = snapshot.queue, snapshot.now
    rested = queue.preempted_at + seconds(snapshot.policy.cooldown)
    until = np.maximum(queue.not_before, rested)
    reason = np.zeros(len(queue), dtype=np.int64)
    reason[rested > now] = CODE[Reason.COOLDOWN]
    reason[queue.not_before > now] = CODE[Reason.NOT_BEFORE]
    return Held(reason, until)


def _split(snapshot: Snapshot, held: Held) -> tuple[Ints, Ints]:
    """Rows that start alone, and controls to be batched; a control that was in the way of its batch starts alone."""
    queue = snapshot.queue
    free = held.reason == 0
    together = free & queue.control & (queue.stalls == 0)
    return np.flatnonzero(free & ~together), np.flatnonzero(together)


def _alone(snapshot: Snapshot, rows: Ints) -> Candidates:
    queue, policy, profiles = snapshot.queue, snapshot.policy, snapshot.profiles
    kind, folds, survived = queue.kind[rows], queue.folds[rows], queue.survived[rows]
    left = np.maximum(folds - queue.folds_done[rows], 1)
    bound = profiles.p95_given(kind, survived * folds)
    whole, piece = _part(bound, left, folds), _part(bound, 1, folds)
    likely = np.maximum(_part(profiles.p50[kind], 1, folds), survived)
    resumable = (folds > 1) & (queue.leave_seconds[rows] <= seconds(policy.grace))
    patient = np.where(queue.stalls[rows] < policy.preemption_limit, np.minimum(likely, piece), piece)
    of_row = np.full(len(queue), -1, dtype=np.int64)
    of_row[rows] = np.arange(len(rows))
    return Candidates(
        lead=rows,
        kind=kind,
        level=queue.priority[rows] - (snapshot.now - queue.queued_at[rows]) // seconds(policy.ageing_step),
        auto_generated=queue.auto_generated[rows],
        queued_at=queue.queued_at[rows],
        whole=whole,
        typical=_part(profiles.p50[kind], left, folds),
        needed=np.where(resumable, np.minimum(patient, whole), whole) + seconds(policy.window_margin),
        survived=survived,
        leave_seconds=np.where(resumable, queue.leave_seconds[rows], seconds(policy.kill_time)),
        members=np.ones(len(rows), dtype=np.int64),
        of_row=of_row,
    )


def _part(whole: Ints, pieces: Ints | int, of: Ints) -> Ints:
    return -(-whole * pieces // of)


def _with_batches(snapshot: Snapshot, alone: Candidates, rows: Ints, held: Held) -> tuple[Candidates, Held]:
    """The places of single rows followed by those of the batches that are ready; the other controls are held."""
    each = _alone(snapshot, rows)
    order, firsts, sizes = _batches(snapshot, each)
    oldest = each.queued_at[order][firsts]
    wait_until = oldest + seconds(snapshot.policy.control_batch_wait)
    ready = (sizes >= _batch_sizes(snapshot)[each.kind[order][firsts]]) | (wait_until <= snapshot.now)
    member_of = np.repeat(np.arange(len(firsts)), sizes)
    waiting = ~ready[member_of]
    queue_rows = rows[order]
    held.reason[queue_rows[waiting]] = CODE[Reason.CONTROL_BATCH]
    held.until[queue_rows[waiting]] = wait_until[member_of][waiting]
    of_row = alone.of_row.copy()
    place = len(alone.lead) + np.cumsum(ready) - 1
    of_row[queue_rows[~waiting]] = place[member_of][~waiting]
    return _joined(alone, _reduced(each, order, firsts, sizes, ready), of_row), held


def _batches(snapshot: Snapshot, each: Candidates) -> tuple[Ints, Ints, Ints]:
    """Order by kind and arrival, where each batch begins in it, and how many it has."""
    order = np.lexsort((snapshot.queue.ids[each.lead], each.queued_at, each.kind))
    kinds = each.kind[order]
    begins = np.flatnonzero(np.append(True, kinds[1:] != kinds[:-1]))
    within = np.arange(len(order)) - np.repeat(begins, np.diff(np.append(begins, len(order))))
    firsts = np.flatnonzero(within % _batch_sizes(snapshot)[kinds] == 0)
    return order, firsts, np.diff(np.append(firsts, len(order)))


def _batch_sizes(snapshot: Snapshot) -> Ints:
    policy = snapshot.policy
    return np.clip(seconds(policy.control_batch_longest) // snapshot.profiles.p95, 1, policy.control_batch)


def _reduced(each: Candidates, order: Ints, firsts: Ints, sizes: Ints, ready: Bools) -> Candidates:
    """One place per ready batch: the members run one after the other, and the first gives the id."""

    def total(column: Ints) -> Ints:
        return np.add.reduceat(column[order], firsts)[ready]

    def largest(column: Ints) -> Ints:
        return np.maximum.reduceat(column[order], firsts)[ready]

    lead = order[firsts][ready]
    return Candidates(
        lead=each.lead[lead],
        kind=each.kind[lead],
        level=-largest(-each.level),
        auto_generated=np.logical_and.reduceat(each.auto_generated[order], firsts)[ready],
        queued_at=each.queued_at[lead],
        whole=total(each.whole),
        typical=total(each.typical),
        needed=total(each.needed),
        survived=largest(each.survived),
        leave_seconds=largest(each.leave_seconds),
        members=sizes[ready],
        of_row=each.of_row,
    )


def _joined(first: Candidates, second: Candidates, of_row: Ints) -> Candidates:
    names = [name for name in Candidates.__dataclass_fields__ if name != "of_row"]
    columns = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in names}
    return Candidates(**columns, of_row=of_row)
