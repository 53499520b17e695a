"""When context rows were first seen, for sources that do not say when they recorded them.

A sighting is one value of one entity and date with the time Kronos first saw it. Values that upstream overwrites stay:
they were what could be known until the new one was seen.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from kronos.core.frames import (
    FRAGILITY,
    INSTANT,
    REGIMES,
    SIGHTINGS,
    SOFT_TARGETS,
    STABILITY,
    Contexts,
    Schema,
    conform,
    month_of,
)

_KEY: Final = ("kind", "entity_type", "entity_id", "as_of_date")
_REGION: Final = "REGION"
_KINDS: Final[dict[str, tuple[Schema, str]]] = {
    "regimes": (REGIMES, "regime"),
    "stability": (STABILITY, "stability_score"),
    "fragility": (FRAGILITY, "fragility_score"),
    "soft_targets": (SOFT_TARGETS, "soft_target_class"),
}
"""Fields of Contexts with their contract and value."""


def told_now(contexts: Contexts) -> pl.DataFrame:
    """What a source says of each entity and date, of several rows the last: _KEY and value as text."""
    said = pl.concat(_as_text(kind, getattr(contexts, kind)) for kind in _KINDS)
    return said.unique(_KEY, keep="last", maintain_order=True)


def new_sightings(known: pl.DataFrame, told: pl.DataFrame, seen_at: datetime | None) -> pl.DataFrame:
    """SIGHTINGS of what is told and is not the last known value of its entity and date.

    known: SIGHTINGS in the order they were made. seen_at None: the rows were there before anyone looked, and count as
    known from their as_of_date on.
    """
    newest = known.sort("first_seen", maintain_order=True).unique(_KEY, keep="last", maintain_order=True)
    fresh = told.join(newest, on=[*_KEY, "value"], how="anti", maintain_order="left")
    dated = fresh.with_columns(month=month_of(), first_seen=pl.lit(seen_at, dtype=INSTANT))
    return conform(dated, SIGHTINGS, "context_sightings")


def sighted_contexts(sightings: pl.DataFrame) -> Contexts:
    """Sightings as contexts whose recording time is when they were first seen."""
    return Contexts(*(_as_context(sightings.filter(kind=kind), *held) for kind, held in _KINDS.items()))


def _as_text(kind: str, rows: pl.DataFrame) -> pl.DataFrame:
    if kind == "regimes":
        rows = rows.with_columns(entity_type=pl.lit(_REGION), entity_id="region")
    value = pl.col(_KINDS[kind][1]).cast(pl.String).alias("value")
    return rows.select(pl.lit(kind).alias("kind"), "entity_type", "entity_id", "as_of_date", value)


def _as_context(rows: pl.DataFrame, schema: Schema, value: str) -> pl.DataFrame:
    named = rows.with_columns(
        pl.col("value").cast(schema[value]).alias(value),
        region=pl.col("entity_id"),
        recorded_at=pl.col("first_seen"),
    )
    return conform(named, schema, "sighted contexts")
