"""What tier 1, the trading engines, is doing now: from its job records and the phases of its engine runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from kronos.core.scheduling.snapshot import NEVER, Tier1
from kronos.core.vocabulary import UNKNOWN, Phase

_AT_WORK: Final = frozenset({Phase.DATA_READY, Phase.SIGNALS_DONE, Phase.UNIVERSES_DONE, Phase.BOOKS_DONE})


@dataclass(frozen=True)
class JobState:
    """Jobs of a market and type ('': they name none): whether any runs, since when, and when the last one ended."""

    market: str
    busy: bool
    busy_since: datetime | None
    idle_since: datetime | None
    job_type: str = ""


@dataclass(frozen=True)
class RunState:
    """Newest engine run of a region for one date: its phase, and since when it is in it."""

    region: str
    phase: str
    since: datetime


def tier1_states(
    regions: Mapping[str, str],
    jobs: Collection[JobState],
    runs: Collection[RunState],
    now: datetime,
    longest: timedelta,
    lower_tiers: Collection[str] = (),
) -> tuple[Tier1, ...]:
    """One state per market. regions: market -> region of every market that is in use; now: of the reading.
    longest: an engine run that is at work for longer died without saying so, one that is further ahead is not believed.
    lower_tiers: types of jobs that do not count, whatever their case.

    Busy while any of its jobs, or an engine run of its region, is at work; a job that names no market in use, or a run
    of no such region, keeps all of them busy. A market of which neither a job nor a run is known has a state that was
    never read: nobody knows. `UNKNOWN`, where decisions stand that name no market, has no engines of its own to be
    read: beside another market it has no state then, by itself it stays unread.
    """
    lower = {name.casefold() for name in lower_tiers}
    jobs = [job for job in jobs if job.job_type.casefold() not in lower]
    believed = [run for run in runs if run.since - now <= longest]
    runs = [run if now - run.since <= longest else replace(run, phase=Phase.FAILED) for run in believed]
    states = [_state(market, regions, jobs, runs, now) for market in sorted(regions)]
    return tuple(one for one in states if len(states) == 1 or one.market != UNKNOWN or one.taken_at != NEVER)


def _state(
    market: str, regions: Mapping[str, str], jobs: Collection[JobState], runs: Collection[RunState], now: datetime
) -> Tier1:
    region, known_regions = regions[market], {*regions.values()}
    mine = [job for job in jobs if job.market == market or job.market not in regions]
    near = [run for run in runs if run.region == region or run.region not in known_regions]
    busy = [job.busy_since or now for job in mine if job.busy]
    busy += [run.since for run in near if run.phase in _AT_WORK]
    if busy:
        return Tier1(market, True, _seconds(min(busy)), _seconds(now))
    ended = [job.idle_since for job in mine if job.idle_since is not None] + [run.since for run in near]
    known = any(run.region == region for run in near) or any(job.market == market for job in mine)
    return Tier1(market, False, _seconds(max(ended)) if ended else NEVER, _seconds(now) if known else NEVER)


def _seconds(instant: datetime) -> int:
    return int(instant.timestamp())
