"""What a plan says: a decision with its reason for every waiting experiment and every run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Texts: TypeAlias = npt.NDArray[np.str_]


class Action(StrEnum):
    """What is to be done with an experiment or a run."""

    ADMIT = "ADMIT"
    WAIT = "WAIT"
    KEEP = "KEEP"
    PREEMPT = "PREEMPT"


class Reason(StrEnum):
    """Why; of an admitted or kept one that nothing is in its way."""

    FREE = "FREE"
    # nothing at all is admitted
    CLOCK_BACKWARDS = "CLOCK_BACKWARDS"
    NO_CALENDAR = "NO_CALENDAR"
    NO_TELEMETRY = "NO_TELEMETRY"
    STALE_TELEMETRY = "STALE_TELEMETRY"
    NO_NODES = "NO_NODES"
    LOW_DISK = "LOW_DISK"
    TIER1_UNKNOWN = "TIER1_UNKNOWN"
    TIER1_RUNNING = "TIER1_RUNNING"
    TIER1_SETTLING = "TIER1_SETTLING"
    PROTECTED_WINDOW = "PROTECTED_WINDOW"
    # this experiment is not to be started now
    NOT_BEFORE = "NOT_BEFORE"
    COOLDOWN = "COOLDOWN"
    CONTROL_BATCH = "CONTROL_BATCH"
    WINDOW_TOO_NEAR = "WINDOW_TOO_NEAR"
    LONGER_THAN_ANY_GAP = "LONGER_THAN_ANY_GAP"
    # there is no room for it
    NO_CAPACITY = "NO_CAPACITY"
    BEHIND_RESERVATION = "BEHIND_RESERVATION"
    LAUNCH_LIMIT = "LAUNCH_LIMIT"
    CLASS_LIMIT = "CLASS_LIMIT"
    RUN_LIMIT = "RUN_LIMIT"
    NEEDS_QUIET_WINDOW = "NEEDS_QUIET_WINDOW"
    NO_SUCH_NODE = "NO_SUCH_NODE"
    # a run has to go
    NODE_LOST = "NODE_LOST"
    OVER_CAP = "OVER_CAP"
    OVERSTAYED = "OVERSTAYED"


END_UNKNOWN: Final = frozenset(
    {
        Reason.NO_CALENDAR,
        Reason.NO_TELEMETRY,
        Reason.STALE_TELEMETRY,
        Reason.NO_NODES,
        Reason.LOW_DISK,
        Reason.TIER1_UNKNOWN,
        Reason.NO_SUCH_NODE,
    }
)
"""Reasons that last until somebody does something: their expected start is only when it is looked at again."""

REASONS: Final = tuple(Reason)
CODE: Final = {reason: code for code, reason in enumerate(REASONS)}
"""Place of a reason in REASONS: how columns hold it."""


@dataclass(frozen=True, eq=False)
class QueueDecisions:
    """Columns in the order of the snapshot's queue.

    node: index into `nodes`, -1: it waits. reason: code. blocker: index into `blockers`, "" where nothing is named.
    expected_start: UTC seconds, now for an admitted one; an estimate that takes predicted runtimes at face value, and
    of the reasons in END_UNKNOWN no more than the earliest moment.
    leave_by: when an admitted run begins to leave by itself, whether or not anyone tells it to. batch: controls with
    the same number share one run; -1 for a run of its own.
    """

    ids: Texts
    node: Ints
    reason: Ints
    blocker: Ints
    expected_start: Ints
    leave_by: Ints
    batch: Ints


@dataclass(frozen=True, eq=False)
class RunDecisions:
    """Columns in the order of the snapshot's runs. forced: do not wait for a checkpoint, end the process."""

    ids: Texts
    preempted: Bools
    forced: Bools
    reason: Ints
    blocker: Ints


@dataclass(frozen=True, eq=False)
class Plan:
    """Decisions for one moment."""

    now: int
    nodes: tuple[str, ...]
    blockers: tuple[str, ...]
    queue: QueueDecisions
    running: RunDecisions

    def words(self, reason: int, blocker: int) -> tuple[str, str]:
        """A reason and its blocker, by their codes."""
        return REASONS[reason].value, self.blockers[blocker]

    def queue_frame(self) -> pl.DataFrame:
        """One row per waiting experiment, by id, with words for codes and null for what does not apply."""
        columns = self.queue
        admitted = columns.node >= 0
        return pl.DataFrame(
            {
                "experiment_id": columns.ids,
                "action": np.where(admitted, Action.ADMIT.value, Action.WAIT.value),
                "node": _words((*self.nodes, ""), columns.node),
                "reason": _words(REASONS, columns.reason),
                "blocker": _words(self.blockers, columns.blocker),
                "expected_start": columns.expected_start,
                "leave_by": columns.leave_by,
                "batch": columns.batch,
            }
        ).sort("experiment_id")

    def run_frame(self) -> pl.DataFrame:
        """One row per run, by id."""
        columns = self.running
        return pl.DataFrame(
            {
                "experiment_id": columns.ids,
                "action": np.where(columns.preempted, Action.PREEMPT.value, Action.KEEP.value),
                "forced": columns.forced,
                "reason": _words(REASONS, columns.reason),
                "blocker": _words(self.blockers, columns.blocker),
            }
        ).sort("experiment_id")


def _words(words: tuple[str, ...], codes: Ints) -> Texts:
    return np.array([str(word) for word in words], dtype=np.str_)[codes]
