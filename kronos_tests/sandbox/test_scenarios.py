"""Scenario markets: same dates for all, nothing known too early, and decisions that see the scenario's past alone."""

from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from scipy.spatial import cKDTree
from scipy.stats import linregress

from kronos.core.context import label_decisions
from kronos.core.frames import FRAGILITY, REGIMES, SOFT_TARGETS, STABILITY, Contexts, empty
from kronos.core.policy import ObservationPolicy
from kronos.core.scenarios.battery import (
    SYNTHETIC,
    WINDOWS,
    BlockBootstrap,
    FragilityAdversarial,
    Played,
    ShockOverlay,
)
from kronos.errors import BadValue
from kronos.sandbox.configs import CONFIGS, SandboxConfig
from kronos.sandbox.context import INSTRUMENT_EVERY, context_slices
from kronos.sandbox.engines import DECIDED_AFTER_CLOSE
from kronos.sandbox.features import returns
from kronos.sandbox.markets import Floats, Market, instants, load_markets
from kronos.sandbox.scenarios import (
    as_known,
    instrument_fragility_known,
    market_fragility_known,
    regimes_known,
    scenario_market,
)
from kronos.settings import SANDBOX_START
from kronos_tests.sandbox.worlds import decided, with_another_future

Rows = npt.NDArray[np.int64]

MARKETS = load_markets()
START, END = date(1990, 1, 2), date(2017, 12, 29)
SEED = 7
BY_NAME = {scenario.name: scenario for scenario in SYNTHETIC}

each_scenario = pytest.mark.parametrize("scenario", SYNTHETIC, ids=lambda scenario: scenario.name)
each_market = pytest.mark.parametrize("market_id", sorted(MARKETS))


@cache
def played(market_id: str, name: str, seed: int = SEED) -> tuple[Market, date]:
    return scenario_market(MARKETS[market_id], BY_NAME[name], START, END, seed)


def block(**changes: Any) -> BlockBootstrap:
    return BlockBootstrap(**{"name": "b", "about": "", "regimes": ("CRISIS",), "mean_block": 10.0, **changes})


def moves(market: Market) -> Floats:
    return returns(np.column_stack([market.prices, market.benchmark]))


def recognised(path: Market, first: date, real: Market) -> Rows:
    """Which real session each session played repeats, told from its returns alone; -1: none."""
    distance, at = cKDTree(moves(real)[1:]).query(moves(path)[path.rows_between(first, END)])
    return np.where(distance < 1e-9, at + 1, -1)


@each_scenario
@each_market
def test_a_scenario_changes_prices_and_costs_alone_and_only_from_its_first_date(
    market_id: str, scenario: Played
) -> None:
    (market, first), real = played(market_id, scenario.name), MARKETS[market_id].until(END)
    same = int(np.searchsorted(real.sessions, np.datetime64(first)))
    assert np.array_equal(market.sessions, real.sessions) and market.instruments == real.instruments
    assert market.prices[:same].tobytes() == real.prices[:same].tobytes()
    assert market.benchmark[:same].tobytes() == real.benchmark[:same].tobytes()
    assert market.cost_rate == real.cost_rate * scenario.cost_multiplier and first == date(2012, 12, 31)
    assert all(np.isfinite(values).all() and (values > 0).all() for values in (market.prices, market.benchmark))


@each_scenario
def test_the_same_arguments_give_the_same_bytes(scenario: Played) -> None:
    regimes_known.cache_clear()
    market_fragility_known.cache_clear()
    again, _ = scenario_market(MARKETS["US_EQ"], scenario, START, END, SEED)
    assert again.prices.tobytes() == played("US_EQ", scenario.name)[0].prices.tobytes()


@pytest.mark.parametrize("name", ["crisis-regimes", "trendless", "overnight-gaps", "most-fragile"])
def test_another_seed_or_name_gives_another_path(name: str) -> None:
    paths = [played("US_EQ", name)[0], played("US_EQ", name, SEED + 1)[0]]
    renamed = BY_NAME[name].model_copy(update={"name": "another"})
    paths.append(scenario_market(MARKETS["US_EQ"], renamed, START, END, SEED)[0])
    assert len({path.prices.tobytes() for path in paths}) == 3


