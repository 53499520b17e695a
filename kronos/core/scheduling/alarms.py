"""Since or from when tier 1 needs the machines, so that whatever Kronos computes has to be gone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kronos.core.scheduling.decisions import Reason
from kronos.core.scheduling.snapshot import Snapshot


@dataclass(frozen=True)
class Alarm:
    """Tier 1 needs the machines. starts: UTC seconds, in the future for the next protected window. blocker: who says
    so."""

    reason: Reason
    starts: int
    blocker: str


def believed_clock(snapshot: Snapshot) -> int:
    """A clock that went back is not believed when it says that tier 1 has time."""
    return snapshot.now if snapshot.previous is None else max(snapshot.now, snapshot.previous)


def alarms(snapshot: Snapshot) -> list[Alarm]:
    """Every alarm of a moment, the most certain first."""
    windows, clock = snapshot.windows, believed_clock(snapshot)
    found = []
    if windows is None or not windows.covers(clock):
        found.append(Alarm(Reason.NO_CALENDAR, clock, "calendar"))
    else:
        index = windows.open_at(clock)
        if index is not None:
            found.append(Alarm(Reason.PROTECTED_WINDOW, int(windows.starts[index]), windows.closed_by[index]))
        else:
            found.append(Alarm(Reason.PROTECTED_WINDOW, *windows.next_start(clock)))
    busy = sorted((state.since, state.market) for state in snapshot.tier1 if state.busy)
    return found + [Alarm(Reason.TIER1_RUNNING, min(since, clock), market) for since, market in busy[:1]]


def in_the_way(found: Iterable[Alarm], now: int, lasts: int) -> Alarm | None:
    """The first alarm that keeps what takes so many seconds from beginning now; None when it may."""
    return next((alarm for alarm in found if now + lasts > alarm.starts), None)
