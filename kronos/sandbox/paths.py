"""What happened after a decision: the closes from entry to evaluation, summed up per instrument."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from kronos.core.conventions import DEFAULT_SESSIONS_PER_YEAR
from kronos.sandbox.markets import Floats, Indexes, Market

NOTIONAL = 1_000_000.0
"""Capital of every sandbox book, in the market's currency."""


@dataclass(frozen=True)
class Leg:
    """Outcome of holding one thing per row, before costs."""

    gross: Floats
    drawdown: Floats
    worst: Floats
    """Lowest point of the path relative to entry, at most 0."""
    realised_vol: Floats


@dataclass(frozen=True)
class PricePath:
    """The closes of one market from `rows` to `horizon` sessions later; every row has its evaluation."""

    market: Market
    rows: Indexes
    horizon: int

    def instruments(self, column: Indexes, direction: Indexes) -> Leg:
        """One instrument per row, long (1) or short (-1)."""
        return self._leg(self._relative(self.market.prices, column), direction)

    def baskets(self, members: Floats) -> Leg:
        """An equally weighted, untouched basket per row; `members` is a (row, instrument) mask of 0 and 1."""
        shares = members / members.sum(axis=1, keepdims=True)
        wealth = np.einsum("ri,rih->rh", shares, self._relative(self.market.prices))
        return self._leg(wealth, np.ones(len(self.rows), dtype=np.int64))

    def benchmark(self) -> Leg:
        """The market's benchmark, long."""
        return self._leg(self._relative(self.market.benchmark), np.ones(len(self.rows), dtype=np.int64))

    def _relative(self, prices: Floats, column: Indexes | None = None) -> Floats:
        """Closes from entry to evaluation over the entry's, last axis in time; of all columns or of one per row."""
        every = np.lib.stride_tricks.sliding_window_view(prices, self.horizon + 1, axis=0)
        windows = every[self.rows] if column is None else every[self.rows, column]
        return np.asarray(windows / windows[..., :1])

    def _leg(self, relative: Floats, direction: Indexes) -> Leg:
        wealth = 1.0 + direction[:, None] * (relative - 1.0)
        steps = relative[:, 1:] / relative[:, :-1] - 1.0
        return Leg(
            gross=wealth[:, -1] - 1.0,
            drawdown=(wealth / np.maximum.accumulate(wealth, axis=1) - 1.0).min(axis=1),
            worst=wealth.min(axis=1) - 1.0,
            realised_vol=np.sqrt((steps**2).sum(axis=1) * DEFAULT_SESSIONS_PER_YEAR / self.horizon),
        )


def net(leg: Leg, weight: Floats, turnover: Floats, cost_rate: float) -> dict[str, Floats]:
    """Return after costs, P&L and costs of a position; opening costs the way in and, paid ahead, the way out.

    `cost` and `turnover` are shares of the book, so they add up over its positions.
    """
    cost = 2.0 * cost_rate * turnover
    result = leg.gross - cost / weight
    return {
        "return": result,
        "pnl": NOTIONAL * weight * result,
        "drawdown": leg.drawdown,
        "turnover": turnover,
        "cost": cost,
        "realised_vol": leg.realised_vol,
    }


def instrument_columns(decisions: pl.DataFrame, market: Market) -> Indexes:
    """Column of each decision's instrument in the market's prices."""
    places = dict(zip(market.instruments, range(len(market.instruments)), strict=True))
    return decisions["entity_id"].replace_strict(places, return_dtype=pl.Int64).to_numpy()