@each_scenario
@pytest.mark.parametrize("config", [c for c in CONFIGS if c.incumbent], ids=lambda config: config.config_id)
def test_decisions_see_the_past_of_the_scenario_alone(scenario: Played, config: SandboxConfig) -> None:
    market, first = played("US_EQ", scenario.name)
    today = date(2014, 6, 30)
    other = with_another_future(market, today, 1)
    now = decided(config, market, first, today)
    assert len(now) and now.equals(decided(config, other, first, today))
    assert now.equals(decided(config, market.until(today), first, today))


@each_scenario
def test_nothing_after_the_end_is_looked_at(scenario: Played) -> None:
    end = date(2010, 6, 30)
    market, _ = scenario_market(MARKETS["US_EQ"], scenario, START, end, SEED)
    blind, _ = scenario_market(with_another_future(MARKETS["US_EQ"], end, 1), scenario, START, end, SEED)
    assert market.sessions[-1].item() == end and market.prices.tobytes() == blind.prices.tobytes()


def test_labels_known_by_a_day_do_not_change_when_more_is_known() -> None:
    early, until = date(2010, 6, 30), MARKETS["US_ETF"].until(date(2016, 6, 30))
    count = len(MARKETS["US_EQ"].until(early).sessions)
    assert np.array_equal(regimes_known(early), regimes_known(END)[:count])
    assert np.array_equal(market_fragility_known(early), market_fragility_known(END)[:count], equal_nan=True)
    longer = instrument_fragility_known(MARKETS["US_ETF"].until(END))[: len(until.sessions)]
    assert np.array_equal(instrument_fragility_known(until), longer, equal_nan=True)


def test_regimes_are_those_a_decision_of_the_session_would_be_labelled_with() -> None:
    market = MARKETS["US_EQ"].until(END)
    rows = next(s.rows for s in context_slices({"US_EQ": market}, SANDBOX_START, END) if s.table == "regimes")
    regimes = rows.rename({"regime_label": "regime"}).select(*REGIMES)
    contexts = Contexts(regimes, empty(STABILITY), empty(FRAGILITY), empty(SOFT_TARGETS))
    decisions = pl.DataFrame(
        {
            "as_of_date": market.sessions,
            "decided_at": instants(market.closes_at + np.timedelta64(DECIDED_AFTER_CLOSE)),
        }
    ).with_columns(market_id=pl.lit("US_EQ"), portfolio_id=pl.lit(""), entity_type=pl.lit(""), entity_id=pl.lit(""))
    expected = label_decisions(decisions, contexts, ObservationPolicy(), recorded=True)["regime"]
    assert regimes_known(END).tolist() == expected.to_list()


def test_what_arrives_late_about_an_older_date_changes_nothing_known_since() -> None:
    market = MARKETS["US_EQ"].until(date(1990, 1, 9))  # six sessions
    recorded = market.closes_at[[0, 2, 3, 4, 4]]  # the second row comes a session late, as does its correction
    about = market.sessions[[0, 1, 3, 1, 3]]
    rows = pl.DataFrame({"as_of_date": about, "recorded_at": instants(recorded), "score": [1, 2, 3, 20, 30]})
    assert as_known(rows.reverse(), "score", market).to_list() == [1, 1, 2, 3, 30, 30]
    assert as_known(rows[1:4], "score", market).to_list() == [None, None, 2, 3, 3, 3]


def test_fragility_known_is_that_of_the_slow_twin() -> None:
    market = MARKETS["US_ETF"].until(date(2015, 12, 31))
    reference = MARKETS["US_EQ"].until(date(2015, 12, 31))
    slices = context_slices({"US_EQ": reference, "US_ETF": market}, SANDBOX_START, date(2015, 12, 31))
    rows = pl.concat([s.rows for s in slices if s.table == "fragility_measures"])
    known = instrument_fragility_known(market)
    decided_at = instants(market.closes_at + np.timedelta64(DECIDED_AFTER_CLOSE))
    for session in (0, 126, 250, 251, 254, 255, 400, len(known) - 1):
        for column, name in enumerate(market.instruments):
            told = rows.filter(pl.col("entity_id") == name, pl.col("recorded_at") <= decided_at[session])
            newest = told.sort("as_of_date", "recorded_at")["fragility_score"].to_list()[-1:] or [np.nan]
            assert known[session, column] == pytest.approx(newest[0], nan_ok=True)
    assert np.isnan(known[0]).all() and np.unique(known[126 + INSTRUMENT_EVERY :, 0]).size > 20


def test_only_days_of_the_wanted_regimes_are_played_whole() -> None:
    drawn = recognised(*played("US_EQ", "crisis-regimes"), MARKETS["US_EQ"].until(END))
    assert (drawn > 0).all() and set(regimes_known(END)[drawn]) == {"STRESS", "CRISIS"}


