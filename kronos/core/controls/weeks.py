"""ISO weeks as suites name them: `2017-W52`."""

from __future__ import annotations

from datetime import date

from kronos.errors import BadValue


def iso_week(day: date) -> str:
    """The ISO week that holds a date."""
    year, week, _ = day.isocalendar()
    return f"{year:04}-W{week:02}"


def monday_of(week: str) -> date:
    """First day of an ISO week; `BadValue` for a text that names none."""
    try:
        monday = date.fromisoformat(f"{week}-1")
    except ValueError as error:
        raise BadValue("week of a suite", week, "an ISO week such as 2017-W52") from error
    if iso_week(monday) != week:
        raise BadValue("week of a suite", week, "an ISO week such as 2017-W52")
    return monday
