"""REGIME: which of four volatility regimes a market will live through next. It forecasts and earns nothing."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import polars as pl
from pydantic import Field
from scipy.special import ndtr

from kronos.sandbox.engines.contract import Engine, EngineConfig, ready, rounded
from kronos.sandbox.features import drawdown, reference_volatility, volatility
from kronos.sandbox.markets import Floats, Indexes, Market
from kronos.sandbox.paths import PricePath

CLASSES = ("CALM", "NORMAL", "STRESS", "CRISIS")
"""Ordered: each lies above the one before it in realised over usual volatility."""

CUTS = (0.6, 1.2, 2.0)
"""Volatility relative to the market's usual one at which the next class begins."""


CRASH = -0.12
"""A drawdown this deep within the horizon is a crisis whatever the volatility."""


class RegimeConfig(EngineConfig):
    """Volatility forecast in logs, with a normal error around it."""

    window: Annotated[int, Field(ge=3, le=252, description="sessions of recent volatility")]
    persistence: Annotated[float, Field(ge=0, le=1, description="weight of recent against usual volatility")]
    dispersion: Annotated[float, Field(gt=0, le=3, description="standard error of the log forecast")]
    drawdown_weight: Annotated[float, Field(ge=0, le=10, description="log volatility added per unit of drawdown")] = 0.0


def decide(config: RegimeConfig, market: Market, rows: Indexes, seed: int) -> dict[str, Any]:
    """Class probabilities for each session; `seed` is unused because nothing here is random."""
    usual, recent = reference_volatility(market.benchmark), volatility(market.benchmark, config.window)
    forecast = np.sqrt(config.persistence * recent**2 + (1.0 - config.persistence) * usual**2)
    score = np.log(forecast / usual) - config.drawdown_weight * drawdown(market.benchmark, 252)
    rows = ready(rows, score)
    probabilities = class_probabilities(score[rows], config.dispersion)
    best = probabilities.argmax(axis=1)
    return {
        "session": rows,
        "classes": [list(CLASSES)] * len(rows),
        "class_probabilities": probabilities,
        "label": np.array(CLASSES)[best],
        "score": rounded(score[rows]),
    }


def class_probabilities(score: Floats, dispersion: float) -> Floats:
    """Probability of each class when the log volatility ratio is normal around `score`; rows sum to 1."""
    cumulative = ndtr((np.log(CUTS)[None, :] - score[:, None]) / dispersion)
    edges = np.concatenate([np.zeros((len(score), 1)), cumulative, np.ones((len(score), 1))], axis=1)
    return rounded(np.diff(edges, axis=1))


def evaluate(decisions: pl.DataFrame, path: PricePath) -> dict[str, Any]:
    """The class that was lived through, and how many classes the label was away from it (as a share of the most)."""
    leg, usual = path.benchmark(), reference_volatility(path.market.benchmark)[path.rows]
    realised = np.searchsorted(CUTS, leg.realised_vol / usual, side="right")
    realised = np.where(leg.drawdown <= CRASH, len(CLASSES) - 1, realised)
    predicted = decisions["label"].replace_strict(CLASSES, range(len(CLASSES)), return_dtype=pl.Int64).to_numpy()
    return {
        "realised_class": np.array(CLASSES)[realised],
        "hit": (predicted == realised).astype(np.float64),
        "loss": np.abs(predicted - realised) / (len(CLASSES) - 1),
        "realised_vol": leg.realised_vol,
    }


ENGINE = Engine("REGIME", RegimeConfig, decide, evaluate, entity_type="MARKET")