@pytest.mark.parametrize("name", ["crisis-regimes", "trendless"])
@pytest.mark.parametrize("market_id", ["US_ETF", "US_IDX", "US_FUT"])
def test_all_markets_play_the_same_dates_where_they_have_them(market_id: str, name: str) -> None:
    stocks, first = played("US_EQ", name)
    real, (path, _) = MARKETS[market_id].until(END), played(market_id, name)
    drawn = stocks.sessions[recognised(stocks, first, MARKETS["US_EQ"].until(END))]
    turn = np.searchsorted(path.sessions, stocks.sessions[stocks.rows_between(first, END)])
    shared = (drawn > real.sessions[0]) & (turn > 0)
    there = np.searchsorted(real.sessions, drawn[shared])
    assert shared.sum() > 40 and moves(path)[turn[shared]] == pytest.approx(moves(real)[there], abs=1e-12)


def test_a_crisis_before_a_markets_data_still_hits_it() -> None:
    (etf, _), (stocks, _) = played("US_ETF", "crisis-regimes"), played("US_EQ", "crisis-regimes")
    rows = np.searchsorted(stocks.sessions, etf.sessions[1:])
    market = returns(stocks.benchmark)[rows]
    assert returns(etf.benchmark)[1:] == pytest.approx(market, abs=1e-12)
    assert all(np.corrcoef(returns(etf.prices)[1:].T, market)[-1, :-1] > 0.8)


def test_a_market_that_ended_before_a_crisis_follows_by_the_sessions_it_shares_with_the_index() -> None:
    end, sp, wti = date(2020, 6, 30), MARKETS["US_EQ"].until(date(2020, 6, 30)), MARKETS["US_FUT"]
    stocks, first = scenario_market(sp, BY_NAME["crisis-regimes"], START, end, SEED)
    path, _ = scenario_market(wti, BY_NAME["crisis-regimes"], START, end, SEED)
    rows = path.rows_between(first, end)
    drawn = cKDTree(moves(sp)[1:]).query(moves(stocks)[stocks.rows_between(first, end)])[1][: len(rows)] + 1
    missing = sp.sessions[drawn] > wti.sessions[-1]
    shared = wti.sessions > sp.sessions[0]
    index, crude = (np.log1p(returns(values)) for values in (sp.benchmark, wti.prices[:, 0]))
    fit = linregress(index[1 : shared.sum() + 1], crude[shared])
    rest = np.log1p(returns(path.prices[:, 0]))[rows] - fit.slope * index[drawn]
    own = crude[shared] - fit.slope * index[1 : shared.sum() + 1]
    assert missing.sum() > 30 and rest[missing] == pytest.approx(own[np.flatnonzero(missing) % len(own)], abs=1e-10)


def test_the_most_fragile_days_are_played_more_often_than_others() -> None:
    plain = FragilityAdversarial(name="most-fragile", about="", mean_block=1.0, odds=20.0, tilt=0.0)
    market, first = scenario_market(MARKETS["US_EQ"], plain, START, END, SEED)
    drawn = recognised(market, first, MARKETS["US_EQ"].until(END))
    scores = market_fragility_known(END)
    usual = scores[~np.isnan(scores)]
    expected = np.average(usual, weights=20.0**usual)
    assert scores[drawn].mean() == pytest.approx(expected, abs=4 * usual.std() / np.sqrt(len(drawn)))
    assert expected > 1.5 * usual.mean()


def test_a_tilt_costs_every_stock_something_and_nobody_gains() -> None:
    bare = BY_NAME["most-fragile"].model_copy(update={"tilt": 0.0})
    plain, _ = scenario_market(MARKETS["US_EQ"], bare, START, END, SEED)
    market, first = played("US_EQ", "most-fragile")
    ratio = (market.prices / plain.prices)[market.rows_between(first, END)]
    assert (np.diff(ratio, axis=0) < 1e-12).all() and (ratio[-1] < 0.9).all()


def test_a_gap_hits_all_markets_at_once() -> None:
    for market_id in ("US_EQ", "US_ETF", "US_IDX", "US_FUT"):
        market, first = played(market_id, "overnight-gaps")
        real = MARKETS[market_id].until(END)
        steps = (1 + returns(market.benchmark)[1:]) / (1 + returns(real.benchmark)[1:]) - 1
        days = market.sessions[1:][np.abs(steps) > 1e-9]
        if market_id == "US_EQ":
            expected = days
        assert steps[np.abs(steps) > 1e-9] == pytest.approx(-0.08)
        assert np.array_equal(days, expected[expected > market.sessions[0]]) and (days >= np.datetime64(first)).all()


