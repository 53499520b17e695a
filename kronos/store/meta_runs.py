"""Requests for meta jobs, each claimed once, and the report periods the lake holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from kronos.core import frames
from kronos.store.database import Database, Role
from kronos.store.queries import query

_BUILDS: frames.Schema = {"period": pl.String, "engine_name": pl.String, "label": pl.String, "built_at": frames.INSTANT}


@dataclass(frozen=True)
class Claim:
    """One period of one request: a partition key and the regions its results will miss."""

    period: str
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Build:
    """One period of a report, as written to the lake."""

    period: str
    label: str
    engine_name: str = ""


def requests(database: Database, cadence: str, since: str) -> dict[str, list[tuple[str, ...]]]:
    """Missing regions of every earlier request, by period, from the partition key `since` on."""
    found: dict[str, list[tuple[str, ...]]] = {}
    with database.connect(Role.READER) as connection:
        for period, missing in connection.execute(query("meta", "requests"), {"cadence": cadence, "since": since}):
            found.setdefault(period, []).append(tuple(missing))
    return found


def latest_period(database: Database, cadence: str) -> str | None:
    """The last period ever requested."""
    with database.connect(Role.READER) as connection:
        row = connection.execute(query("meta", "latest_period"), {"cadence": cadence}).fetchone()
    return row[0] if row else None


def claim(database: Database, cadence: str, request_key: str, claims: Sequence[Claim]) -> list[Claim]:
    """Take the right to request these runs; those another sensor has taken already are left out of the answer."""
    won = []
    with database.connect() as connection:
        for entry in sorted(claims, key=lambda entry: (entry.period, entry.missing)):
            values = {"cadence": cadence, "period": entry.period, "missing": list(entry.missing)}
            if connection.execute(query("meta", "claim"), values | {"request_key": request_key}).fetchone():
                won.append(entry)
    return won


def retake(database: Database, cadence: str, lease: timedelta) -> dict[str, list[Claim]]:
    """Requests older than the lease of which no run started, by request key, now leased to the caller."""
    lost: dict[str, list[Claim]] = {}
    with database.connect() as connection:
        for key, period, missing in connection.execute(query("meta", "retake"), {"cadence": cadence, "lease": lease}):
            lost.setdefault(key, []).append(Claim(period, tuple(missing)))
    return lost


def start(database: Database, request_key: str, run_id: str) -> None:
    """Note the run that works on a request."""
    with database.connect() as connection:
        connection.execute(query("meta", "start"), {"request_key": request_key, "run_id": run_id})


def builds(database: Database, report: str) -> pl.DataFrame:
    """Period, engine_name, label and built_at of everything the lake holds of a report."""
    with database.connect(Role.READER) as connection:
        rows = connection.execute(query("meta", "builds"), {"report": report}).fetchall()
    return pl.DataFrame(rows, schema=_BUILDS, orient="row")


def record_builds(database: Database, report: str, written: Iterable[Build]) -> None:
    """Note periods that were written to the lake."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(
            query("meta", "record_build"),
            [{"report": report, "period": b.period, "engine_name": b.engine_name, "label": b.label} for b in written],
        )
