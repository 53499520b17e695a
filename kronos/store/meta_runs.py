"""Requests for meta jobs, each claimed once, and the report periods the lake holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row

from kronos.core.scheduling.barrier import label_of
from kronos.store.database import Database, Role
from kronos.store.queries import query

Session = psycopg.Connection[Any]


@dataclass(frozen=True)
class Claim:
    """One period of one request: a partition key and the regions its results will miss."""

    period: str
    missing: tuple[str, ...]

    @property
    def label(self) -> str:
        """READY, or PARTIAL with the missing regions."""
        return label_of(self.missing)


@dataclass(frozen=True)
class ReportBuild:
    """One period of a report as the lake holds it; `inputs` names the cells it was computed from."""

    period: str
    engine_name: str
    label: str
    inputs: str


@contextmanager
def claiming(database: Database, cadence: str) -> Iterator[Session]:
    """A transaction in which nobody else claims periods of the cadence."""
    with database.connect() as session:
        session.execute(query("meta", "lock"), {"cadence": cadence})
        yield session


def requested(session: Session, cadence: str) -> dict[str, list[tuple[str, ...]]]:
    """Missing regions of every earlier request, by period."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for period, missing in session.execute(query("meta", "requested"), {"cadence": cadence}):
        found.setdefault(period, []).append(tuple(missing))
    return found


def claim(session: Session, cadence: str, request_key: str, claims: Iterable[Claim]) -> None:
    """Take the right to request these runs; the primary key refuses a second taker."""
    for entry in claims:
        values = {"cadence": cadence, "period": entry.period, "missing": list(entry.missing)}
        session.execute(query("meta", "claim"), values | {"request_key": request_key})


def retake(session: Session, cadence: str, lease: timedelta) -> list[tuple[str, list[Claim]]]:
    """Requests older than the lease of which no run started, by request key; leased to the caller from now on."""
    lost: dict[str, list[Claim]] = {}
    for key, period, missing in session.execute(query("meta", "retake"), {"cadence": cadence, "lease": lease}):
        lost.setdefault(key, []).append(Claim(period, tuple(missing)))
    return sorted(lost.items())


def latest_period(database: Database, cadence: str) -> str | None:
    """The last period ever requested."""
    with database.connect(Role.READER) as connection:
        row = connection.execute(query("meta", "latest_period"), {"cadence": cadence}).fetchone()
    return row[0] if row else None


def start(database: Database, cadence: str, periods: Sequence[str], run_id: str) -> None:
    """Note the run that works on these periods: their requests wait no longer."""
    with database.connect() as connection:
        connection.execute(query("meta", "start"), {"cadence": cadence, "periods": list(periods), "run_id": run_id})


def report_builds(database: Database, report: str) -> list[ReportBuild]:
    """Everything the lake holds of a report."""
    with database.connect(Role.READER) as connection, connection.cursor(row_factory=class_row(ReportBuild)) as cursor:
        return cursor.execute(query("meta", "builds"), {"report": report}).fetchall()


def record_builds(database: Database, report: str, written: Sequence[ReportBuild]) -> None:
    """Note periods that were written to the lake."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(query("meta", "record_build"), [vars(build) | {"report": report} for build in written])
