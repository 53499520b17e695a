"""Laws every reference engine keeps, over all configs and markets."""

from collections import Counter
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.core.frames import DECISIONS, conform
from kronos.errors import BadValue, NotFound
from kronos.sandbox.configs import CONFIGS, HANDICAPPED_INCUMBENT, SandboxConfig, incumbent
from kronos.sandbox.engines import ENGINES, decide, parse_config
from kronos.sandbox.markets import Market, load_markets
from kronos_tests.sandbox.worlds import BY_ID, decided, with_another_future

MARKETS = load_markets()
START, END = date(2014, 9, 2), date(2015, 3, 31)

each_config = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.config_id)


def active_markets(config: SandboxConfig) -> list[Market]:
    least = ENGINES[config.engine_name].min_instruments
    return [market for market in MARKETS.values() if len(market.instruments) >= least]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    config=st.sampled_from(CONFIGS),
    market=st.sampled_from(list(MARKETS.values())),
    row=st.integers(min_value=300, max_value=2200),
    seed=st.integers(min_value=0, max_value=9),
)
def test_another_future_changes_no_decision(config: SandboxConfig, market: Market, row: int, seed: int) -> None:
    today = market.sessions[row].item()
    start = market.sessions[row - 30].item()
    other = with_another_future(market, today, seed)
    assert decided(config, other, start, today).equals(decided(config, market, start, today))


@each_config
def test_decisions_are_the_same_when_nothing_later_is_known(config: SandboxConfig) -> None:
    for market in active_markets(config):
        assert decided(config, market.until(END), START, END).equals(decided(config, market, START, END))


@each_config
def test_a_decision_does_not_depend_on_the_range_asked_for(config: SandboxConfig) -> None:
    middle = date(2014, 12, 10)
    for market in active_markets(config):
        whole = decided(config, market, START, END)
        assert decided(config, market, middle, END).equals(whole.filter(pl.col("as_of_date") >= middle))


@each_config
def test_two_runs_give_the_same_bytes(config: SandboxConfig) -> None:
    first, second = (decided(config, MARKETS["US_EQ"], START, END) for _ in range(2))
    assert first.write_json() == second.write_json() and len(first)


@each_config
def test_decisions_keep_the_contract(config: SandboxConfig) -> None:
    for market in active_markets(config):
        df = conform(decided(config, market, START, END), DECISIONS, "decisions")
        assert df["decision_id"].n_unique() == len(df)
        assert df.select((pl.col("decided_at").dt.date() == pl.col("as_of_date")).all()).item()
        assert df.select((pl.col("weight").fill_null(1.0) > 0).all()).item()
        assert df.select(pl.col("probability").fill_null(0.5).is_between(0, 1).all()).item()
        assert df.select(((pl.col("class_probabilities").list.sum() - 1).abs() < 1e-6).fill_null(True).all()).item()


@each_config
def test_a_json_key_is_there_for_all_decisions_of_an_engine_or_for_none(config: SandboxConfig) -> None:
    df = decided(config, MARKETS["US_EQ"], START, END)
    assert set(df.null_count().row(0)) <= {0, len(df)}


def test_every_engine_has_at_least_three_different_configs_and_one_incumbent() -> None:
    counted = Counter(config.engine_name for config in CONFIGS)
    assert set(counted) == set(ENGINES) and min(counted.values()) >= 3
    for name in ENGINES:
        bodies = [parse_config(name, config.body) for config in CONFIGS if config.engine_name == name]
        assert len({repr(body) for body in bodies}) == len(bodies)
        assert sum(config.incumbent for config in CONFIGS if config.engine_name == name) == 1


def test_the_handicapped_incumbent_says_so() -> None:
    config = incumbent("PORTFOLIO")
    assert config.config_id == HANDICAPPED_INCUMBENT and "handicapped" in config.body["description"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"lookbak": 5}, "PORTFOLIO.lookbak"), ({"lookback": 1}, "PORTFOLIO.lookback"), ({"gross": "x"}, "gross"),
     ({"skip": 63, "lookback": 21}, "skip has value 63"), ({"style": "magic"}, "PORTFOLIO.style")],
)  # fmt: skip
def test_a_bad_body_is_refused_by_name(changes: dict[str, Any], named: str) -> None:
    body = {**BY_ID["portfolio-momentum-slow"].body, **changes}
    with pytest.raises(BadValue, match=named):
        decide("PORTFOLIO", body, MARKETS["US_EQ"], START, END)


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(NotFound, match="ASSESSMENT, PORTFOLIO, REGIME"):
        parse_config("FRAGILITY_ALPHA", {})


def test_no_decision_before_the_signal_is_warm() -> None:
    df = decided(BY_ID["portfolio-momentum-slow"], MARKETS["US_EQ"], date(1990, 1, 2), date(1991, 12, 31))
    assert df["as_of_date"].min() == MARKETS["US_EQ"].sessions[252].item()


def test_no_decision_in_a_market_that_has_ended_or_has_too_few_instruments() -> None:
    assert decided(BY_ID["regime-slow"], MARKETS["US_IDX"], date(2019, 1, 2), date(2019, 6, 28)).is_empty()
    assert decided(BY_ID["universe-wild"], MARKETS["US_FUT"], START, END).is_empty()


def test_a_seed_moves_noisy_decisions_and_no_others() -> None:
    quiet = BY_ID["portfolio-momentum-slow"].body
    noisy = {**quiet, "noise": 0.5}

    def weights(body: dict[str, Any], seed: int) -> list[tuple[Any, ...]]:
        df = decide("PORTFOLIO", body, MARKETS["US_EQ"], START, END, seed=seed)
        return df.select("as_of_date", "entity_id", "weight").rows()

    assert weights(quiet, 1) == weights(quiet, 2)
    assert weights(noisy, 1) == weights(noisy, 1) != weights(noisy, 2)


def test_weights_of_a_book_drift_with_prices_between_rebalances() -> None:
    market = MARKETS["US_EQ"]
    df = decided(BY_ID["portfolio-inverse-volatility"], market, START, END)
    by_day = {day[0]: part for day, part in df.partition_by("as_of_date", as_dict=True).items()}
    days = [day for day in by_day if by_day[day]["turnover"].sum() == 0]
    row = int(np.searchsorted(market.sessions, np.datetime64(days[0])))
    before, after = by_day[market.sessions[row - 1].item()], by_day[days[0]]
    held = before.select("entity_id", "weight").join(
        after.select("entity_id", pl.col("weight").alias("now")), on="entity_id"
    )
    moves = [
        market.prices[row, market.instruments.index(e)] / market.prices[row - 1, market.instruments.index(e)]
        for e in held["entity_id"]
    ]
    values = held["weight"].to_numpy() * np.array(moves)
    cash = 1.0 - held["weight"].sum()
    assert held["now"].to_numpy() == pytest.approx(values / (values.sum() + cash), abs=1e-8)
