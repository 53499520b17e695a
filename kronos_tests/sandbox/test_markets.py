"""Bundled prices against the exchange's calendar."""

from datetime import UTC, date, datetime

import exchange_calendars
import numpy as np
import pytest

from kronos.core.policy import ObservationPolicy
from kronos.sandbox.markets import SandboxDataMissing, bundled_package, instants, load_markets

MARKETS = load_markets()


@pytest.mark.parametrize("market_id", sorted(MARKETS))
def test_sessions_are_those_of_the_markets_calendar_without_a_gap(market_id: str) -> None:
    market = MARKETS[market_id]
    first, last = str(market.sessions[0]), str(market.sessions[-1])
    name = ObservationPolicy().markets[market_id].calendar
    calendar = exchange_calendars.get_calendar(name, start=first, end="2023-01-31")
    expected = calendar.sessions_in_range(first, last).to_numpy().astype("datetime64[D]")
    assert np.array_equal(market.sessions, expected)


@pytest.mark.parametrize("market_id", sorted(MARKETS))
def test_every_price_is_a_positive_number(market_id: str) -> None:
    market = MARKETS[market_id]
    assert np.isfinite(market.prices).all() and (market.prices > 0).all()
    assert np.isfinite(market.benchmark).all() and (market.benchmark > 0).all()


def test_markets_begin_and_end_with_their_data() -> None:
    spans = {name: (str(market.sessions[0]), str(market.sessions[-1])) for name, market in MARKETS.items()}
    assert spans == {
        "US_EQ": ("1990-01-02", "2022-12-28"),
        "US_ETF": ("2014-01-02", "2022-12-28"),
        "US_IDX": ("1999-01-04", "2018-12-31"),
        "US_FUT": ("1986-01-02", "2019-01-03"),
    }


def test_a_half_day_closes_early() -> None:
    market = MARKETS["US_EQ"]
    row = int(np.searchsorted(market.sessions, np.datetime64("2017-11-24")))
    assert instants(market.closes_at[[row]])[0] == datetime(2017, 11, 24, 18, tzinfo=UTC)


def test_a_session_without_a_wti_quotation_repeats_the_last_one() -> None:
    market = MARKETS["US_FUT"]
    # the day before Independence Day 2006: New York traded until 13:00, the energy agency has no price
    row = int(np.searchsorted(market.sessions, np.datetime64("2006-07-03")))
    assert market.prices[row, 0] == market.prices[row - 1, 0]


def test_a_market_until_a_day_ends_on_it() -> None:
    known = MARKETS["US_EQ"].until(date(2008, 9, 13))
    assert str(known.sessions[-1]) == "2008-09-12" and len(known.prices) == len(known.sessions) == len(known.closes_at)


def test_a_missing_package_says_which_extra_to_install() -> None:
    with pytest.raises(SandboxDataMissing, match=r"'no_such_package_at_all'.*install the `sandbox` extra"):
        bundled_package("no_such_package_at_all")
