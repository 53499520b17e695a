"""Time partitions of the asset graph, and which reporting periods a run is about.

Plain calendar days, weeks from Monday and months: which of them hold sessions is the calendar's business, in code.
In the sandbox they end where the data ends; on a live source they reach into the period that is still running, because
its rows are observed as they arrive.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import unquote

import dagster as dg

from kronos.core.scheduling.periods import Cadence, Period, period_from_key, period_of
from kronos.settings import Settings

ENGINES = "engines"
"""Name of the dynamic engine dimension: engine names are data."""
ENGINE, MONTH = "engine", "month"
_MONDAY = 1
_MONTH_FORMAT = "%Y-%m"
# what a partition key cannot hold (the escape sign, the separator of dimensions, control characters, range dots)
_UNSPEAKABLE = re.compile(r"[%|\x00-\x1f\x7f]|\.(?=\.\.)")
_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


class Calendar:
    """The partitions definitions under one set of settings."""

    def __init__(self, settings: Settings) -> None:
        start, end = settings.history_start, settings.history_end
        self.first_live_day = settings.first_live_day
        self.months = dg.MonthlyPartitionsDefinition(
            start_date=_key(Cadence.MONTHLY, start), fmt=_MONTH_FORMAT, **_until(Cadence.MONTHLY, end)
        )
        self.weeks = dg.WeeklyPartitionsDefinition(
            start_date=_key(Cadence.WEEKLY, start), day_offset=_MONDAY, **_until(Cadence.WEEKLY, end)
        )
        self.days = dg.DailyPartitionsDefinition(
            start_date=_key(Cadence.DAILY, self.first_live_day), **_until(Cadence.DAILY, end)
        )
        self.engines = dg.DynamicPartitionsDefinition(name=ENGINES)
        self.engine_months = dg.MultiPartitionsDefinition({ENGINE: self.engines, MONTH: self.months})


def _key(cadence: Cadence, day: date) -> str:
    return period_of(cadence, day).key


def _until(cadence: Cadence, end: date | None) -> dict[str, Any]:
    """Through the period that holds the end of the data; without an end through the running period."""
    if end is None:
        return {"end_offset": 1}
    return {"end_date": period_of(cadence, end).next().key}


def periods_of(cadence: Cadence, keys: Sequence[str]) -> list[Period]:
    """The periods of a run's partition keys."""
    return [period_from_key(cadence, key) for key in keys]


def range_tags(first: str, last: str) -> dict[str, str]:
    """Run tags that make one run cover the partitions from first to last."""
    return {_RANGE_START: first, _RANGE_END: last}


def engine_key(engine: str) -> str:
    """Partition key of an engine: its name, percent-encoded where a key cannot hold it."""
    return _UNSPEAKABLE.sub(lambda found: f"%{ord(found.group()):02X}", engine)


def engine_of(key: str) -> str:
    """The engine a partition key stands for."""
    return unquote(key)


def register_engines(instance: dg.DagsterInstance, engines: Iterable[str]) -> None:
    """Make partitions of the engines that are none yet."""
    instance.add_dynamic_partitions(ENGINES, [engine_key(engine) for engine in engines])


def registered_engines(instance: dg.DagsterInstance) -> list[str]:
    """The engines that are partitions, in order of registration."""
    return [engine_of(key) for key in instance.get_dynamic_partitions(ENGINES)]


def engine_month(engine: str, month: str) -> dg.MultiPartitionKey:
    """Partition key of one engine's month."""
    return dg.MultiPartitionKey({ENGINE: engine_key(engine), MONTH: month})


def engine_month_range(engines: Sequence[str], first: str, last: str) -> dict[str, str]:
    """Run tags that cover these months of the engines from the first to the last registered."""
    return range_tags(engine_month(engines[0], first), engine_month(engines[-1], last))


def engine_months(keys: Sequence[str]) -> tuple[list[str], list[str]]:
    """The engines and months of multi-partition keys, each once, in order."""
    pairs = [key.split("|") for key in keys]
    return sorted({engine_of(engine) for engine, _ in pairs}), sorted({month for _, month in pairs})


def days_of_run(tags: Mapping[str, str], known: Sequence[str]) -> list[str]:
    """Of the known days those a run is about, of its partition or range; else all."""
    single = tags.get("dagster/partition")
    first, last = tags.get(_RANGE_START, single), tags.get(_RANGE_END, single)
    if first is None or last is None:
        return list(known)
    return [day for day in known if first <= day <= last]


def months_of_run(tags: Mapping[str, str], known: Sequence[str]) -> list[str]:
    """Of the known months those a run is about: of its partition or range, a week by its first day; else all."""
    single = tags.get("dagster/partition")
    first, last = tags.get(_RANGE_START, single), tags.get(_RANGE_END, single)
    if first is None or last is None:
        return list(known)
    since, until = (key.rpartition("|")[2][:7] for key in (first, last))
    return [month for month in known if since <= month <= until]
