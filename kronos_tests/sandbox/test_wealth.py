"""The wealth of a book without its rows against the rows themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from kronos.sandbox.engines import decide, evaluate
from kronos.sandbox.engines.portfolio import PortfolioConfig, warm, wealth
from kronos.sandbox.markets import Floats, Market, load_markets

US_EQ = load_markets()["US_EQ"].until(date(1993, 12, 31))
BASE: dict[str, Any] = {"style": "momentum", "lookback": 60, "names": 6, "rebalance_every": 21}


def by_rows(body: dict[str, Any], market: Market) -> list[float]:
    """What 1 becomes by the outcomes, one session ahead, of the decisions of each day."""
    first, last = market.sessions[[0, -1]].astype(object)
    decisions = decide("PORTFOLIO", body, market, first, last)
    rows = decisions.join(evaluate(decisions, replace(market, cost_rate=0.0), (1,)), on="decision_id")
    gains = dict.fromkeys(market.sessions.astype(object).tolist(), 0.0)
    for row in rows.iter_rows(named=True):
        gains[row["as_of_date"]] += row["weight"] * row["return"]
    return list(_compounded([0.0, *list(gains.values())[:-1]]))


def _compounded(gains: list[float]) -> Iterator[float]:
    now = 1.0
    for gain in gains:
        now *= 1.0 + gain
        yield now


def of(body: dict[str, Any], market: Market = US_EQ) -> Floats:
    """The same at once."""
    return wealth(PortfolioConfig(**body), market, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"style": "inverse_volatility", "names": 12},
        {"style": "reversal", "lookback": 5, "names": 4, "rebalance_every": 5, "gross": 1.8, "long_short": True},
        {"rebalance_every": 1},
        {"rebalance_every": 126, "signal_lag": 7},
        {"lookback": 63, "rebalance_every": 63},
        {"lookback": 504, "rebalance_every": 7, "gross": 0.5, "noise": 0.3},
    ],
)
def test_the_wealth_of_a_book_is_what_its_decisions_earn(changes: dict[str, Any]) -> None:
    """Weights in rows are rounded to ten decimals."""
    body = BASE | changes
    assert of(body) == pytest.approx(by_rows(body, US_EQ), rel=1e-8)


@pytest.mark.parametrize("name", ["US_ETF", "US_IDX", "US_FUT"])
def test_a_book_of_few_instruments_is_no_exception(name: str) -> None:
    market = load_markets()[name]
    market = market.until(market.sessions[400].astype(object))
    assert of(BASE, market) == pytest.approx(by_rows(BASE, market), rel=1e-8)


@pytest.mark.parametrize("sessions", [1, 60, 61, 62, 63, 64, 84, 85])
def test_a_short_history_has_a_short_book(sessions: int) -> None:
    """Before its signal is known, and around its first two rebalances."""
    market = US_EQ.until(US_EQ.sessions[sessions - 1].astype(object))
    curve = of(BASE, market)
    assert curve == pytest.approx(by_rows(BASE, market), rel=1e-8)
    assert np.all(curve[: warm(PortfolioConfig(**BASE)) + 1] == 1.0)


def test_another_future_changes_no_past_wealth() -> None:
    shorter = US_EQ.until(date(1992, 6, 30))
    assert of(BASE, shorter) == pytest.approx(of(BASE)[: len(shorter.sessions)], rel=1e-12)
