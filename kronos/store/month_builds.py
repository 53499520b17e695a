"""Build records: from what each month of the lake was last built. The caller's transaction decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from kronos.store.queries import query

Session = psycopg.Connection[Any]


class Stage(StrEnum):
    """The two lake builds of a month."""

    FACTS = "facts"
    CELLS = "cells"


@dataclass(frozen=True)
class MonthBuild:
    """One month's last build; `lake` names the table versions it was written in."""

    month: str
    fingerprint: str
    definition: str
    lake: Mapping[str, str]
    horizons: Mapping[str, list[int]] = field(default_factory=dict)
    """Due horizons by config of the month."""


def builds(connection: Session, stage: Stage) -> dict[str, MonthBuild]:
    """The last build of every month that was ever built."""
    with connection.cursor(row_factory=class_row(MonthBuild)) as cursor:
        rows = cursor.execute(query("builds", "of_stage"), {"stage": stage.value}).fetchall()
    return {build.month: build for build in rows}


def lock_months(connection: Session, stage: Stage, months: Iterable[str]) -> None:
    """Wait for other builders of these months; held until the transaction ends, by a dead process not at all."""
    for month in sorted(months):
        connection.execute(query("builds", "lock_month"), {"stage": stage.value, "month": month})


def save_builds(connection: Session, stage: Stage, done: Iterable[MonthBuild]) -> None:
    """Record builds whose lake writes are complete."""
    rows = [
        {
            "stage": stage.value,
            "month": build.month,
            "fingerprint": build.fingerprint,
            "definition": build.definition,
            "lake": Jsonb(dict(build.lake)),
            "horizons": Jsonb(dict(build.horizons)),
        }
        for build in done
    ]
    with connection.cursor() as cursor:
        cursor.executemany(query("builds", "save"), rows)
