"""Features of short histories."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.sandbox.features import momentum, momentum_at, volatility, volatility_at
from kronos.sandbox.markets import load_markets, running_squares


def test_momentum_over_less_history_than_its_lookback_is_unknown() -> None:
    """A history shorter than the lookback gives NaN rows, not an error."""
    assert np.isnan(momentum(np.ones((82, 2)), 126, 0)).all()


@settings(max_examples=50, deadline=None, derandomize=True)
@given(sessions=st.integers(1, 40), columns=st.integers(1, 5), seed=st.integers(0, 99))
def test_a_running_sum_adds_session_by_session(sessions: int, columns: int, seed: int) -> None:
    """To the byte: an earlier row must not change when later sessions arrive."""
    prices = np.random.default_rng(seed).uniform(1.0, 100.0, (sessions, columns))
    total, expected = np.zeros(columns), [np.zeros(columns)]
    for before, after in pairwise(prices):
        move = after / before - 1.0
        total = total + move * move
        expected.append(total)
    assert running_squares(prices).tobytes() == np.array(expected).tobytes()
    assert running_squares(prices[:, 0]).tobytes() == np.array(expected)[:, 0].tobytes()


def test_features_at_some_rows_are_the_rows_of_the_features() -> None:
    market = load_markets()["US_EQ"].until(date(1992, 12, 31))
    rows = np.array([63, 64, 200, 201, 700])
    assert volatility_at(market, 63, rows).tobytes() == volatility(market.prices, 63)[rows].tobytes()
    assert momentum_at(market.prices, 63, 21, rows).tobytes() == momentum(market.prices, 63, 21)[rows].tobytes()
