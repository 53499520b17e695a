"""Attempts at a backtest: one per start, and what the earlier ones teach the scheduler about the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self
from uuid import UUID

from pydantic import TypeAdapter

from kronos.core.scheduling.policy import Retries


class AttemptOutcome(StrEnum):
    """How an attempt ended."""

    COMPLETED = "COMPLETED"
    PREEMPTED = "PREEMPTED"
    CRASHED = "CRASHED"
    """Its worker said that it failed, or its run ended before one took it up."""
    LOST = "LOST"
    """Its worker said nothing any more."""
    CANCELLED = "CANCELLED"


_FAILED: Final = (AttemptOutcome.CRASHED, AttemptOutcome.LOST)


@dataclass(frozen=True)
class Attempt:
    """One start of an experiment's backtests.

    batch, lead_attempt: the experiment, and which attempt of it, whose run this is. pieces: checkpoints of the whole
    backtest; pieces_before, pieces_after: how many of them stood at the start and the end. last_piece_at: of the last
    one made in this attempt. pieces_made: how many it made so far; None where that was not read.
    """

    experiment_id: UUID
    attempt: int
    node: str
    batch: UUID
    lead_attempt: int
    admitted_at: datetime
    leave_by: datetime | None
    pieces: int
    pieces_before: int
    run_id: str | None
    started_at: datetime | None
    told_at: datetime | None
    told_why: str | None
    forced: bool
    ended_at: datetime | None
    outcome: AttemptOutcome | None
    pieces_after: int | None
    why: str | None
    last_piece_at: datetime | None = None
    pieces_made: int | None = None

    @classmethod
    def from_row(cls, **row: Any) -> Self:
        """One row of the database."""
        return TypeAdapter(cls).validate_python(row)

    @property
    def launch(self) -> str:
        """Key of its run, the same for all attempts that share it."""
        return f"{self.batch}:{self.lead_attempt}"

    @property
    def gained(self) -> int:
        """Checkpoints made in it."""
        return (self.pieces_after or self.pieces_before) - self.pieces_before

    @property
    def pieces_stand(self) -> int | None:
        """Checkpoints that stood at its end, or stand by now; None where nobody counted those of an open attempt."""
        if self.outcome is not None:
            return self.pieces_before if self.pieces_after is None else self.pieces_after
        return None if self.pieces_made is None else min(self.pieces_before + self.pieces_made, self.pieces)

    @property
    def lost_seconds(self) -> int:
        """Time since its last checkpoint, or its start, that led to none."""
        if self.started_at is None or self.ended_at is None:
            return 0
        since = max(self.last_piece_at or self.started_at, self.started_at)
        return max(0, int((self.ended_at - since).total_seconds()))


@dataclass(frozen=True)
class Standing:
    """Where an experiment in the queue stands after its attempts.

    crashes: failures in a row without a new checkpoint. stalls: preemptions in a row that lost everything since the
    checkpoint they had started from; one told to leave before it began had nothing to lose. survived: longest time in
    seconds since the last checkpoint that did not reach the next one. not_before: end of the pause after a failure.
    """

    pieces: int = 1
    pieces_done: int = 0
    crashes: int = 0
    stalls: int = 0
    survived: int = 0
    not_before: datetime | None = None
    preempted_at: datetime | None = None
    why: str = ""
    """What the last failure said."""

    def given_up(self, retries: Retries) -> bool:
        """Whether it failed too often to be tried again."""
        return self.crashes >= retries.attempts

    def last_try(self, retries: Retries, *, gained: bool) -> bool:
        """Whether a failure now, with or without a new checkpoint before it, is one too many."""
        return crashes_after(self.crashes, failed=True, gained=gained) >= retries.attempts


def standing(attempts: Sequence[Attempt], retries: Retries) -> Standing:
    """Where an experiment stands; attempts: its ended ones in order, also those of an earlier, completed backtest."""
    now = Standing()
    for attempt in attempts:
        now = Standing() if attempt.outcome is AttemptOutcome.COMPLETED else _after(now, attempt, retries)
    return now


def crashes_after(before: int, *, failed: bool, gained: bool) -> int:
    """Failures in a row without a new checkpoint, after one more attempt that failed or not, with or without one."""
    return (0 if gained else before) + failed


def _after(before: Standing, attempt: Attempt, retries: Retries) -> Standing:
    lost, gained = attempt.lost_seconds, attempt.gained
    failed = attempt.outcome in _FAILED
    # nobody knows of a run that never began whether it would have failed
    begun = attempt.started_at is not None
    crashed = failed and (begun or attempt.outcome is AttemptOutcome.CRASHED)
    crashes = crashes_after(before.crashes, failed=crashed, gained=bool(gained))
    preempted = attempt.outcome is AttemptOutcome.PREEMPTED
    pause = retries.after(crashes) if crashed and attempt.ended_at is not None else None
    return Standing(
        pieces=attempt.pieces,
        pieces_done=attempt.pieces_after or attempt.pieces_before,
        crashes=crashes,
        stalls=(0 if gained else before.stalls + begun) if preempted else before.stalls,
        survived=lost if gained else max(before.survived, lost),
        not_before=attempt.ended_at + pause if pause is not None and attempt.ended_at is not None else None,
        preempted_at=attempt.ended_at if preempted else before.preempted_at,
        why=(attempt.why or "") if failed else before.why,
    )
