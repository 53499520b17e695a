"""Context rows (regimes, stability, fragility, soft targets) as the source has them -> contract frames."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from kronos.core.frames import FRAGILITY, REGIMES, SOFT_TARGETS, STABILITY, Schema, conform
from kronos.settings import RecordedBy
from kronos.sources.rules import Rule, breaches, broken_by_any, not_after, numbers, plausible, required, within


@dataclass(frozen=True)
class ContextKind:
    """One context table: its adapter, its name at the source, its contract and the value it carries."""

    adapter: str
    table: str
    schema: Schema
    value: str


REGIME: Final = ContextKind("regimes", "regimes", REGIMES, "regime")
KINDS: Final = (
    REGIME,
    ContextKind("stability", "stability_vectors", STABILITY, "stability_score"),
    ContextKind("fragility", "fragility_measures", FRAGILITY, "fragility_score"),
    ContextKind("soft_targets", "soft_target_classes", SOFT_TARGETS, "soft_target_class"),
)


def usable_contexts(raw: pl.DataFrame, kind: ContextKind, recorded_by: RecordedBy) -> pl.DataFrame:
    """The rows that keep the contract, in the kind's schema, by entity, day and recording."""
    sound = raw.filter(~broken_by_any(_rules(kind, recorded_by)))
    ordered = sound.sort("entity_type", "entity_id", "as_of_date", "recorded_at", kind.value)
    return conform(ordered.with_columns(region=pl.col("entity_id")), kind.schema, kind.adapter)


def context_breaches(raw: pl.DataFrame, kind: ContextKind, recorded_by: RecordedBy, today: date) -> pl.DataFrame:
    """QUARANTINE rows of context rows that break the contract; those are never used."""
    key = pl.concat_str("entity_type", "entity_id", "as_of_date", separator="/", ignore_nulls=True)
    rules = [*_rules(kind, recorded_by), plausible("as_of_date"), not_after("as_of_date", today)]
    return breaches(raw, rules, kind.table, key)


def _rules(kind: ContextKind, recorded_by: RecordedBy) -> list[Rule]:
    known = ["recorded_at"] if recorded_by is RecordedBy.RECORDED else []
    keys = required("entity_type", "entity_id", "as_of_date", *known, kind.value)
    if kind.schema[kind.value] != pl.Float64:
        return keys
    return [*keys, *numbers(kind.value), within(kind.value, 0.0, 1.0, "SCORE_RANGE")]
