"""Weeks of the asset graph, which go by their Monday, as the ISO weeks that suites go by."""

from collections.abc import Mapping, Sequence
from datetime import date

from kronos.core.controls.weeks import iso_week, monday_of

_PARTITION, _LAST = "dagster/partition", "dagster/asset_partition_range_end"


def weeks_of(keys: Sequence[str]) -> list[str]:
    """ISO weeks of partition keys."""
    return [iso_week(date.fromisoformat(key)) for key in keys]


def key_of(week: str) -> str:
    """Partition key of an ISO week."""
    return monday_of(week).isoformat()


def week_of_run(tags: Mapping[str, str]) -> str | None:
    """The ISO week of a run's partition, of a range its last; None for a run of no partition."""
    key = tags.get(_LAST, tags.get(_PARTITION))
    return None if key is None else weeks_of([key])[0]
