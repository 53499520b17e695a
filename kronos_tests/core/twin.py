"""Slow twins: point-in-time labels, weights and as-of sums row by row in plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any

from kronos_tests.frames import POLICY, Row, weekdays

_REGIONS = {name: market.region for name, market in POLICY.markets.items()}


def last_known(made: Row, rows: Iterable[Row], **key: Any) -> Row | None:
    """The row of the key with the greatest date, then recording, that was known when the decision was made."""
    known = [
        row
        for row in rows
        if all(row[name] == value and value is not None for name, value in key.items())
        and row["as_of_date"] <= made["as_of_date"]
        and row["recorded_at"] <= made["decided_at"]
    ]
    return max(known, key=lambda row: (row["as_of_date"], row["recorded_at"]), default=None)


def regime(made: Row, rows: Iterable[Row]) -> str:
    """Regime of the market's region."""
    row = last_known(made, rows, region=_REGIONS[made["market_id"]])
    return row["regime"] or "UNKNOWN" if row else "UNKNOWN"


def entity_value(made: Row, rows: list[Row], value: str) -> Any:
    """Value of the decision's entity, else its portfolio, else its market."""
    chain = [
        (made["entity_type"], made["entity_id"]),
        ("PORTFOLIO", made["portfolio_id"]),
        ("MARKET", made["market_id"]),
    ]
    for kind, name in chain:
        row = last_known(made, rows, entity_type=kind, entity_id=name)
        if row is not None:
            return row[value]
    return None


def bucket(score: float | None) -> str:
    """Quarter of [0, 1], left-closed."""
    if score is None:
        return "UNKNOWN"
    return ["VERY_LOW", "LOW", "MEDIUM", "HIGH"][min(int(score * 4), 3)]


def weights(decisions: Iterable[Row]) -> dict[str, float]:
    """Given weights, else an equal share of the decisions of the same book."""
    books: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for made in decisions:
        books[_book(made)].append(made)
    return {
        made["decision_id"]: 1.0 / len(book) if made["weight"] is None else made["weight"]
        for book in books.values()
        for made in book
    }


def due_date(made: Row, horizon: int) -> date:
    """The horizon-th weekday after the decision."""
    sessions = weekdays([made["market_id"]])["session"].to_list()
    return [day for day in sessions if day > made["as_of_date"]][horizon - 1]


def believed(decisions: Iterable[Row], outcomes: Iterable[Row], as_of: date) -> dict[tuple[str, int], Row]:
    """The valid outcome of each (decision, horizon) as of a date: the newest recorded by then, evaluated by then."""
    made = {row["decision_id"]: row for row in decisions if row["decided_at"].date() <= as_of}
    newest: dict[tuple[str, int], Row] = {}
    for row in sorted(outcomes, key=lambda row: row["recorded_at"]):
        if row["decision_id"] in made and row["recorded_at"].date() <= as_of:
            newest[row["decision_id"], row["horizon"]] = row
    return {
        key: row
        for key, row in newest.items()
        if row["valid"] and (row["eval_date"] or due_date(made[key[0]], key[1])) <= as_of
    }


def _book(made: Row) -> tuple[Any, ...]:
    return tuple(
        made[name] for name in ("engine_name", "config_id", "market_id", "as_of_date", "mode", "experiment_id")
    )
