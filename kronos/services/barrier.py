"""Which meta jobs may start: read engine runs, calendars and earlier requests, decide, and claim what is to run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from kronos.core.policy import ObservationPolicy
from kronos.core.scheduling.barrier import RegionSession, Verdict, is_due, judge
from kronos.core.scheduling.expectation import ACTIVE_FOR, expected_sessions
from kronos.core.scheduling.periods import (
    Cadence,
    Period,
    period_from_key,
    period_of,
    periods_between,
    runs_of_neighbours,
)
from kronos.services.market_hours import session_closes
from kronos.services.markets import live_activity, told_markets
from kronos.services.pipeline import Pipeline
from kronos.store import meta_runs
from kronos.store.meta_runs import Claim

LOOKBACK: Final = timedelta(days=45)
"""A region that arrives later than this no longer starts a catch-up run by itself."""
LEASE: Final = timedelta(minutes=15)
"""A claim of which no run started for so long is handed over again, under the same request key."""


@dataclass(frozen=True)
class Judged:
    """A period with the barrier's answer."""

    period: Period
    verdict: Verdict


@dataclass(frozen=True)
class Request:
    """One run to launch: neighbouring periods of a cadence. The key is the same however often it is asked for."""

    key: str
    cadence: Cadence
    periods: tuple[Period, ...]
    labels: tuple[str, ...]


def judge_periods(pipeline: Pipeline, periods: Sequence[Period], now: datetime) -> list[Judged]:
    """The barrier's answer for each period of one cadence, from the source's engine runs and the markets' calendars."""
    if not periods:
        return []
    by_period: dict[Period, list[RegionSession]] = {period: [] for period in periods}
    first, last = min(p.start for p in periods), max(p.end for p in periods)
    for entry in _expected(pipeline, first, last):
        period = period_of(periods[0].cadence, entry.session)
        if period in by_period:
            by_period[period].append(entry)
    deadline = pipeline.policy.deadline_after_close
    return [Judged(period, judge(entries, now, deadline)) for period, entries in sorted(by_period.items())]


def open_periods(pipeline: Pipeline, cadence: Cadence, first_day: date, now: datetime) -> list[Judged]:
    """Periods that could be run, with their answers: those not long past, and all since the last one requested."""
    since = now.date() - LOOKBACK
    latest = meta_runs.latest_period(pipeline.database, cadence)
    if latest is not None:
        since = min(since, period_from_key(cadence, latest).start)
    return judge_periods(pipeline, periods_between(cadence, max(first_day, since), now.date()), now)


def claim_requests(
    pipeline: Pipeline, cadence: Cadence, judged: Sequence[Judged], stale: Callable[[], Collection[str]]
) -> list[Request]:
    """Claim every due period none of whose months is stale; the answer is to be launched, by nobody else.

    Requests claimed before of which no run ever started come back too: their claimer may have died.
    """
    with meta_runs.claiming(pipeline.database, cadence) as session:
        requests = [_handed_over(cadence, key, claims) for key, claims in meta_runs.retake(session, cadence, LEASE)]
        earlier = meta_runs.requested(session, cadence)
        due = {j.period: j.verdict for j in judged if is_due(j.verdict, earlier.get(j.period.key, []))}
        blocked = set(stale()) if due else set()
        due = {period: verdict for period, verdict in due.items() if not blocked & set(period.months)}
        for group in runs_of_neighbours(list(due)):
            request = _request(cadence, group, [due[period] for period in group])
            claims = [Claim(period.key, due[period].missing) for period in group]
            meta_runs.claim(session, cadence, request.key, claims)
            requests.append(request)
    return requests


def waiting(judged: Sequence[Judged]) -> str:
    """Why nothing is launched, in words."""
    waits = [
        f"{j.period.key} waits for {', '.join(j.verdict.missing)} until {j.verdict.until:%Y-%m-%d %H:%M} UTC"
        for j in judged
        if j.verdict.until is not None
    ]
    return "; ".join(waits) or "every decided period was requested, or waits for its months to be rebuilt"


def _request(cadence: Cadence, periods: Sequence[Period], verdicts: Sequence[Verdict]) -> Request:
    labels = tuple(verdict.label for verdict in verdicts)
    digest = hashlib.sha256("|".join(labels).encode()).hexdigest()[:8]
    return Request(f"{cadence}:{periods[0].key}:{periods[-1].key}:{digest}", cadence, tuple(periods), labels)


def _handed_over(cadence: Cadence, key: str, claims: Sequence[Claim]) -> Request:
    ordered = sorted(claims, key=lambda claim: claim.period)
    periods = tuple(period_from_key(cadence, claim.period) for claim in ordered)
    return Request(key, cadence, periods, tuple(claim.label for claim in ordered))


def _expected(pipeline: Pipeline, first: date, last: date) -> list[RegionSession]:
    since = first - ACTIVE_FOR
    runs = pipeline.source.region_phases(since, last)
    activity = live_activity(pipeline, since, last)
    markets = told_markets({*activity["market_id"], *_markets_of(pipeline.policy, runs["region"].unique())})
    return expected_sessions(session_closes(pipeline.policy, markets, first, last), runs, activity)


def _markets_of(policy: ObservationPolicy, regions: Iterable[str]) -> set[str]:
    """Markets of the regions; a region no market names is a market of its own, on weekdays."""
    found: set[str] = set()
    for region in regions:
        found |= {name for name, market in policy.markets.items() if market.region == region} or {region}
    return found
