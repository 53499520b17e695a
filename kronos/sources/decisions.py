"""Decisions as the source has them -> decisions of the contract, and what breaks it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Final

import polars as pl

from kronos.core.conventions import PROBABILITY_SUM_TOLERANCE
from kronos.core.frames import DECISIONS, conform
from kronos.core.vocabulary import UNKNOWN, Mode
from kronos.sources.rules import (
    WRONG_JSON_TYPE,
    Rule,
    breaches,
    broken_by_any,
    ids,
    not_after,
    numbers,
    on,
    plausible,
    required,
    stamped_by,
    within,
)

TABLE: Final = "engine_decisions"
_NUMBERS: Final = ("weight", "probability", "score", "expected_return")


def checked_decisions(raw: pl.DataFrame, markets: Iterable[str], today: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split the adapter's rows into valid DECISIONS and QUARANTINE rows, one per broken rule.

    A decision id on several rows is refused, unless the rows are equal in everything Kronos reads: then one counts.
    """
    df = _typed(_with_doubles(raw), markets)
    rules = _rules(today)
    valid = df.filter(~broken_by_any(rules)).sort("as_of_date", "decision_id")
    return conform(valid, DECISIONS, "decisions"), breaches(df, rules, TABLE, pl.col("decision_id"))


def _with_doubles(raw: pl.DataFrame) -> pl.DataFrame:
    """Mark the rows whose id another row has; of wholly equal rows the first stays unmarked."""
    single = raw.filter(pl.col("copies") == 1).with_columns(doubled=pl.lit(False))
    several = raw.filter(pl.col("copies") > 1)
    if several.is_empty():
        return single
    same = pl.struct(raw.columns)
    marked = several.with_columns(
        all_equal=(same.n_unique().over("decision_id") == 1) & (pl.len().over("decision_id") == pl.col("copies")),
        nth=pl.int_range(pl.len()).over("decision_id"),
    ).with_columns(doubled=~(pl.col("all_equal") & (pl.col("nth") == 0)))
    return pl.concat([single, marked.select(single.columns)])


def _typed(raw: pl.DataFrame, markets: Iterable[str]) -> pl.DataFrame:
    said = pl.col("market_id").replace("", None)
    return raw.with_columns(
        said.fill_null(_market_of_context(markets)).fill_null(UNKNOWN),
        pl.col("mode").fill_null(Mode.LIVE.value),
        pl.col("experiment_id").fill_null(""),
        pl.col(_NUMBERS).cast(pl.Float64, strict=False),
        _strings("classes"),
        _floats("class_probabilities"),
    )


def _market_of_context(markets: Iterable[str]) -> pl.Expr:
    """The known market in `{date}_{market or portfolio}_{...}`, else null; the longest name that fits wins."""
    names = "|".join(re.escape(market) for market in sorted(markets, key=len, reverse=True))
    if not names:
        return pl.lit(None, pl.String)
    return pl.col("context_id").str.extract(rf"^[^_]+_({names})(?:_|$)")


def _strings(column: str) -> pl.Expr:
    """A JSON array of strings; null where the adapter found another type."""
    sound = ~pl.col("wrong_types").str.contains(rf"\b{column}\b") & pl.col(column).str.starts_with("[")
    return pl.when(sound).then(pl.col(column)).str.json_decode(pl.List(pl.String)).alias(column)


def _floats(column: str) -> pl.Expr:
    """A JSON array of numbers in Postgres's own spelling; split rather than decoded, as 1e400 is a number there."""
    inside = pl.col(column).str.strip_chars("[]")
    parts = pl.when(inside != "").then(inside.str.split(", ")).when(inside == "").then(pl.lit([], pl.List(pl.String)))
    return parts.cast(pl.List(pl.Float64), strict=False).alias(column)


def _rules(today: date) -> list[Rule]:
    return [
        *required("decision_id", "decided_at", "engine_name", "config_id", "as_of_date"),
        *ids("engine_name", "config_id", "market_id", "experiment_id"),
        on("decision_id", "DUPLICATE_DECISION", pl.col("doubled")),
        WRONG_JSON_TYPE,
        plausible("as_of_date"),
        not_after("as_of_date", today),
        stamped_by("decided_at", today),
        on("mode", "UNKNOWN_MODE", ~pl.col("mode").is_in([mode.value for mode in Mode])),
        *value_rules(pl.col("wrong_types") == ""),
    ]


def value_rules(well_typed: pl.Expr) -> list[Rule]:
    """What DECISIONS may say, whoever said it; lists are looked at only where `well_typed`."""
    return [
        *numbers(*_NUMBERS),
        within("probability", 0.0, 1.0, "PROBABILITY_RANGE"),
        on("weight", "NEGATIVE_WEIGHT", pl.col("weight") < 0),
        *_class_rules(well_typed),
    ]


def _class_rules(well_typed: pl.Expr) -> list[Rule]:
    classes, chances = pl.col("classes"), pl.col("class_probabilities")
    text = pl.format("{} {}", classes.list.join(", ").fill_null("null"), _joined(chances))
    mismatch = (
        (classes.is_null() != chances.is_null())
        | (classes.list.len() != chances.list.len())
        | (classes.list.len() == 0)
        | (classes.list.n_unique() != classes.list.len())
    )
    outside = chances.list.eval(~pl.element().is_between(0.0, 1.0)).list.any()
    off = (chances.list.sum() - 1.0).abs() > PROBABILITY_SUM_TOLERANCE
    return [
        Rule("CLASSES_MISMATCH", well_typed & mismatch, text),
        Rule("PROBABILITY_RANGE", well_typed & outside, text),
        Rule("PROBABILITY_SUM", well_typed & off & (chances.list.len() > 0), text),
    ]


def _joined(numbers_list: pl.Expr) -> pl.Expr:
    return numbers_list.cast(pl.List(pl.String)).list.join(", ").fill_null("null")
