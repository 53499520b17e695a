"""UNIVERSE: the basket of instruments a market's strategies may hold, one equally weighted basket per session."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from kronos.sandbox.engines.contract import Engine, EngineConfig, ready, rounded
from kronos.sandbox.features import drawdown, momentum, volatility
from kronos.sandbox.markets import Floats, Indexes, Market
from kronos.sandbox.paths import PricePath, net

DISTRESS = -0.6
"""An instrument this far below its yearly high is on the blacklist: holding it is a hard violation."""

VOLATILE = 0.6
"""A yearly volatility above this is a soft violation per member."""


class UniverseConfig(EngineConfig):
    """The best names by one criterion, chosen anew every so many sessions."""

    rank_by: Literal["low_volatility", "momentum", "high_volatility"]
    window: Annotated[int, Field(ge=5, le=504)]
    names: Annotated[int, Field(ge=1, le=20)]
    refresh_every: Annotated[int, Field(ge=1, le=63, description="sessions between selections")]
    avoid_distressed: bool = True


def decide(config: UniverseConfig, market: Market, rows: Indexes, seed: int) -> dict[str, Any]:
    """The basket of each session with the share of it that is new; `seed` is unused, nothing here is random.

    score: the mean of its members by the criterion, as of the day they were chosen.
    """
    scores = _scores(config, market)
    chosen = _selections(config, market, scores)
    first = int(np.argmax(~np.isnan(scores).any(axis=1)))
    rows = ready(rows, scores)
    day = _selection_day(rows, config, first)
    now, before = chosen[day], chosen[_selection_day(rows - 1, config, first)]
    fresh = (now & ~before).sum(axis=1) / np.maximum(now.sum(axis=1), 1)
    fresh[rows == first] = 1.0
    names = np.array(market.instruments)
    return {
        "session": rows,
        "direction": np.ones(len(rows), dtype=np.int8),
        "weight": np.ones(len(rows)),
        "turnover": rounded(fresh),
        "score": rounded(np.where(now, scores[day], 0.0).sum(axis=1) / np.maximum(now.sum(axis=1), 1)),
        "members": [names[mask].tolist() for mask in now],
    }


def _selection_day(rows: Indexes, config: UniverseConfig, first: int) -> Indexes:
    # sessions are counted from the market's own first one, so any range of dates meets the same schedule
    return np.asarray(np.maximum(rows - rows % config.refresh_every, first))


def _selections(config: UniverseConfig, market: Market, scores: Floats) -> npt.NDArray[np.bool_]:
    """For every session the mask of instruments that a selection made there would choose."""
    if config.avoid_distressed:
        # ranked behind all others rather than left out: a basket never shrinks
        scores = np.where(drawdown(market.prices, 252) < DISTRESS, scores - 1e6, scores)
    count = min(config.names, len(market.instruments))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    mask = np.zeros(scores.shape, dtype=np.bool_)
    np.put_along_axis(mask, order, True, axis=1)
    return mask


def _scores(config: UniverseConfig, market: Market) -> Floats:
    if config.rank_by == "momentum":
        return momentum(market.prices, config.window, 0)
    risk = volatility(market.prices, config.window)
    return -risk if config.rank_by == "low_volatility" else risk


def evaluate(decisions: pl.DataFrame, path: PricePath) -> dict[str, Any]:
    """The basket's return beside the benchmark's, and violations recomputed from its members."""
    members = _mask(decisions["members"], path.market)
    distressed = drawdown(path.market.prices, 252)[path.rows] < DISTRESS
    volatile = volatility(path.market.prices, 21)[path.rows] > VOLATILE
    turnover = decisions["turnover"].to_numpy()
    return {
        **net(path.baskets(members), decisions["weight"].to_numpy(), turnover, path.market.cost_rate),
        "benchmark_return": path.benchmark().gross,
        "hard_violations": (members * distressed).sum(axis=1),
        "soft_violations": (members * volatile).sum(axis=1),
    }


def _mask(members: pl.Series, market: Market) -> Floats:
    columns = [members.list.contains(name).to_numpy() for name in market.instruments]
    return np.stack(columns, axis=1).astype(np.float64)


ENGINE = Engine("UNIVERSE", UniverseConfig, decide, evaluate, entity_type="BASKET", min_instruments=5)
