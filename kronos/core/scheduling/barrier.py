"""The barrier in front of the meta jobs: has every regional engine run of a session, or of a whole period, completed?

A meta job follows the engines, not the clock: it starts when every region whose markets had the session reports
COMPLETED, or when each missing region is past its own deadline. It then runs without the missing ones, says so in
its label, and runs again when fewer are missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from kronos.core.vocabulary import Phase
from kronos.errors import BadValue


class State(StrEnum):
    """What the barrier says about a session or a period."""

    READY = "READY"
    WAIT = "WAIT"
    PARTIAL = "PARTIAL"
    NO_SESSION = "NO_SESSION"


@dataclass(frozen=True)
class RegionSession:
    """One region on one session date: when the last of its markets closes, and how far its engines are."""

    region: str
    session: date
    closes_at: datetime
    """UTC instant."""
    phase: Phase | None
    """Phase of the region's newest engine run for the date; None when there is none."""

    @property
    def missing(self) -> bool:
        """Anything but COMPLETED is missing: a failed run, one still working, no run at all."""
        return self.phase is not Phase.COMPLETED


@dataclass(frozen=True)
class Verdict:
    """The barrier's answer, with what is missing and, while waiting, how long to wait at most."""

    state: State
    missing: tuple[str, ...] = ()
    """Regions in alphabetical order."""
    until: datetime | None = None

    @property
    def decided(self) -> bool:
        """Whether the job may run now."""
        return self.state in (State.READY, State.PARTIAL)

    @property
    def label(self) -> str:
        """What results computed now carry: READY, PARTIAL with the missing regions, or NO_SESSION."""
        return self.state.value if self.state is State.NO_SESSION else label_of(self.missing)


def label_of(missing: Iterable[str]) -> str:
    """READY, or PARTIAL with the missing regions."""
    regions = ", ".join(sorted(missing))
    return f"{State.PARTIAL}({regions})" if regions else State.READY.value


def judge(sessions: Iterable[RegionSession], now: datetime, deadline: timedelta) -> Verdict:
    """Judge every region and session of a day, week or month together.

    sessions: one entry per region and session date of the period, those still to come included: a period whose
    calendar is not over has a missing entry before its deadline, and waits. No entry at all is NO_SESSION.
    now: an aware instant, the sandbox clock in the sandbox. deadline: time after a region's close.
    Raises `BadValue` for a naive `now`.
    """
    if now.tzinfo is None:
        raise BadValue("now", now, "an instant with a time zone")
    entries = list(sessions)
    if not entries:
        return Verdict(State.NO_SESSION)
    missing = [entry for entry in entries if entry.missing]
    awaited = [entry for entry in missing if now < entry.closes_at + deadline]
    if awaited:
        until = max(entry.closes_at for entry in awaited) + deadline
        return Verdict(State.WAIT, _regions(missing), until)
    return Verdict(State.PARTIAL, _regions(missing)) if missing else Verdict(State.READY)


def is_due(verdict: Verdict, earlier: Collection[Sequence[str]]) -> bool:
    """Whether a decided period is to run (again).

    earlier: the missing regions of each earlier run of the period. The first run needs a decision; every further one
    must miss strictly fewer regions than each before it, so a period runs at most once per region that arrives, and
    never again after a READY run.
    """
    return verdict.decided and all(set(verdict.missing) < set(regions) for regions in earlier)


def _regions(entries: Iterable[RegionSession]) -> tuple[str, ...]:
    return tuple(sorted({entry.region for entry in entries}))
