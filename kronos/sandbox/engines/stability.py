"""STABILITY: the probability that a market breaks down over the horizon. It forecasts and earns nothing."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import polars as pl
from pydantic import Field
from scipy.special import ndtr

from kronos.core.conventions import DEFAULT_SESSIONS_PER_YEAR
from kronos.sandbox.engines.contract import Engine, EngineConfig, ready, rounded
from kronos.sandbox.features import momentum, reference_volatility, volatility
from kronos.sandbox.markets import Floats, Indexes, Market
from kronos.sandbox.paths import PricePath

BARRIER = 1.5
"""An instability event: a loss of this many usual standard deviations at some close within the horizon."""

BASE_RATE = 0.08
"""Long-run share of such events, what a forecaster without information would say."""


class StabilityConfig(EngineConfig):
    """Chance that a random walk with the forecast volatility touches the barrier."""

    window: Annotated[int, Field(ge=3, le=252, description="sessions of recent volatility")]
    sensitivity: Annotated[float, Field(gt=0, le=3, description="exponent of recent over usual volatility")]
    shrinkage: Annotated[float, Field(ge=0, le=1, description="pull towards the base rate")]
    trend_window: Annotated[int, Field(ge=5, le=252, description="sessions of the trend")] = 63
    trend_weight: Annotated[float, Field(ge=0, le=2, description="distance lost per usual deviation of decline")] = 0.0


def decide(config: StabilityConfig, market: Market, rows: Indexes, seed: int) -> dict[str, Any]:
    """Event probability for each session; `seed` is unused because nothing here is random."""
    usual, recent = reference_volatility(market.benchmark), volatility(market.benchmark, config.window)
    decline = -np.minimum(momentum(market.benchmark, config.trend_window, 0), 0.0)
    steps = decline / (usual * np.sqrt(config.trend_window / DEFAULT_SESSIONS_PER_YEAR))
    distance = BARRIER * (usual / recent) ** config.sensitivity - config.trend_weight * steps
    rows = ready(rows, distance)
    probability = event_probability(distance[rows], config.shrinkage)
    return {"session": rows, "probability": probability, "score": rounded(-distance[rows])}


def event_probability(distance: Floats, shrinkage: float) -> Floats:
    """Chance of touching a barrier so many deviations away, shrunk towards the base rate."""
    touched = np.clip(1.5 * ndtr(-distance), 0.0, 1.0)
    return rounded((1.0 - shrinkage) * touched + shrinkage * BASE_RATE)


def evaluate(decisions: pl.DataFrame, path: PricePath) -> dict[str, Any]:
    """Whether the event came."""
    leg, usual = path.benchmark(), reference_volatility(path.market.benchmark)[path.rows]
    barrier = -BARRIER * usual * np.sqrt(path.horizon / DEFAULT_SESSIONS_PER_YEAR)
    return {"event": (leg.worst <= barrier).astype(np.float64), "realised_vol": leg.realised_vol}


ENGINE = Engine("STABILITY", StabilityConfig, decide, evaluate, entity_type="MARKET")
