"""Watch the active configs: read what was active and what it did, judge it, write the rows, raise the alerts."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import psycopg
from pydantic import TypeAdapter

from kronos.core.frames import MONITOR_ROWS, conform
from kronos.core.monitoring.model import EngineMonitoring, MonitorFinding, Watched
from kronos.core.monitoring.rows import monitor_rows
from kronos.core.quality import Finding
from kronos.core.scheduling.periods import Period
from kronos.errors import NothingObserved
from kronos.services.barrier import judge_periods
from kronos.services.observatory import current_instant
from kronos.services.pipeline import Pipeline
from kronos.services.summaries import ALL_ENGINES
from kronos.settings import Settings
from kronos.store.alerts import raise_alert
from kronos.store.database import Database, Role
from kronos.store.engine_configs import EVERYWHERE, Activation, activations, earlier_config
from kronos.store.meta_runs import ReportBuild, record_builds, report_builds
from kronos.store.open import open_database

if TYPE_CHECKING:
    # brings scipy, which only a process that judges should wait for
    from kronos.services.performance import Performance

ASSET: Final = "degradation_monitor"
TABLE: Final = "monitoring"
MONITOR_VERSION: Final = "1"
"""Rises when the code gives the rows another meaning."""
_DAY: Final = timedelta(days=1)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Standing:
    """Which configs are to be watched as of a date, by engine; the date is None where nobody said what day it is."""

    as_of: date | None = None
    watched: dict[str, list[Watched]] = field(default_factory=dict)


StandingOf = Callable[[Sequence[str], date | None], Standing]
"""What of these engines was active on a date; None: now."""


@dataclass(frozen=True)
class Monitored:
    """What a run wrote: the answers as of its last day, and how many alerts it raised."""

    newest: list[EngineMonitoring]
    raised: int


def monitor(
    performance: Performance, standing_of: StandingOf, engine_name: str | None, as_of: date | None
) -> list[EngineMonitoring]:
    """The answer for one engine, or for every engine that ever decided; `NotFound` for an unknown name."""
    directory = performance.directory()
    engines = directory.engines() if engine_name is None else [engine_name]
    standing = standing_of(engines, as_of)
    if engine_name is not None and not standing.watched.get(engine_name):
        directory.require(engine_name, [])
    day = as_of or standing.as_of or directory.newest
    if day is None:
        raise NothingObserved
    return [performance.monitoring(engine, standing.watched.get(engine, []), day) for engine in engines]


def nothing_active(engines: Sequence[str], as_of: date | None) -> Standing:
    """For records without an activation history."""
    return Standing(as_of)


def recorded_standing(settings: Settings) -> StandingOf:
    """Asks the activation history of Kronos's database, which is opened for each question."""

    def ask(engines: Sequence[str], as_of: date | None) -> Standing:
        with open_database(settings) as database:
            day = as_of or current_instant(settings, database).date()
            history = _history(database, engines)
        watched = {name: watched_on(held, day, settings.first_live_day) for name, held in history.items()}
        return Standing(day, watched)

    return ask


def watched_on(history: Sequence[Activation], day: date, first_live_day: date) -> list[Watched]:
    """What was active when the day ended. Monitored are decisions of later dates than the activation, once live."""
    ended = datetime.combine(day + _DAY, time(), UTC)
    active = [
        one
        for one in history
        if one.activated_at < ended and (one.deactivated_at is None or one.deactivated_at >= ended)
    ]
    own = tuple(sorted(one.scope for one in active if one.scope != EVERYWHERE))
    return [
        Watched(
            config_id=one.config_id,
            scope=one.scope,
            monitored_from=max(one.activated_at.astimezone(UTC).date() + _DAY, first_live_day),
            others=own if one.scope == EVERYWHERE else (),
        )
        for one in active
    ]


