"""The trial ledger: every config ever evaluated for an engine and scope, once. It gives N, and forgets nothing.

Registering a config enters it in the same transaction, by a trigger. Nothing here commits: the caller's transaction
decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from kronos.core.canonical import canonical_json
from kronos.core.vocabulary import TrialFamily, TrialSource
from kronos.errors import BadValue
from kronos.store.engine_configs import EVERYWHERE
from kronos.store.queries import query

Session = psycopg.Connection[Any]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A config evaluated: by its body, else by its id, which counts as its body if it is registered here.

    scope: a market, or everywhere. horizon None: the engine's primary one; each further horizon is a further trial.
    slice: `<dimension>:<label>` that a proposal was mined from, only with the source MINED_SLICE.
    """

    engine_name: str
    source: TrialSource
    seen_at: datetime
    config_id: str | None = None
    config_body: Mapping[str, object] | None = None
    scope: str = EVERYWHERE
    family: TrialFamily = TrialFamily.REAL
    horizon: int | None = None
    slice: str | None = None

    def __post_init__(self) -> None:
        if self.config_id is None and self.config_body is None:
            raise BadValue("trial config", None, "a config id or body")
        if (self.source is TrialSource.MINED_SLICE) != (self.slice is not None):
            raise BadValue("trial slice", self.slice, f"a slice with {TrialSource.MINED_SLICE}, none otherwise")


@dataclass(frozen=True)
class TrialCount:
    """Distinct trials of an engine and scope. Controls are judged among `among_controls`; they never add to `real`."""

    real: int
    control: int

    @property
    def among_controls(self) -> int:
        """N for a control experiment: the real search's and the controls' own."""
        return self.real + self.control


@dataclass(frozen=True)
class TrialEntry:
    """A trial as the ledger holds it; canonical_hash is null when only the config's id was ever seen."""

    engine_name: str
    scope: str
    family: TrialFamily
    canonical_hash: str | None
    config_id: str | None
    horizon: int | None
    slice: str | None
    first_seen: datetime
    first_source: TrialSource


def record_trial(connection: Session, trial: Trial) -> bool:
    """Count a trial; False when it was counted before. Raises `BadValue` for a body that is no JSON."""
    body = trial.config_body
    values = {
        "engine_name": trial.engine_name,
        "scope": trial.scope,
        "family": trial.family,
        # what the ledger hashes is what it was given: numbers travel as text, not through a float
        "config_body": None if body is None else Jsonb(body, dumps=canonical_json),
        "config_id": trial.config_id,
        "first_source": trial.source,
        "first_seen": trial.seen_at,
        "horizon": trial.horizon,
        "slice": trial.slice,
    }
    with connection.cursor(row_factory=scalar_row) as cursor:
        return bool(cursor.execute(query("trials", "enter"), values).fetchone())


def enter_observed(connection: Session, seen: Sequence[tuple[str, str, datetime]]) -> None:
    """Count configs found in decisions, as (engine, config id, when first): a body-less one is known by its id."""
    engines, configs, instants = (list(column) for column in zip(*seen, strict=True)) if seen else ([], [], [])
    values = {"engine_names": engines, "config_ids": configs, "first_seen": instants}
    connection.execute(query("trials", "enter_observed"), values)


def identities(connection: Session, engine_name: str) -> dict[str, str]:
    """Which trial each registered config id is: ids of one body share theirs."""
    found = connection.execute(query("trials", "identities"), {"engine_name": engine_name})
    return dict(found.fetchall())


def count_trials(
    connection: Session, engine_name: str, scope: str = EVERYWHERE, as_of: datetime | None = None
) -> TrialCount:
    """Distinct trials known by an instant (None: ever).

    A market's are its own and those made everywhere; those of everywhere are all of the engine's.
    """
    values = {"engine_name": engine_name, "scope": scope, "as_of": as_of}
    with connection.cursor(row_factory=class_row(TrialCount)) as cursor:
        counted = cursor.execute(query("trials", "count"), values).fetchone()
    return counted or TrialCount(0, 0)


def list_trials(
    connection: Session, engine_name: str | None = None, family: TrialFamily = TrialFamily.REAL
) -> list[TrialEntry]:
    """The trials of one engine, or of all, in the order in which they were entered."""
    values = {"engine_name": engine_name, "family": family}
    with connection.cursor(row_factory=class_row(TrialEntry)) as cursor:
        return cursor.execute(query("trials", "list"), values).fetchall()
