"""PORTFOLIO: the weights of a market's book, one decision per instrument held and session.

Between rebalances the book is left alone and its weights drift with the prices. Turnover is what is bought (or sold
short) to open or enlarge a position; its cost covers the way out too, so a position that is gone needs no row.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from kronos.sandbox.engines.contract import Engine, EngineConfig, blurred, rounded, standardised
from kronos.sandbox.features import momentum_at, volatility_at
from kronos.sandbox.markets import Floats, Indexes, Market
from kronos.sandbox.paths import PricePath, instrument_columns, net

VOLATILITY_TARGET = 0.15
"""Yearly volatility a single-instrument book is scaled down to by the inverse-volatility style."""

LEAST_RISK = 0.10
"""Yearly volatility below which a name is not sized up further: a price that hardly moves is hardly quoted."""

HELD = 1e-9


class PortfolioConfig(EngineConfig):
    """How names are ranked, sized and traded."""

    style: Literal["momentum", "reversal", "inverse_volatility"]
    lookback: Annotated[int, Field(ge=2, le=504)]
    skip: Annotated[int, Field(ge=0, le=63, description="latest sessions left out of the signal")] = 0
    names: Annotated[int, Field(ge=1, le=20)]
    rebalance_every: Annotated[int, Field(ge=1, le=126, description="sessions between rebalances")]
    gross: Annotated[float, Field(gt=0, le=4, description="sum of absolute weights at a rebalance")] = 1.0
    long_short: bool = False
    signal_lag: Annotated[int, Field(ge=0, le=63, description="sessions by which the signal is stale")] = 0
    churn: Annotated[float, Field(ge=0, le=1, description="share needlessly sold and rebought each session")] = 0.0
    noise: Annotated[float, Field(ge=0, le=1, description="share of the score's variance that is noise")] = 0.0

    @model_validator(mode="after")
    def _skip_is_shorter(self) -> PortfolioConfig:
        if self.skip >= self.lookback:
            raise ValueError(f"skip has value {self.skip}: expected less than lookback {self.lookback}")
        return self


def decide(config: PortfolioConfig, market: Market, rows: Indexes, seed: int) -> dict[str, Any]:
    """The book held after each session's close: one row per instrument with a weight."""
    book, bought = _book(config, market, seed)
    position, instrument = np.nonzero(np.abs(book[rows]) > HELD)
    session = rows[position]
    held = book[session, instrument]
    return {
        "session": session,
        "instrument": instrument,
        "direction": np.sign(held),
        "weight": rounded(np.abs(held)),
        "turnover": rounded(bought[session, instrument]),
    }


def targets(config: PortfolioConfig, market: Market, seed: int, rows: Indexes) -> Floats:
    """Signed weights that rebalances at `rows`, each at least `warm(config)`, aim for."""
    told = rows - config.signal_lag
    risk = volatility_at(market, _window(config), told)
    if config.style == "inverse_volatility":
        scores = -risk
    else:
        sign = 1.0 if config.style == "momentum" else -1.0
        scores = sign * momentum_at(market.prices, config.lookback, config.skip, told) / risk
    if config.noise or scores.shape[1] == 1:  # else nothing but their order counts
        scores = blurred(standardised(scores), config.noise, market, seed, told)
    return _sized(config, scores, risk)


def warm(config: PortfolioConfig) -> int:
    """The first row at which the signal is known."""
    return _window(config) + config.signal_lag


def _window(config: PortfolioConfig) -> int:
    return max(config.lookback, 21)


def _sized(config: PortfolioConfig, scores: Floats, risk: Floats) -> Floats:
    inverse = config.style == "inverse_volatility"
    if scores.shape[1] == 1:
        size = np.minimum(1.0, VOLATILITY_TARGET / risk) if inverse else scores
        return np.asarray(config.gross * (size if config.long_short else np.maximum(size, 0.0)))
    width = scores.shape[1]
    count = min(config.names, width)
    order = np.argsort(-scores, axis=1, kind="stable")
    order += np.arange(0, scores.size, width)[:, None]
    raw = np.zeros(scores.shape)
    short = count // 2 if config.long_short else 0
    raw.ravel()[order[:, : count - short]] = 1.0
    raw.ravel()[order[:, width - short :]] = -1.0
    if inverse:
        raw = raw / np.maximum(risk, LEAST_RISK)
    return np.asarray(config.gross * raw / np.abs(raw).sum(axis=1, keepdims=True))


