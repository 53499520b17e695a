"""Outcomes against slow twins written from the definitions."""

from datetime import date, timedelta
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
import polars as pl
import pytest

from kronos.core.frames import OUTCOMES, conform
from kronos.sandbox.configs import CONFIGS, SandboxConfig
from kronos.sandbox.engines import evaluate
from kronos.sandbox.engines.regime import CLASSES, CRASH, CUTS
from kronos.sandbox.engines.stability import BARRIER
from kronos.sandbox.features import reference_volatility
from kronos.sandbox.markets import Market, load_markets
from kronos_tests.sandbox.worlds import BY_ID, decided, with_another_future

MARKETS = load_markets()
START, END = date(2008, 9, 2), date(2008, 11, 28)


def evaluated(config_id: str, market: Market) -> list[dict[str, Any]]:
    decisions = decided(BY_ID[config_id], market, START, END)
    return decisions.join(evaluate(decisions, market), on="decision_id").to_dicts()


def row_of(market: Market, day: date) -> int:
    return int(np.flatnonzero(market.sessions == np.datetime64(day))[0])


def path_of(market: Market, entity: str, row: int, horizon: int) -> list[float]:
    column = market.instruments.index(entity)
    return [float(market.prices[row + step, column]) for step in range(horizon + 1)]


def worst_drawdown(wealth: list[float]) -> float:
    return min(wealth[i] / max(wealth[: i + 1]) - 1 for i in range(len(wealth)))


@pytest.mark.parametrize(
    "config_id", ["portfolio-levered-reversal", "portfolio-momentum-hasty", "assessment-momentum-fast"]
)
def test_a_position_earns_its_direction_times_the_price_change_less_costs(config_id: str) -> None:
    market = MARKETS["US_EQ"]
    for row in evaluated(config_id, market)[::97]:
        path = path_of(market, row["entity_id"], row_of(market, row["as_of_date"]), row["horizon"])
        wealth = [1 + row["direction"] * (price / path[0] - 1) for price in path]
        cost = 2 * 0.0005 * row["turnover"]
        squares = sum((b / a - 1) ** 2 for a, b in pairwise(path))
        assert row["return"] == pytest.approx(wealth[-1] - 1 - cost / row["weight"], abs=1e-12)
        assert row["pnl"] == pytest.approx(1_000_000 * (row["weight"] * (wealth[-1] - 1) - cost), abs=1e-6)
        assert row["drawdown"] == pytest.approx(worst_drawdown(wealth), abs=1e-12)
        assert row["cost"] == pytest.approx(cost) and row["realised_vol"] == pytest.approx(
            sqrt(252 * squares / row["horizon"])
        )


def test_a_basket_earns_the_mean_of_its_members_less_what_changed() -> None:
    market = MARKETS["US_EQ"]
    for row in evaluated("universe-trend", market)[::13]:
        at = row_of(market, row["as_of_date"])
        paths = [path_of(market, name, at, row["horizon"]) for name in row["members"]]
        gross = sum(path[-1] / path[0] - 1 for path in paths) / len(paths)
        assert row["return"] == pytest.approx(gross - 2 * 0.0005 * row["turnover"], abs=1e-12)
        assert row["benchmark_return"] == pytest.approx(
            market.benchmark[at + row["horizon"]] / market.benchmark[at] - 1
        )


def test_turnover_of_a_basket_is_its_share_of_new_names() -> None:
    df = decided(BY_ID["universe-trend"], MARKETS["US_EQ"], START, END)
    members = [set(names) for names in df["members"]]
    expected = [len(now - before) / len(now) for before, now in pairwise(members)]
    assert df["turnover"][1:].to_list() == pytest.approx(expected)


def test_a_regime_is_realised_volatility_over_the_usual_one_or_a_crash() -> None:
    market = MARKETS["US_EQ"]
    usual = reference_volatility(market.benchmark)
    for row in evaluated("regime-fast", market)[::7]:
        at, h = row_of(market, row["as_of_date"]), row["horizon"]
        path = [float(market.benchmark[at + step]) for step in range(h + 1)]
        ratio = sqrt(252 / h * sum((b / a - 1) ** 2 for a, b in pairwise(path))) / usual[at]
        crashed = worst_drawdown(path) <= CRASH
        realised = CLASSES[3 if crashed else sum(ratio >= cut for cut in CUTS)]
        assert row["realised_class"] == realised
        assert row["hit"] == float(row["label"] == realised)
        assert row["loss"] == pytest.approx(abs(CLASSES.index(row["label"]) - CLASSES.index(realised)) / 3)
        assert row["return"] is None and row["pnl"] is None


def test_an_instability_event_is_a_close_below_the_barrier_within_the_horizon() -> None:
    market = MARKETS["US_IDX"]
    usual = reference_volatility(market.benchmark)
    rows = evaluated("stability-balanced", market)
    for row in rows:
        at, h = row_of(market, row["as_of_date"]), row["horizon"]
        worst = min(market.benchmark[at + step] / market.benchmark[at] - 1 for step in range(h + 1))
        assert row["event"] == float(worst <= -BARRIER * usual[at] * sqrt(h / 252))
    assert {row["event"] for row in rows} == {0.0, 1.0}


def test_violations_are_recomputed_from_the_weights() -> None:
    rows = evaluated("portfolio-levered-reversal", MARKETS["US_EQ"])
    first = [row for row in rows if row["horizon"] == 1]
    gross: dict[date, float] = {}
    for row in first:
        gross[row["as_of_date"]] = gross.get(row["as_of_date"], 0.0) + row["weight"]
    for row in first:
        assert row["hard_violations"] == (row["weight"] > 0.30) + (gross[row["as_of_date"]] > 1.5)


def test_sober_configs_break_no_hard_limit_of_a_book() -> None:
    for config_id in ("portfolio-momentum-hasty", "portfolio-inverse-volatility", "portfolio-momentum-slow"):
        assert sum(row["hard_violations"] for row in evaluated(config_id, MARKETS["US_EQ"])) == 0


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.config_id)
def test_outcomes_keep_the_contract_and_are_recorded_on_their_day(config: SandboxConfig) -> None:
    market = MARKETS["US_EQ"]
    decisions = decided(config, market, START, END)
    df = conform(evaluate(decisions, market), OUTCOMES, "outcomes")
    assert len(df) == 3 * len(decisions)
    assert df.select((pl.col("recorded_at").dt.date() == pl.col("eval_date")).all()).item()
    floats = df.select(pl.col(pl.Float64).fill_null(0.0).is_finite().all()).row(0)
    assert all(floats)


def test_evaluation_is_so_many_sessions_later() -> None:
    market = MARKETS["US_EQ"]
    for row in evaluated("regime-slow", market)[::11]:
        assert row_of(market, row["eval_date"]) - row_of(market, row["as_of_date"]) == row["horizon"]


def test_an_outcome_depends_on_nothing_after_its_evaluation() -> None:
    market = MARKETS["US_EQ"]
    decisions = decided(BY_ID["portfolio-levered-reversal"], market, START, END)
    other = with_another_future(market, END, seed=3)
    known = pl.col("eval_date") <= END
    assert evaluate(decisions, other).filter(known).equals(evaluate(decisions, market).filter(known))


def test_an_outcome_beyond_the_last_price_is_not_there() -> None:
    market = MARKETS["US_EQ"].until(END)
    decisions = decided(BY_ID["regime-slow"], market, END - timedelta(days=1), END)
    assert evaluate(decisions, market).is_empty()
