"""Whether this is a moment to judge in: a verdict takes a processor for a while, and trading goes first."""

from __future__ import annotations

from kronos.core.policy import ObservationPolicy
from kronos.core.scheduling.alarms import Alarm, in_the_way
from kronos.core.scheduling.policy import seconds
from kronos.store.database import Database, Role
from kronos.store.scheduler import database_now, scheduler_state


def why_not_judge(database: Database, policy: ObservationPolicy) -> str | None:
    """What keeps a verdict from being begun now, as the scheduler last saw it; None when nothing does.

    The same as makes a backtest leave. Where nobody has planned lately nobody knows.
    """
    with database.connect(Role.READER) as session:
        now, state = database_now(session), scheduler_state(session)
    terms = policy.scheduler
    if state is None or now - state.planned_at > terms.telemetry_age:
        since = "at all" if state is None else f"since {state.planned_at:%H:%M:%S} UTC"
        return f"the scheduler has not planned {since}: nobody knows whether trading needs the machine"
    known = [Alarm(**alarm) for alarm in state.counts["alarms"]]
    alarm = in_the_way(known, int(now.timestamp()), seconds(terms.tick) + seconds(policy.backtests.leave))
    return None if alarm is None else f"trading needs the machine: {alarm.reason} ({alarm.blocker})"