def wealth(config: PortfolioConfig, market: Market, seed: int) -> Floats:
    """What 1 invested before the first session has become after each close, before costs; no decision is made a row.

    The book is the one `decide` holds; one that loses more than all it has is past its end, its numbers mean nothing.
    """
    prices, every = market.prices, config.rebalance_every
    rows = _rebalances(config, len(prices))
    worth = np.ones(len(prices))
    if not len(rows):
        return worth
    aims = targets(config, market, seed, rows)
    shares, cash = aims / prices[rows], 1.0 - aims.sum(axis=1)
    grown = cash[:-1] + np.einsum("ri,ri->r", shares[:-1], prices[rows[1:]])
    capital = np.append(1.0, np.cumprod(grown))
    # stretches between rebalances are equally long but for the first and last, which are parts of such
    begin, whole = rows[0] // every, len(prices) // every
    stretches = prices[begin * every : whole * every].reshape(-1, every, prices.shape[1])
    held = np.matmul(stretches, shares[: len(stretches), :, None]).ravel()
    held = np.append(held, prices[whole * every :] @ shares[-1])[rows[0] - begin * every :]
    lasting = np.diff(rows, append=len(prices))
    worth[rows[0] :] = np.repeat(capital, lasting) * (held + np.repeat(cash, lasting))
    return worth


def _rebalances(config: PortfolioConfig, sessions: int) -> Indexes:
    """Rows of the rebalances; sessions are counted from the first, so any range of dates meets the same schedule."""
    first, every = warm(config), config.rebalance_every
    return np.append(first, np.arange(first - first % every + every, sessions, every))[
        : None if first < sessions else 0
    ]


def _book(config: PortfolioConfig, market: Market, seed: int) -> tuple[Floats, Floats]:
    """Weights held after each close and what was bought there."""
    prices = market.prices
    rows = _rebalances(config, len(prices))
    if not len(rows):
        return np.zeros_like(prices), np.zeros_like(prices)
    aims, first = targets(config, market, seed, rows), rows[0]
    sessions = np.arange(len(prices))
    block = np.maximum(np.searchsorted(rows, sessions, side="right") - 1, 0)
    book = _drifted(aims, prices, rows, block, sessions)
    arriving = np.zeros_like(book)
    arriving[1:] = _drifted(aims, prices, rows, block[:-1], sessions[1:])
    book[:first] = arriving[: first + 1] = 0.0
    kept = np.where(np.sign(arriving) == np.sign(book), np.abs(arriving), 0.0)
    bought = np.zeros_like(book)
    bought[rows] = np.maximum(np.abs(book) - kept, 0.0)[rows]
    return book, bought + config.churn * np.abs(book)


def _drifted(aims: Floats, prices: Floats, rows: Indexes, block: Indexes, sessions: Indexes) -> Floats:
    """Weights at `sessions` of the book that was rebalanced at `rows[block]` and then left alone."""
    aimed = aims[block]
    value = aimed * prices[sessions] / prices[rows[block]]
    capital = 1.0 + (value - aimed).sum(axis=1, keepdims=True)
    # a levered book that has lost nearly everything keeps finite weights
    return np.asarray(value / np.maximum(capital, 0.05))


def evaluate(decisions: pl.DataFrame, path: PricePath) -> dict[str, Any]:
    """Each position's own return net of costs, and violations recomputed from the weights."""
    leg = path.instruments(instrument_columns(decisions, path.market), decisions["direction"].to_numpy())
    weight, turnover, limits = decisions["weight"].to_numpy(), decisions["turnover"].to_numpy(), path.market.limits
    gross = decisions.select(pl.col("weight").sum().over("config_id", "as_of_date")).to_series().to_numpy()
    hard = (weight > limits.hard_weight).astype(np.int64) + (gross > limits.hard_gross)
    soft = (weight > limits.soft_weight).astype(np.int64) + (gross > limits.soft_gross)
    return {
        **net(leg, weight, turnover, path.market.cost_rate),
        "hard_violations": hard,
        "soft_violations": soft - hard,
    }


ENGINE = Engine("PORTFOLIO", PortfolioConfig, decide, evaluate, entity_type="INSTRUMENT")
