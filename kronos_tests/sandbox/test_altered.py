"""Altered markets: another past for some dates, the real one before, the real returns after."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from kronos.core.backtests.spec import Altered
from kronos.sandbox.altered import altered_market
from kronos.sandbox.features import returns
from kronos.sandbox.markets import load_markets

MARKETS = load_markets()
SAID = Altered(start=date(2015, 3, 2), end=date(2015, 4, 30), seed=4)
each_market = pytest.mark.parametrize("name", sorted(MARKETS))


@each_market
def test_only_returns_of_its_dates_are_altered(name: str) -> None:
    market = MARKETS[name]
    other = altered_market(market, SAID)
    rows = market.rows_between(SAID.start, SAID.end)
    before, after = np.arange(rows[0]), np.arange(rows[-1] + 1, len(market.sessions))
    assert np.array_equal(other.prices[before], market.prices[before])
    assert returns(other.prices)[after] == pytest.approx(returns(market.prices)[after])
    assert (returns(other.prices)[rows] != returns(market.prices)[rows]).all()


@each_market
def test_the_benchmark_is_altered_too(name: str) -> None:
    market, other = MARKETS[name], altered_market(MARKETS[name], SAID)
    assert not np.array_equal(other.benchmark, market.benchmark)
    own = np.array_equal(market.benchmark, market.prices[:, 0])
    assert np.array_equal(other.benchmark, other.prices[:, 0]) == own


def test_the_same_seed_alters_the_same_and_another_otherwise() -> None:
    market = MARKETS["US_EQ"]
    one, again = altered_market(market, SAID), altered_market(market, SAID)
    other = altered_market(market, SAID.model_copy(update={"seed": 5}))
    assert np.array_equal(one.prices, again.prices) and not np.array_equal(one.prices, other.prices)


def test_dates_without_a_session_alter_nothing() -> None:
    said = Altered(start=date(2015, 3, 7), end=date(2015, 3, 8))
    assert altered_market(MARKETS["US_EQ"], said) is MARKETS["US_EQ"]
