"""What every reference engine has in common: a strict parameter set and one pure function to decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict

from kronos.core.chances import chances
from kronos.core.frames import DECISIONS, Schema
from kronos.sandbox.markets import Floats, Indexes, Market
from kronos.sandbox.paths import PricePath

DECIMALS = 10
"""Decided numbers are rounded once, here, so that what is logged is what is evaluated."""

SANDBOX_DECISIONS: Final[Schema] = {
    **DECISIONS,
    "direction": pl.Int8,  # 1 long, -1 short; null when the engine only forecasts
    "turnover": pl.Float64,  # share of the book bought (or sold short) to open this position
    "members": pl.List(pl.String),  # instruments of a basket
}
"""The contract's decisions plus what is needed to work out their outcomes."""


class EngineConfig(BaseModel):
    """Parameters of one config; an unknown key or a value out of range is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""


@dataclass(frozen=True)
class Engine:
    """A reference engine: its parameter schema, its least number of instruments, and how it decides.

    `decide(config, market, rows, seed)` returns one column per decided value for the sessions at `rows`;
    row t may depend on the market's rows up to t only. `session` holds each decision's row.
    `evaluate(decisions, path)` returns one column per outcome value, in the order of the decisions.
    """

    name: str
    schema: type[EngineConfig]
    decide: Callable[[Any, Market, Indexes, int], dict[str, Any]]
    evaluate: Callable[[pl.DataFrame, PricePath], dict[str, Any]]
    entity_type: str
    min_instruments: int = 1


def rounded(values: Floats) -> Floats:
    """Values at the precision at which they are logged."""
    return np.round(values, DECIMALS)


def standard_noise(market: Market, seed: int, rows: Indexes | None = None) -> Floats:
    """Uniform noise in (-sqrt 3, sqrt 3), unit variance, fixed by seed, session date and instrument; rows None: all."""
    days = market.sessions[slice(None) if rows is None else rows].astype(np.int64)[:, None]
    columns = np.arange(len(market.instruments))[None, :]
    width = 2.0 * np.sqrt(3.0)
    noise: Floats = (chances(days + 0 * columns, columns + 0 * days, seed) - 0.5) * width
    return noise


def blurred(scores: Floats, share: float, market: Market, seed: int, rows: Indexes | None = None) -> Floats:
    """Cross-sectionally standardised scores with a share of their variance replaced by noise; rows None: all."""
    if share == 0.0:
        return scores
    blend: Floats = np.sqrt(1.0 - share) * scores + np.sqrt(share) * standard_noise(market, seed, rows)
    return blend


def standardised(scores: Floats) -> Floats:
    """Each row shifted to mean 0 and scaled to unit deviation; a single instrument keeps its sign."""
    if scores.shape[1] == 1:
        return np.asarray(np.sign(scores))
    centred = scores - scores.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    return np.asarray(np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0.0))


def ready(rows: Indexes, *features: Floats) -> Indexes:
    """The rows at which every feature is known."""
    known: npt.NDArray[np.bool_] = np.ones(len(rows), dtype=np.bool_)
    for feature in features:
        known &= ~np.isnan(feature[rows]).reshape(len(rows), -1).any(axis=1)
    return rows[known]
