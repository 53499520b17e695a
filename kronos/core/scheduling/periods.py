"""Reporting periods: calendar days, weeks from Monday to Sunday, months. Their keys are the partition keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from kronos.errors import BadValue

_DAY = timedelta(days=1)


class Cadence(StrEnum):
    """How often a meta job runs."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, order=True)
class Period:
    """A day, week or month by its first and last day, both inside it."""

    start: date
    end: date
    cadence: Cadence

    @property
    def key(self) -> str:
        """Partition key: the first day as YYYY-MM-DD, of a month YYYY-MM."""
        return self.start.isoformat()[:7] if self.cadence is Cadence.MONTHLY else self.start.isoformat()

    @property
    def months(self) -> list[str]:
        """Months the period touches, as YYYY-MM: the lake partitions its numbers come from."""
        return sorted({self.start.isoformat()[:7], self.end.isoformat()[:7]})

    def next(self) -> Period:
        """The period that follows without a gap."""
        return period_of(self.cadence, self.end + _DAY)


def period_of(cadence: Cadence, day: date) -> Period:
    """The period of a cadence that holds the day."""
    if cadence is Cadence.DAILY:
        return Period(day, day, cadence)
    if cadence is Cadence.WEEKLY:
        monday = day - timedelta(days=day.weekday())
        return Period(monday, monday + 6 * _DAY, cadence)
    first = day.replace(day=1)
    return Period(first, (first + timedelta(days=31)).replace(day=1) - _DAY, cadence)


def period_from_key(cadence: Cadence, key: str) -> Period:
    """The period with this partition key; raises `BadValue` for a key no period of the cadence has."""
    try:
        period = period_of(cadence, date.fromisoformat(f"{key}-01" if cadence is Cadence.MONTHLY else key))
    except ValueError as error:
        raise BadValue(f"{cadence} period", key, "a calendar date") from error
    if period.key != key:
        raise BadValue(f"{cadence} period", key, f"a first day such as {period.key}")
    return period


def periods_between(cadence: Cadence, first: date, last: date) -> list[Period]:
    """Every period that holds a day of [first, last], in order; none when last precedes first."""
    periods = []
    period = period_of(cadence, first)
    while period.start <= last:
        periods.append(period)
        period = period.next()
    return periods


def runs_of_neighbours(periods: list[Period]) -> list[list[Period]]:
    """Split periods, in any order, into groups that follow one another without a gap: each fits one range run."""
    groups: list[list[Period]] = []
    for period in sorted(set(periods)):
        if groups and groups[-1][-1].next() == period:
            groups[-1].append(period)
        else:
            groups.append([period])
    return groups
