"""Rows of the `spec` source tables for tests: each builder makes one valid row, keyword arguments change it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from kronos.store.database import Database, Role

Row = dict[str, Any]

_IDS = uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


def decision_id(name: object) -> str:
    """A decision id that depends on the name alone."""
    return str(uuid.uuid5(_IDS, str(name)))


def at(day: date, hour: int = 21) -> datetime:
    """An instant of the day, in UTC."""
    return datetime.combine(day, time(hour), UTC)


def decision(name: object = "d1", day: date = date(2020, 3, 2), **changes: Any) -> Row:
    """A LIVE decision of PORTFOLIO config `fast` in US_EQ; keys that are no column go into its action."""
    row: Row = {
        "decision_id": decision_id(name),
        "timestamp": at(day),
        "engine_name": "PORTFOLIO",
        "config_id": "fast",
        "context_id": f"{day}_US_EQ_daily",
        "as_of_date": day,
        "input_refs": {},
        "raw_input_summary": None,
        "proposed_action": {"market_id": "US_EQ"},
    }
    return changed(row, changes, "proposed_action")


def outcome(of: Row, horizon: int = 1, **changes: Any) -> Row:
    """An outcome of the decision, evaluated and recorded `horizon` days later; unknown keys go into its metrics."""
    day = (of["as_of_date"] or date(2020, 3, 2)) + timedelta(days=horizon)
    row: Row = {
        "decision_id": of["decision_id"],
        "horizon_days": horizon,
        "eval_date": day,
        "pnl": 10.0,
        "return": 0.01,
        "drawdown": -0.002,
        "risk_metrics": {},
        "label": None,
        "recorded_at": at(day, 22),
    }
    return changed(row, changes, "risk_metrics")


def regime(day: date, label: str | None = "CALM", *, region: str = "US", recorded_at: datetime | None = None) -> Row:
    """A regime label of the region, recorded in the morning of its day unless told otherwise."""
    return {"region": region, "as_of_date": day, "regime_label": label, "recorded_at": recorded_at or at(day, 6)}


def stability(day: date, score: float | None, *, entity: tuple[str, str] = ("MARKET", "US_EQ"), **changes: Any) -> Row:
    """A stability vector: 0 unstable, 1 stable."""
    return {**_entity_row(day, entity), "overall_score": score, **changes}


def fragility(day: date, score: float | None, *, entity: tuple[str, str] = ("MARKET", "US_EQ"), **changes: Any) -> Row:
    """A fragility measure in [0, 1]."""
    return {**_entity_row(day, entity), "fragility_score": score, **changes}


def soft_target(day: date, label: str | None, *, entity: tuple[str, str] = ("MARKET", "US_EQ"), **changes: Any) -> Row:
    """A soft-target class."""
    return {**_entity_row(day, entity), "soft_target_class": label, **changes}


def engine_run(day: date, region: str = "US", phase: str = "COMPLETED", **changes: Any) -> Row:
    """A regional engine run that ended at 22:00 UTC."""
    row = {
        "run_id": f"{region}-{day}",
        "as_of_date": day,
        "region": region,
        "phase": phase,
        "created_at": at(day),
        "updated_at": at(day, 22),
    }
    return {**row, **changes}


def insert(database: Database, **tables: Sequence[Row]) -> None:
    """Write rows into the stand-alone source tables in one transaction: `insert(db, engine_decisions=[...])`."""
    insert_rows(database, Role.UPSTREAM, "source", tables)


def insert_rows(database: Database, role: Role, schema: str, tables: Mapping[str, Sequence[Row]]) -> None:
    """Write rows, tables in the order given, in one transaction."""
    with database.connect(role) as connection:
        for table, rows in tables.items():
            for row in rows:
                connection.execute(_insert_statement(schema, table, row), [_stored(value) for value in row.values()])


def changed(row: Row, changes: Mapping[str, Any], json_column: str) -> Row:
    """The row with its changes; keys that are no column go into the JSON column."""
    columns = {key: value for key, value in changes.items() if key in row}
    inside = {key: value for key, value in changes.items() if key not in row}
    result = {**row, **columns}
    if inside:
        result[json_column] = {**(result[json_column] or {}), **inside}
    return result


def _insert_statement(schema: str, table: str, row: Row) -> sql.Composed:
    return sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(schema, table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join([sql.Placeholder()] * len(row)),
    )


def _stored(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict | list) else value


def _entity_row(day: date, entity: tuple[str, str]) -> Row:
    return {"entity_type": entity[0], "entity_id": entity[1], "as_of_date": day, "recorded_at": at(day, 6)}
