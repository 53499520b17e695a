"""Decision facts: one row per decision with what was known then and, per horizon, what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import polars as pl

from kronos.core.calendar import due_dates
from kronos.core.context import label_decisions
from kronos.core.frames import (
    DECISIONS,
    FACT_HORIZON,
    FACT_KEYS,
    LONG_FACTS,
    OUTCOME_VALUES,
    OUTCOMES,
    REVISIONS,
    Contexts,
    Schema,
    conform,
    empty,
    month_of,
)
from kronos.core.policy import ObservationPolicy
from kronos.errors import BadValue

FACT_ORDER: Final = (
    "as_of_date",
    "engine_name",
    "config_id",
    "market_id",
    "mode",
    "experiment_id",
    "decision_id",
)
"""Row order of facts: date ordered, equal for equal content."""

_BOOK: Final = ("engine_name", "config_id", "market_id", "as_of_date", "mode", "experiment_id")
_OUTCOME_PART: Final = ("eval_date", "known_date", "valid", *OUTCOME_VALUES)
_ROW: Final = "_row"
_REVISION_ORDER: Final = ("decision_id", "horizon", "due_date", "known_date", "superseded_date")


@dataclass(frozen=True)
class FactsBatch:
    """Facts as now believed (wide) and what was believed before (frames.REVISIONS)."""

    facts: pl.DataFrame
    superseded: pl.DataFrame


def build_facts(
    decisions: pl.DataFrame,
    outcomes: pl.DataFrame,
    contexts: Contexts,
    sessions: pl.DataFrame,
    horizons: pl.DataFrame,
    policy: ObservationPolicy,
    *,
    recorded: bool,
) -> FactsBatch:
    """Join decisions with their labels, weights, due dates and outcomes.

    decisions, outcomes, sessions: frames.DECISIONS, OUTCOMES, SESSIONS; any row order, except that revisions of
    one outcome recorded at the same instant stand in recording order.
    horizons: (engine_name, config_id, horizon) due for each config; those seen in `outcomes` are added.
    recorded: whether recording times decide what was known when; else the evaluation date alone does.
    The newest revision of an outcome is the fact; one that is invalid leaves the outcome missing. Older revisions
    that were visible on any day are in `superseded`, with due_date null: their decision stayed due.
    Raises `BadValue` for NaN, a wrong dtype or a calendar that ends too early.
    """
    decisions = _checked(decisions, DECISIONS, "decisions")
    outcomes = _checked(outcomes, OUTCOMES, "outcomes")
    # a row number joins several times as fast as the id
    keys = _keys(decisions, contexts, policy, recorded=recorded).with_row_index(_ROW)
    numbered = keys.select(_ROW, "decision_id", "decision_known_date")
    told = outcomes.join(numbered, on="decision_id").drop("decision_id")
    due = _due(keys, told, horizons, sessions)
    versions = _versions(told, due, recorded=recorded)
    current = versions.filter(pl.col("superseded_date").is_null())
    visible = versions.filter(pl.col("superseded_date") > pl.col("known_date"))
    return FactsBatch(_wide(keys, due, current), _revisions(visible, keys))


def horizons_in(facts: pl.DataFrame | pl.LazyFrame) -> list[int]:
    """Horizons a wide facts frame has columns for, rising."""
    names = facts.collect_schema().names()
    return sorted(int(name.removeprefix("due_date_h")) for name in names if name.startswith("due_date_h"))


def facts_schema(horizons: Iterable[int]) -> Schema:
    """Columns and dtypes of wide facts with these horizons."""
    repeated = {f"{name}_h{h}": dtype for h in sorted(horizons) for name, dtype in FACT_HORIZON.items()}
    return {**FACT_KEYS, **repeated}


def facts_at(facts: pl.LazyFrame, horizon: int) -> pl.LazyFrame:
    """The decisions due at one horizon, as frames.LONG_FACTS."""
    values = [pl.col(f"{name}_h{horizon}").alias(name) for name in FACT_HORIZON]
    rows = facts.filter(pl.col(f"due_date_h{horizon}").is_not_null())
    return rows.select(*FACT_KEYS, pl.lit(horizon, dtype=pl.Int32).alias("horizon"), *values)


def long_facts(facts: pl.LazyFrame) -> pl.LazyFrame:
    """One row per decision and due horizon, as frames.LONG_FACTS; empty when no horizon is due yet."""
    parts = [facts_at(facts, horizon) for horizon in horizons_in(facts)]
    return pl.concat(parts) if parts else pl.LazyFrame(schema=LONG_FACTS)


def sort_revisions(df: pl.DataFrame) -> pl.DataFrame:
    """Revisions in their one row order."""
    return df.sort(_REVISION_ORDER, nulls_last=True)


def _checked(df: pl.DataFrame, schema: Schema, name: str) -> pl.DataFrame:
    df = conform(df, schema, name)
    floats = [column for column, dtype in schema.items() if dtype == pl.Float64]
    for column in floats:
        if not df[column].is_finite().all():
            raise BadValue(f"frame {name}.{column}", "NaN or infinity", "finite numbers, null where missing")
    return df


def _keys(decisions: pl.DataFrame, contexts: Contexts, policy: ObservationPolicy, *, recorded: bool) -> pl.DataFrame:
    """FACT_KEYS of the decisions: labelled, weighted, in row order."""
    decided = pl.col("decided_at").dt.date() if recorded else pl.lit(None, dtype=pl.Date)
    return (
        label_decisions(decisions, contexts, policy, recorded=recorded)
        .with_columns(
            month=month_of(),
            weight=pl.col("weight").fill_null(1.0 / pl.len().over(_BOOK)),
            decision_known_date=pl.max_horizontal("as_of_date", decided),
        )
        .select(list(FACT_KEYS))
        .sort(FACT_ORDER)
    )


def _due(keys: pl.DataFrame, told: pl.DataFrame, horizons: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """(row, horizon, due_date) of every decision at every horizon of its config."""
    config = ["engine_name", "config_id"]
    seen = keys.select(_ROW, *config).join(told.select(_ROW, "horizon"), on=_ROW)
    known = pl.concat([horizons.select(*config, pl.col("horizon").cast(pl.Int32)), seen.select(*config, "horizon")])
    wanted = keys.select(_ROW, "market_id", "as_of_date", *config).join(known.unique(), on=config)
    dates = due_dates(wanted, sessions)
    return wanted.join(dates, on=["market_id", "as_of_date", "horizon"]).select(_ROW, "horizon", "due_date")


def _versions(told: pl.DataFrame, due: pl.DataFrame, *, recorded: bool) -> pl.DataFrame:
    """Outcome revisions with eval_date, known_date and superseded_date (null: the newest of its key).

    A revision holds from its recording to that of the next one; what it says is visible from its evaluation date.
    """
    key = [_ROW, "horizon"]
    ordered = told.join(due, on=key).sort(*key, "recorded_at", maintain_order=True)
    recording = pl.col("recorded_at").dt.date() if recorded else pl.lit(None, dtype=pl.Date)
    last = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(-1)) for name in key)
    df = ordered.with_columns(
        pl.col("valid").fill_null(value=False),
        eval_date=pl.coalesce("eval_date", "due_date"),
        _recorded=recording,
        _last=last,
    )
    df = df.with_columns(known_date=pl.max_horizontal("eval_date", "_recorded", "decision_known_date"))
    replaced = pl.max_horizontal("known_date", pl.col("_recorded").shift(-1))
    values = [pl.when("valid").then(pl.col(name)).alias(name) for name in OUTCOME_VALUES]
    return df.with_columns(*values, superseded_date=pl.when(~pl.col("_last")).then(replaced)).select(
        *key, *_OUTCOME_PART, "superseded_date"
    )


def _wide(keys: pl.DataFrame, due: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    horizons = due["horizon"].unique().sort().to_list()
    long = due.join(current, on=[_ROW, "horizon"], how="left")
    for horizon in horizons:
        names = {name: f"{name}_h{horizon}" for name in FACT_HORIZON}
        part = long.filter(pl.col("horizon") == horizon).select(_ROW, *FACT_HORIZON).rename(names)
        keys = keys.join(part, on=_ROW, how="left", maintain_order="left")
    return conform(keys, facts_schema(horizons), "decision_facts")


def _revisions(versions: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    if versions.is_empty():
        return empty(REVISIONS)
    df = versions.join(keys, on=_ROW).with_columns(due_date=pl.lit(None, dtype=pl.Date))
    return sort_revisions(conform(df, REVISIONS, "superseded_facts"))