@pytest.mark.parametrize("told", [date(2016, 1, 2), date(2016, 1, 4)])
def test_a_gap_falls_on_its_date_or_the_next_session(told: date) -> None:
    shock = ShockOverlay(name="s", about="", gap=-0.2, gap_dates=(told,))
    market, _ = scenario_market(MARKETS["US_FUT"], shock, START, END, SEED)
    ratio = market.prices[:, 0] / MARKETS["US_FUT"].until(END).prices[:, 0]
    assert market.sessions[ratio < 0.9][0] == np.datetime64("2016-01-04")
    assert ratio[-1] == pytest.approx(0.8)


def test_a_market_that_begins_within_the_dates_starts_from_its_first_close() -> None:
    market, _ = played("US_ETF", "crisis-regimes")
    assert market.prices[0].tobytes() == MARKETS["US_ETF"].prices[0].tobytes()
    assert not np.allclose(market.prices[1], MARKETS["US_ETF"].prices[1], rtol=1e-6)


def test_the_first_session_of_a_market_has_no_return_to_repeat() -> None:
    for seed in range(25):  # one draw in seven has that session
        market, _ = scenario_market(MARKETS["US_ETF"], BY_NAME["trendless"], START, END, seed)
        assert np.isfinite(market.prices).all()


def test_a_market_that_has_ended_before_comes_back_real() -> None:
    short = block(years=1.0, cost_multiplier=2.0)
    market, first = scenario_market(MARKETS["US_IDX"], short, START, date(2022, 12, 28), SEED)
    assert first == date(2021, 12, 28) and market.cost_rate == 2.0 * MARKETS["US_IDX"].cost_rate
    assert market.prices.tobytes() == MARKETS["US_IDX"].prices.tobytes()


def test_fewer_dates_than_the_years_asked_for_are_all_played() -> None:
    _, first = scenario_market(MARKETS["US_EQ"], block(years=10.0), date(2015, 6, 1), END, SEED)
    assert first == date(2015, 6, 1)


def test_days_before_the_dates_asked_for_may_be_drawn() -> None:
    """Else nothing could be said about a crisis in an experiment on quiet years."""
    market, first = scenario_market(MARKETS["US_EQ"], block(), date(2015, 6, 1), END, SEED)
    assert moves(market)[market.rows_between(first, END), -1].std() * np.sqrt(252) > 0.25


@pytest.mark.parametrize(
    ("scenario", "start", "end", "named"),
    [(WINDOWS[1], START, END, "scenario has value 'gulf-1990'"),
     (block(regimes=("CRISIS", "PANIC")), START, END, r"regimes of a scenario has value \['PANIC'\]"),
     (block(), START, date(1991, 12, 31), "sessions to draw from has value 0"),
     (block(), date(2017, 12, 15), END, "sessions of scenario 'b' has value 10"),
     (block(), date(2018, 1, 2), END, "sessions of scenario 'b' has value 0"),
     (ShockOverlay(name="s", about="", gap=0.1, gap_dates=(date(2009, 1, 2),)), START, END, "gap_dates of"),
     (ShockOverlay(name="s", about="", gap=0.1, gap_count=99, years=0.25), START, END, "gap_count has value 99")],
)  # fmt: skip
def test_what_cannot_be_played_is_refused(scenario: Any, start: date, end: date, named: str) -> None:
    with pytest.raises(BadValue, match=named):
        scenario_market(MARKETS["US_EQ"], scenario, start, end, SEED)


def test_a_market_with_a_price_that_is_none_is_refused() -> None:
    prices = MARKETS["US_EQ"].prices.copy()
    prices[500, 3] = np.nan
    with pytest.raises(BadValue, match="closes has value nan"):
        scenario_market(replace(MARKETS["US_EQ"], prices=prices), block(), START, END, SEED)


@pytest.mark.parametrize("window", WINDOWS[1:], ids=lambda window: window.name)
def test_a_named_window_runs_from_a_high_of_the_index_to_its_low(window: Any) -> None:
    market = MARKETS["US_EQ"]
    closes = market.benchmark[market.rows_between(window.start, window.end)]
    assert closes.argmax() == 0 and closes.argmin() == len(closes) - 1
    assert closes[-1] / closes[0] - 1 < -0.14
