"""Prices that did not happen: for finding out what an engine looks at."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from kronos.core.backtests.spec import Altered
from kronos.core.chances import chances
from kronos.sandbox.markets import Floats, Indexes, Market

_SESSION_NOISE: Final = 0.03
"""Standard deviation of what is added to each log return: enough to change rankings, volatilities and trends."""


def altered_market(market: Market, altered: Altered) -> Market:
    """The market with noise on the returns of [altered.start, altered.end]; later returns are the real ones.

    A price series and a benchmark that are the same stay the same.
    """
    rows = market.rows_between(altered.start, altered.end)
    if not len(rows):
        return market
    single = len(market.instruments) == 1
    prices = _altered(market, market.prices, altered, np.arange(len(market.instruments)))
    benchmark = _altered(market, market.benchmark[:, None], altered, np.array([0 if single else prices.shape[1]]))
    return replace(market, prices=prices, benchmark=np.ascontiguousarray(benchmark[:, 0]))


def _altered(market: Market, prices: Floats, altered: Altered, columns: Indexes) -> Floats:
    """columns: what names each column in the draws."""
    rows = market.rows_between(altered.start, altered.end)
    days = market.sessions[rows].astype(np.int64)[:, None]
    uniform = chances(altered.seed, days + 0 * columns, columns + 0 * days)
    factors = np.ones_like(prices)
    factors[rows] = np.exp(np.cumsum((uniform - 0.5) * np.sqrt(12.0) * _SESSION_NOISE, axis=0))
    factors[rows[-1] + 1 :] = factors[rows[-1]]
    return np.ascontiguousarray(prices * factors)
