"""What upstream knew about each session besides its decisions: regimes, stability, fragility, soft targets, runs.

Every value comes from closes up to its own session. The rules are simple on purpose and independent of the engines,
which are judged against them. A few rows are recorded a session late (so the decision of that day could not know
them) or restated; markets have a row per session, instruments one every fifth session.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from kronos.core.chances import chances
from kronos.core.conventions import DEFAULT_SESSIONS_PER_YEAR
from kronos.core.frames import INSTANT
from kronos.core.policy import ObservationPolicy
from kronos.sandbox.features import drawdown, reference_volatility, volatility
from kronos.sandbox.markets import Floats, Indexes, Market, instants
from kronos.sandbox.rows import encoded
from kronos.settings import SANDBOX_START

RECORDED_AFTER_CLOSE = timedelta(minutes=15)
RUNS_COMPLETED_AFTER_CLOSE = timedelta(minutes=40)
INSTRUMENT_EVERY = 5

LATE = 3e-3
"""Share of context rows recorded after the next session's close."""

RESTATED = 2e-3
"""Share of regime rows whose first label was one class off and was put right five sessions later."""

REGIME_MODEL = "regime-rule-1"
REGIMES = ("CALM", "NORMAL", "STRESS", "CRISIS")
SOFT_TARGETS = ("STABLE", "WATCH", "BREAKABLE", "TARGETABLE")
_VOLATILITY_CUTS = (0.75, 1.3, 2.0)
_DRAWDOWN_CUTS = (-0.25, -0.12)


class Slice(NamedTuple):
    """Rows of one source table; `known_at` says when upstream had them, and is not a column of the table."""

    table: str
    rows: pl.DataFrame


def context_slices(markets: dict[str, Market], first: date, last: date) -> Iterator[Slice]:
    """Context of every market's sessions in [first, last], with `known_at`."""
    reference = markets["US_EQ"]
    days = reference.rows_between(first, last)
    yield Slice("regimes", _regimes(reference, days))
    yield Slice("engine_runs", _engine_runs(reference, days))
    for market in markets.values():
        rows = market.rows_between(first, last)
        yield from _conditions("MARKET", [market.market_id], market.benchmark[:, None], market, rows)
        every = rows[rows % INSTRUMENT_EVERY == 0]
        yield from _conditions("INSTRUMENT", list(market.instruments), market.prices, market, every)
        yield Slice("job_executions", _jobs(market, rows))


def models() -> Slice:
    """The one model upstream registered before its history begins."""
    row = {
        "model_id": REGIME_MODEL,
        "engine_name": "REGIME",
        "type": "RULE",
        "artifact_ref": "kronos.sandbox.context",
        "training_data_spec": '{"benchmark":"SP500","fitted":false}',
        "metrics": "{}",
        "created_by": "sandbox",
        "created_at": datetime(SANDBOX_START.year, 1, 1, tzinfo=UTC),
    }
    return Slice("models", pl.DataFrame([row]).with_columns(pl.col("created_at").cast(INSTANT).alias("known_at")))


def condition_scores(prices: Floats) -> tuple[Floats, Floats, Floats]:
    """Volatility relative to the usual one, stability (1 stable) and fragility (1 fragile) per session and column."""
    ratio = volatility(prices, 21) / reference_volatility(prices)
    depth = -drawdown(prices, 252)
    stability = 1.0 / (1.0 + ratio**2 + 2.0 * depth)
    fragility = 1.0 - np.exp(-(depth / 0.2 + np.maximum(ratio - 1.0, 0.0)))
    return ratio, np.round(stability, 6), np.round(fragility, 6)


def regime_positions(prices: Floats) -> Indexes:
    """Position in REGIMES per session: volatility first, a deep drawdown overrules it upwards. -1: not known yet."""
    ratio, _, _ = condition_scores(prices)
    by_volatility = np.searchsorted(_VOLATILITY_CUTS, ratio, side="right")
    fall = drawdown(prices, 252)
    by_drawdown = np.where(fall < _DRAWDOWN_CUTS[0], 3, np.where(fall < _DRAWDOWN_CUTS[1], 2, 0))
    return np.where(np.isnan(ratio), -1, np.maximum(by_volatility, by_drawdown))


def _regimes(market: Market, rows: Indexes) -> pl.DataFrame:
    positions = regime_positions(market.benchmark)
    rows = rows[positions[rows] >= 0]
    days = market.sessions[rows].astype(np.int64)
    restated = chances(days, 11) < RESTATED
    first = np.where(restated, np.abs(positions[rows] - 1), positions[rows])
    late = (chances(days, 12) < LATE).astype(np.int64)
    initial = _regime_rows(market, rows, first, late)
    corrected = _regime_rows(market, rows[restated], positions[rows][restated], np.full(restated.sum(), 5))
    return pl.concat([initial, corrected]).drop_nulls("recorded_at")


