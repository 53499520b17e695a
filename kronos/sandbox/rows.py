"""Decisions and outcomes as upstream's tables spell them; absent values are absent keys, never JSON nulls."""

from __future__ import annotations

import polars as pl

from kronos.core.policy import ObservationPolicy

_ACTION = (
    "market_id", "region", "portfolio_id", "entity_type", "entity_id", "mode", "experiment_id", "weight",
    "probability", "classes", "class_probabilities", "label", "score", "expected_return",
    "direction", "turnover", "members",
)  # fmt: skip
_RISK = (
    "event", "realised_class", "hit", "hard_violations", "soft_violations", "turnover", "cost",
    "benchmark_return", "realised_vol", "loss",
)  # fmt: skip


def decision_rows(decisions: pl.DataFrame) -> pl.DataFrame:
    """source.engine_decisions rows of one engine's SANDBOX_DECISIONS."""
    markets = ObservationPolicy().markets
    regions = {market_id: market.region for market_id, market in markets.items()}
    df = decisions.with_columns(
        pl.col("market_id").replace_strict(regions, return_dtype=pl.String).alias("region"),
        pl.col("experiment_id").replace("", None),
        pl.col("as_of_date").dt.to_string().alias("day"),
    )
    return df.select(
        "decision_id",
        pl.col("decided_at").alias("timestamp"),
        "engine_name",
        "config_id",
        pl.concat_str("day", "market_id", "config_id", separator="_").alias("context_id"),
        "as_of_date",
        pl.struct(pl.col("day").alias("prices_until")).struct.json_encode().alias("input_refs"),
        pl.lit(None, dtype=pl.String).alias("raw_input_summary"),
        encoded(df, _ACTION).alias("proposed_action"),
    )


def outcome_rows(outcomes: pl.DataFrame) -> pl.DataFrame:
    """source.decision_outcomes rows of one engine's OUTCOMES."""
    df = outcomes.with_columns(pl.col("event", "hit").cast(pl.Boolean))
    return df.select(
        "decision_id",
        pl.col("horizon").alias("horizon_days"),
        "eval_date",
        "pnl",
        "return",
        "drawdown",
        encoded(df, _RISK).alias("risk_metrics"),
        pl.lit(None, dtype=pl.String).alias("label"),
        "recorded_at",
    )


def encoded(df: pl.DataFrame, columns: tuple[str, ...]) -> pl.Expr:
    """One JSON object per row from the columns that hold anything."""
    present = [name for name in columns if df[name].null_count() < len(df)]
    return pl.struct(present).struct.json_encode() if present else pl.lit("{}")
