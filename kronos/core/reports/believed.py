"""Decision facts as they were believed on a date, one row per claim."""

from __future__ import annotations

from typing import Final

import polars as pl

from kronos.core.conventions import DECISION_HORIZON
from kronos.core.facts import facts_at, horizons_in
from kronos.core.frames import LONG_FACTS, REVISIONS, Schema
from kronos.core.reports.axis import Window
from kronos.core.reports.evidence import Evidence
from kronos.core.revisions import decision_claims, due_claims, outcome_claims

VALUES: Final = ("return", "pnl", "hit", "event", "hard_violations", "soft_violations")

LABELS: Final = (
    *("config_id", "market_id", "regime", "stability_bucket", "fragility_bucket", "soft_target_class"),
    *("entity_type", "entity_id", "portfolio_id", "strategy_id"),
)

BELIEVED: Final[Schema] = {
    **{name: REVISIONS[name] for name in ("as_of_date", *LABELS, "weight", *VALUES)},
    "is_decision": pl.Boolean,
    "is_due": pl.Boolean,
    "is_valid": pl.Boolean,
}
"""One row per claim: that a decision was made, that its outcome was due, that its outcome was this (values null
unless is_valid)."""


def believed(facts: pl.LazyFrame, superseded: pl.LazyFrame, held: Evidence, window: Window) -> pl.LazyFrame:
    """The claims (BELIEVED) about decisions of the window at the evidence's horizon that stood at the as-of date.

    facts: wide decision facts; superseded: frames.REVISIONS; both of the evidence's engine, mode and experiment. The
    claims add up to the cells that `window.known` keeps. A horizon that the facts do not hold has decisions only.
    """
    due = horizons_in(facts)
    long = facts_at(facts, held.horizon) if held.horizon in due else pl.LazyFrame(schema=LONG_FACTS)
    older = superseded.filter(pl.col("horizon").is_in([DECISION_HORIZON, held.horizon])).select(list(REVISIONS))
    claims = pl.concat([decision_claims(facts), due_claims(long), outcome_claims(long), older])
    stood = claims.filter(window.chosen(), _happened() <= (window.as_of or held.newest), _stood(window))
    flags = {
        "is_decision": pl.col("horizon") == DECISION_HORIZON,
        "is_due": pl.col("due_date").is_not_null(),
        "is_valid": pl.col("valid").fill_null(value=False),
    }
    return stood.with_columns(**flags).select(list(BELIEVED))


def _happened() -> pl.Expr:
    """The day a claim is about: of the decision, else of the evaluation."""
    decided = pl.when(pl.col("horizon") == DECISION_HORIZON).then("as_of_date")
    return decided.otherwise(pl.coalesce("due_date", "eval_date"))


def _stood(window: Window) -> pl.Expr:
    superseded = pl.col("superseded_date")
    if window.as_of is None:
        return superseded.is_null()
    known = pl.col("known_date") <= window.as_of
    return known & (superseded.is_null() | (superseded > window.as_of))