def monitor_days(
    pipeline: Pipeline,
    performance: Performance,
    days: Sequence[Period],
    first_live_day: date,
    now: datetime,
    progress: Progress | None = None,
) -> Monitored:
    """Judge every engine as of each day in turn, replace the days' rows, and raise what was not raised before.

    What arrives late changes no day's answer, only the next one's; `now` labels the days whose regions were missing.
    """
    answers: list[EngineMonitoring] = []
    engines = performance.directory().engines()
    history = _history(pipeline.database, engines)
    for done, day in enumerate(sorted(days), start=1):
        newest = [
            performance.monitoring(engine, watched_on(history[engine], day.end, first_live_day), day.end)
            for engine in engines
        ]
        answers += newest
        if progress is not None:
            progress(done, len(days))
    raised = _raise(pipeline.database, answers)
    _write(pipeline, answers, days, now)
    return Monitored([one for one in answers if one.as_of == max(days).end], raised)


def unmonitored_days(pipeline: Pipeline, days: Sequence[Period]) -> list[Period]:
    """Of the days those without an answer."""
    held = {build.period for build in report_builds(pipeline.database, ASSET)}
    return [day for day in days if day.key not in held]


def monitored_days(pipeline: Pipeline) -> list[str]:
    """Days that have rows, rising."""
    held = pipeline.lake.scan(TABLE).select(pl.col("period").unique()).collect()
    return sorted(held["period"])


def monitored_rows(pipeline: Pipeline, day: str) -> pl.DataFrame:
    """Rows of a day; see frames.MONITOR_ROWS."""
    held = pipeline.lake.scan(TABLE, [day[:7]]).filter(period=day)
    return held.sort("engine_name", "scope", "metric").collect()


def degrading(pipeline: Pipeline, metric: str, days: Sequence[str]) -> Finding:
    """Which engines the metric says are degrading, on the newest of the days; nothing where there is no day."""
    rows = monitored_rows(pipeline, max(days, default="")).filter(metric=metric)
    shown = ("engine_name", "scope", "config_id", "monitored_from", "largest_e", "threshold", "alarm_on", "drop")
    return Finding(rows.height, rows.filter(state="DEGRADING").select(shown))


def _history(database: Database, engines: Sequence[str]) -> dict[str, list[Activation]]:
    with database.connect(Role.READER) as connection:
        return {engine: activations(connection, engine) for engine in engines}


def _write(pipeline: Pipeline, answers: Sequence[EngineMonitoring], days: Sequence[Period], now: datetime) -> None:
    rows = conform(monitor_rows(answers), MONITOR_ROWS, TABLE)
    months = sorted({day.start.isoformat()[:7] for day in days})
    pipeline.lake.replace(TABLE, rows, {"month": months, "period": [day.key for day in days]})
    labels = {entry.period: entry.verdict.label for entry in judge_periods(pipeline, days, now)}
    written = [ReportBuild(day.key, ALL_ENGINES, labels[day], MONITOR_VERSION) for day in days]
    record_builds(pipeline.database, ASSET, written)


def _raise(database: Database, answers: Sequence[EngineMonitoring]) -> int:
    """Alerts of the earliest day first; those raised by anyone before are left as they are."""
    calls = [(answer.as_of, found) for answer in answers for found in answer.degrading]
    with database.connect() as connection:
        ids = [
            raise_alert(
                connection,
                engine_name=found.engine_name,
                scope=found.scope,
                config_id=found.config_id,
                metric=found.metric.value,
                monitored_from=found.monitored_from,
                raised_on=day,
                evidence=_evidence(found) | _asks(connection, found.engine_name, found.scope, found.config_id),
            )
            for day, found in calls
            if found.config_id is not None and found.monitored_from is not None
        ]
    return sum(one is not None for one in ids)


def _asks(connection: psycopg.Connection[Any], engine_name: str, scope: str, config_id: str) -> dict[str, Any]:
    """What an alert asks of a person: to return to the config before this one, while it is still active."""
    earlier = earlier_config(connection, engine_name, scope, config_id)
    if earlier is None:
        return {}
    within = [] if scope == EVERYWHERE else ["--scope", scope]
    words = ["kronos", "rollback", engine_name, "--from", config_id, *within, "--reason", "..."]
    return {"asks": {"rollback_to": earlier, "command": shlex.join(words)}}


def _evidence(found: MonitorFinding) -> dict[str, Any]:
    """The finding without the e-process's path, which any day's monitor draws again."""
    short = replace(found, e=replace(found.e, dates=(), values=()) if found.e else None)
    return dict(TypeAdapter(MonitorFinding).dump_python(short, mode="json"))