def _regime_rows(market: Market, rows: Indexes, positions: Indexes, delay: Indexes) -> pl.DataFrame:
    ratio = condition_scores(market.benchmark)[0][rows]
    df = pl.DataFrame(
        {
            "as_of_date": market.sessions[rows],
            "regime_label": pl.Series(np.array(REGIMES)[positions], dtype=pl.String),
            "confidence": np.round(0.5 + 0.5 * np.minimum(np.abs(np.log(ratio)), 1.0), 4),
            "volatility_ratio": np.round(ratio, 4),
            "recorded_at": _recorded(market, rows, delay),
        }
    )
    return df.with_columns(
        pl.lit(ObservationPolicy().market(market.market_id).region).alias("region"),
        pl.lit(REGIME_MODEL).alias("model_id"),
        pl.lit(None, dtype=pl.String).alias("embedding_vector_ref"),
        encoded(df, ("volatility_ratio",)).alias("metadata"),
        pl.col("recorded_at").alias("known_at"),
    ).drop("volatility_ratio")


def _conditions(kind: str, names: list[str], prices: Floats, market: Market, rows: Indexes) -> Iterator[Slice]:
    """Stability, fragility and soft-target rows of the entities in the columns of `prices`."""
    ratio, stability, fragility = (values[rows].ravel() for values in condition_scores(prices))
    risk = volatility(prices, 21)[rows].ravel()
    session = np.repeat(rows, len(names))
    late = chances(market.sessions[session].astype(np.int64), np.tile(np.arange(len(names)), len(rows)), 13) < LATE
    vulnerability = np.round((1.0 - stability + fragility) / 2.0, 6)
    target = np.searchsorted((0.35, 0.55, 0.75), vulnerability, side="right")
    df = pl.DataFrame(
        {
            "entity_id": pl.Series(names * len(rows), dtype=pl.String),
            "as_of_date": market.sessions[session],
            "recorded_at": _recorded(market, session, late.astype(np.int64)),
            "volatility_ratio": np.round(ratio, 4),
            "overall_score": stability,
            "fragility_score": fragility,
            "minus_two_sigma": np.round(-2.0 * risk / np.sqrt(DEFAULT_SESSIONS_PER_YEAR), 6),
            "soft_target_score": vulnerability,
            "soft_target_class": pl.Series(np.array(SOFT_TARGETS)[target], dtype=pl.String),
        }
    ).filter(pl.col("overall_score").is_not_nan(), pl.col("recorded_at").is_not_null())
    df = df.with_columns(pl.lit(kind).alias("entity_type"), pl.lit("{}").alias("metadata"))
    df = df.with_columns(pl.col("recorded_at").alias("known_at"))
    key = ("entity_type", "entity_id", "as_of_date", "metadata", "recorded_at", "known_at")
    components, losses = encoded(df, ("volatility_ratio",)), encoded(df, ("minus_two_sigma",))
    yield Slice("stability_vectors", df.select(*key, components.alias("vector_components"), "overall_score"))
    yield Slice("fragility_measures", df.select(*key, losses.alias("scenario_losses"), "fragility_score"))
    yield Slice("soft_target_classes", df.select(*key, "soft_target_class", "soft_target_score"))


def _recorded(market: Market, rows: Indexes, delay: Indexes) -> pl.Series:
    """The usual minutes after the close `delay` sessions later; null past the market's last close."""
    target = rows + delay
    last = len(market.sessions) - 1
    recorded = instants(market.closes_at[np.minimum(target, last)] + np.timedelta64(RECORDED_AFTER_CLOSE))
    return recorded.set(pl.Series(target > last), None)


def _engine_runs(market: Market, rows: Indexes) -> pl.DataFrame:
    region = ObservationPolicy().market(market.market_id).region
    df = pl.DataFrame({"as_of_date": market.sessions[rows], "close": instants(market.closes_at[rows])})
    return df.select(
        pl.concat_str(pl.col("as_of_date").dt.to_string(), pl.lit(f"_{region}")).alias("run_id"),
        "as_of_date",
        pl.lit(region).alias("region"),
        pl.lit("COMPLETED").alias("phase"),
        pl.lit(None, dtype=pl.String).alias("error"),
        (pl.col("close") + timedelta(minutes=1)).alias("created_at"),
        (pl.col("close") + RUNS_COMPLETED_AFTER_CLOSE).alias("updated_at"),
        (pl.col("close") + RUNS_COMPLETED_AFTER_CLOSE).alias("known_at"),
    )


def _jobs(market: Market, rows: Indexes) -> pl.DataFrame:
    """One run of the market's engines per session; a few needed a second attempt."""
    attempts = 1 + (chances(market.sessions[rows].astype(np.int64), 14) < LATE).astype(np.int64)
    df = pl.DataFrame({"as_of_date": market.sessions[rows], "close": instants(market.closes_at[rows])})
    name = f"{market.market_id}_engines"
    return df.select(
        pl.concat_str(pl.col("as_of_date").dt.to_string(), pl.lit(f"_{name}")).alias("execution_id"),
        pl.lit(name).alias("job_id"),
        pl.lit("ENGINES").alias("job_type"),
        pl.lit(f"{market.market_id}_daily").alias("dag_id"),
        pl.lit(market.market_id).alias("market_id"),
        "as_of_date",
        pl.lit("SUCCESS").alias("status"),
        (pl.col("close") + timedelta(minutes=16)).alias("started_at"),
        (pl.col("close") + timedelta(minutes=35)).alias("completed_at"),
        pl.Series("attempt_number", attempts),
        (pl.col("close") + timedelta(minutes=35)).alias("known_at"),
    )
