"""Outcome revisions as the source has them -> revisions of the contract, and what breaks it."""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

from kronos.core.conventions import LARGEST_HORIZON
from kronos.core.frames import OUTCOME_VALUES, OUTCOMES, conform
from kronos.sources.rules import WRONG_JSON_TYPE, Rule, breaches, broken_by_any, not_after, numbers, on, shown, within

TABLE: Final = "decision_outcomes"
_COUNTS: Final = ("hard_violations", "soft_violations")
_TRUTHS: Final = ("event", "hit")
_TEXT_NUMBERS: Final = (*_COUNTS, "turnover", "cost", "benchmark_return", "realised_vol", "loss")
_NUMBERS: Final = ("return", "pnl", "drawdown", *_TRUTHS, *_TEXT_NUMBERS)
_KEPT_WHEN_INVALID: Final = ("decision_id", "horizon", "recorded_at", "valid")


def checked_outcomes(raw: pl.DataFrame, parents: pl.DataFrame, today: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split the adapter's rows into OUTCOMES and QUARANTINE rows, one per broken rule.

    `parents` has decision_id, as_of_date and refused, one row per decision read. Outcomes of refused decisions and
    outcomes at an impossible horizon are left out; any other bad revision stays as an invalid one without values,
    because it hides the revisions before it. Within (decision, horizon) rows come in recording order.
    """
    df = _typed(raw).join(parents, on="decision_id", how="left", maintain_order="left")
    refused, standing = df.filter(pl.col("refused")), df.filter(~pl.col("refused"))
    rules = _rules(today)
    quarantine = pl.concat([breaches(refused, [REFUSED_RULE], TABLE, _key()), breaches(standing, rules, TABLE, _key())])
    kept = standing.filter(~broken_by_any([HORIZON_RULE])).with_columns(valid=~broken_by_any(rules))
    ordered = kept.sort("decision_id", "horizon", "recorded_at", "outcome_id", nulls_last=False, maintain_order=True)
    return conform(without_bad_values(ordered), OUTCOMES, "outcomes"), quarantine


def _typed(raw: pl.DataFrame) -> pl.DataFrame:
    truth = pl.col(_TRUTHS).replace({"true": "1", "false": "0"})
    return raw.with_columns(truth).with_columns(pl.col(*_TRUTHS, *_TEXT_NUMBERS).cast(pl.Float64, strict=False))


def without_bad_values(df: pl.DataFrame) -> pl.DataFrame:
    """The rows, emptied of everything but their key where they are not valid."""
    values = [column for column in OUTCOMES if column not in _KEPT_WHEN_INVALID]
    return df.with_columns(pl.when("valid").then(pl.col(column)).alias(column) for column in values).cast(
        {"horizon": pl.Int32, **{column: OUTCOME_VALUES[column] for column in _COUNTS}}
    )


def _key() -> pl.Expr:
    """`decision/horizon/recorded`, and `#outcome` where the source numbers its rows."""
    number = pl.format("/#{}", pl.col("outcome_id")).fill_null("")
    recorded = pl.col("recorded_at").dt.to_string("iso:strict").fill_null("")
    horizon = pl.col("horizon").cast(pl.String).fill_null("")
    return pl.concat_str(pl.col("decision_id"), pl.lit("/"), horizon, pl.lit("/"), recorded, number)


REFUSED_RULE: Final = Rule("DECISION_QUARANTINED", pl.col("refused"), shown("decision_id"))
HORIZON_RULE: Final = on(
    "horizon", "BAD_HORIZON", pl.col("horizon").is_null() | ~pl.col("horizon").is_between(1, LARGEST_HORIZON)
)


def _rules(today: date) -> list[Rule]:
    return [HORIZON_RULE, WRONG_JSON_TYPE, not_after("eval_date", today), *value_rules()]


def value_rules() -> list[Rule]:
    """What OUTCOMES beside their decision's as_of_date may say, whoever said it."""
    counted = [on(column, "NOT_A_COUNT", (pl.col(column) < 0) | (pl.col(column) % 1 != 0)) for column in _COUNTS]
    return [
        on("eval_date", "EVAL_BEFORE_DECISION", pl.col("eval_date") < pl.col("as_of_date")),
        *numbers(*_NUMBERS),
        *counted,
        within("event", 0.0, 1.0, "EVENT_RANGE"),
        on("hit", "HIT_VALUE", pl.col("hit").is_finite() & ~pl.col("hit").is_in([0.0, 0.5, 1.0])),
    ]
