"""The source contract as named rules; their names are the reasons in the quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import polars as pl

from kronos.core.conventions import EARLIEST_DATE, LARGEST_MAGNITUDE, LONGEST_ID
from kronos.core.frames import QUARANTINE, empty

_LONGEST_VALUE: Final = 200
_CLOCK_SLACK: Final = timedelta(days=1)
"""What happens on a session is stamped after its close, which may already be tomorrow in UTC."""


@dataclass(frozen=True)
class Rule:
    """A row for which `broken` holds breaks the contract; null means it does not. `value` is what to show."""

    name: str
    broken: pl.Expr
    value: pl.Expr


def on(column: str, name: str, broken: pl.Expr) -> Rule:
    """A rule about one column; shows `column=value`."""
    return Rule(name, broken, shown(column))


def shown(column: str) -> pl.Expr:
    """`column=value` as text, `column=null` where there is none."""
    return pl.format("{}={}", pl.lit(column), pl.col(column).cast(pl.String).fill_null("null"))


def required(*columns: str) -> list[Rule]:
    """MISSING_FIELD: null or empty."""
    return [
        on(column, "MISSING_FIELD", pl.col(column).is_null() | (pl.col(column).cast(pl.String) == ""))
        for column in columns
    ]


def ids(*columns: str) -> list[Rule]:
    """TOO_LONG: an id that no index takes."""
    return [on(column, "TOO_LONG", pl.col(column).str.len_bytes() > LONGEST_ID) for column in columns]


def numbers(*columns: str) -> list[Rule]:
    """NOT_FINITE: NaN or infinite. TOO_LARGE: finite, but beyond what can be summed exactly."""
    finite = [on(column, "NOT_FINITE", ~pl.col(column).is_finite()) for column in columns]
    small = [
        on(column, "TOO_LARGE", pl.col(column).is_finite() & (pl.col(column).abs() > LARGEST_MAGNITUDE))
        for column in columns
    ]
    return finite + small


def not_after(column: str, today: date) -> Rule:
    """FUTURE_DATE: dated after today."""
    return on(column, "FUTURE_DATE", pl.col(column) > today)


def stamped_by(column: str, today: date) -> Rule:
    """FUTURE_DATE of an instant: later than any clock can show today."""
    return on(column, "FUTURE_DATE", pl.col(column).dt.date() > today + _CLOCK_SLACK)


def plausible(column: str) -> Rule:
    """IMPLAUSIBLE_DATE: so long ago that it must be a slip of the pen."""
    return on(column, "IMPLAUSIBLE_DATE", pl.col(column) < EARLIEST_DATE)


def within(column: str, low: float, high: float, name: str) -> Rule:
    """A finite number outside [low, high]."""
    return on(column, name, pl.col(column).is_finite() & ~pl.col(column).is_between(low, high))


WRONG_JSON_TYPE: Final = Rule("WRONG_JSON_TYPE", pl.col("wrong_types") != "", pl.col("wrong_types"))
"""A known key holds another JSON type than the contract says, or the document is no object."""


def broken_by_any(rules: Sequence[Rule]) -> pl.Expr:
    """Whether a row breaks at least one rule."""
    return pl.any_horizontal(pl.lit(False), *(rule.broken.fill_null(False) for rule in rules))


def breaches(df: pl.DataFrame, rules: Sequence[Rule], table: str, key: pl.Expr) -> pl.DataFrame:
    """One QUARANTINE row per broken rule of a row of `df`, which has an as_of_date; empty when all is well."""
    bad = df.filter(broken_by_any(rules))
    if bad.is_empty():
        return empty(QUARANTINE)
    return pl.concat([_reported(bad.filter(rule.broken), rule, table, key) for rule in rules])


def _reported(bad: pl.DataFrame, rule: Rule, table: str, key: pl.Expr) -> pl.DataFrame:
    return bad.select(
        source_table=pl.lit(table),
        source_key=key.fill_null("").cast(pl.String),
        rule=pl.lit(rule.name),
        value=rule.value.str.slice(0, _LONGEST_VALUE),
        as_of_date=pl.col("as_of_date"),
    )
