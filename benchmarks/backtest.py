"""A sandbox backtest against vectorbt: from prices to the wealth of a book, 20 stocks, 8,000 days, signals included.

    python -m benchmarks backtest

Two of the sandbox's own rules, rebalanced monthly, on the bundled stocks: twelve-month momentum and inverse volatility.
Theirs is pandas for the signals and one numba simulation for the book; numba has compiled before anything is timed.
At zero fees both curves must agree. Ours is timed twice: over a market already met by another config, as nearly all are
(its running sum of squared returns is there), and over one never met before. Milliseconds are processor time of the
one thread either side uses, the best of several rounds in turn; wall time is beside it.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from kronos.core.conventions import DEFAULT_SESSIONS_PER_YEAR
from kronos.sandbox.configs import CONFIGS, SandboxConfig
from kronos.sandbox.engines import decide, evaluate, parse_config
from kronos.sandbox.engines.portfolio import LEAST_RISK, PortfolioConfig, wealth
from kronos.sandbox.markets import Floats, Market, load_markets

SESSIONS, ROUNDS, OUR_CALLS = 8_000, 15, 20
WANTED = 150
RULES = ("portfolio-momentum-slow", "portfolio-inverse-volatility")
FEES = (
    "Fees are charged differently, so curves with fees differ: vectorbt takes each order's fee out of the cash when it "
    "is filled, buying and selling alike; the sandbox charges the way in and out together when a position is opened or "
    "enlarged, as a share of the book, and nothing when it is closed."
)


def run() -> dict[str, Any]:
    """Per rule: how many times faster, the largest relative difference between the curves, and what fees change."""
    if importlib.util.find_spec("vectorbt") is None:
        return {"not_run": "vectorbt is not installed: `make bench` installs it"}
    market = _market()
    rules = {config.config_id: config for config in CONFIGS if config.config_id in RULES}
    return {
        "stocks": len(market.instruments),
        "sessions": len(market.sessions),
        "wanted_times_faster": WANTED,
        **{name: _compared(rules[name], market) for name in RULES},
        "about_fees": FEES,
    }


def _compared(rule: SandboxConfig, market: Market) -> dict[str, Any]:
    config = parse_config("PORTFOLIO", rule.body)
    assert isinstance(config, PortfolioConfig)
    close = pd.DataFrame(market.prices, index=pd.DatetimeIndex(market.sessions))
    ours, theirs = wealth(config, market, 0), _curve(config, close)
    sides = {
        "ours": _repeated(lambda: wealth(config, market, 0)),
        "ours_on_a_new_market": _repeated(lambda: wealth(config, replace(market), 0)),
        "vectorbt": lambda: _curve(config, close),
        "vectorbt_given_its_signals": _given(_signals(config, close), close),
        "ours_with_every_decision_a_row": lambda: _by_rows(rule, market),
    }
    calls = {name: OUR_CALLS if name in ("ours", "ours_on_a_new_market") else 1 for name in sides}
    cpu, wall = _timed(sides, calls)
    return {
        "times_faster": round(cpu["vectorbt"] / cpu["ours"], 1),
        "times_faster_on_a_new_market": round(cpu["vectorbt"] / cpu["ours_on_a_new_market"], 1),
        "times_faster_than_its_simulation_alone": round(cpu["vectorbt_given_its_signals"] / cpu["ours"], 1),
        "times_faster_by_wall_time": round(wall["vectorbt"] / wall["ours"], 1),
        "cpu_ms": {name: round(value, 3) for name, value in cpu.items()},
        "wall_ms": {name: round(value, 3) for name, value in wall.items()},
        "largest_relative_difference": float(np.abs(ours / theirs - 1.0).max()),
        "total_return": float(ours[-1] - 1.0),
        "largest_relative_difference_to_the_rows": float(
            np.abs(ours / _by_rows(rule, replace(market, cost_rate=0.0)) - 1).max()
        ),
        "with_fees": _with_fees(rule, config, market, close),
    }


def _with_fees(rule: SandboxConfig, config: PortfolioConfig, market: Market, close: pd.DataFrame) -> dict[str, float]:
    """Yearly growth either side has at the market's own cost."""
    years = len(market.sessions) / DEFAULT_SESSIONS_PER_YEAR
    curves = {"ours": _by_rows(rule, market), "vectorbt": _curve(config, close, market.cost_rate)}
    yearly = {f"{name}_yearly_growth": float(curve[-1] ** (1 / years) - 1.0) for name, curve in curves.items()}
    return {"fee": market.cost_rate, **yearly}


def _market() -> Market:
    """The last sessions of the bundled stocks, as a market of its own."""
    whole = load_markets()["US_EQ"]
    cut = {name: getattr(whole, name)[-SESSIONS:] for name in ("sessions", "closes_at", "benchmark")}
    return replace(whole, prices=np.ascontiguousarray(whole.prices[-SESSIONS:]), **cut)


def _by_rows(rule: SandboxConfig, market: Market) -> Floats:
    """The same curve from what the engine logs: every decision and its outcome a session later, net of costs."""
    first, last = market.sessions[[0, -1]].astype(object)
    decisions = decide("PORTFOLIO", rule.body, market, first, last, config_id=rule.config_id)
    rows = decisions.join(evaluate(decisions, market, (1,)), on="decision_id")
    daily = rows.group_by("as_of_date").agg((pl.col("weight") * pl.col("return")).sum()).sort("as_of_date")
    curve = np.ones(len(market.sessions))
    days = np.searchsorted(market.sessions, daily["as_of_date"].to_numpy())
    curve[days + 1] += daily["weight"].to_numpy()
    return np.cumprod(curve)


def _signals(config: PortfolioConfig, close: pd.DataFrame) -> pd.DataFrame:
    """Target weights where the book is rebalanced, NaN elsewhere; as one writes it with pandas."""
    window = max(config.lookback, 21)
    squares = close.pct_change() ** 2
    risk = np.sqrt(np.maximum(squares.rolling(window).mean(), 1e-8) * DEFAULT_SESSIONS_PER_YEAR)
    if config.style == "inverse_volatility":
        scores, sizes = -risk, 1.0 / np.maximum(risk, LEAST_RISK)
    else:
        scores = (close.shift(config.skip) / close.shift(config.lookback) - 1.0) / risk
        sizes = risk.notna().astype(float)
    chosen = sizes.where(scores.rank(axis=1, ascending=False, method="first") <= config.names, 0.0)
    weights = config.gross * chosen.div(chosen.sum(axis=1), axis=0)
    known = scores.notna().all(axis=1).to_numpy()
    sessions, first = np.arange(len(close)), int(np.argmax(known))
    due = known & ((sessions % config.rebalance_every == 0) | (sessions == first))
    return weights.where(pd.Series(due, close.index), np.nan, axis=0)


def _curve(config: PortfolioConfig, close: pd.DataFrame, fees: float = 0.0) -> Floats:
    return _given(_signals(config, close), close, fees)()


def _given(weights: pd.DataFrame, close: pd.DataFrame, fees: float = 0.0) -> Callable[[], Floats]:
    """The wealth of a book with these target weights, sales before purchases, cash shared."""
    import vectorbt

    def simulated() -> Floats:
        book = vectorbt.Portfolio.from_orders(
            close,
            size=weights,
            size_type="targetpercent",
            fees=fees,
            init_cash=100.0,
            min_size=0.0,
            group_by=True,
            cash_sharing=True,
            call_seq="auto",
            freq="1D",
        )
        return np.asarray(book.value()).ravel() / 100.0

    return simulated


def _repeated(work: Callable[[], object]) -> Callable[[], None]:
    """So often in a row that the clock's steps do not matter."""

    def repeat() -> None:
        for _ in range(OUR_CALLS):
            work()

    return repeat


def _timed(sides: dict[str, Callable[[], object]], calls: dict[str, int]) -> tuple[dict[str, float], dict[str, float]]:
    """Best milliseconds per call: processor time, wall time. The sides take turns, so that none has the quiet hour."""
    cpu, wall = dict.fromkeys(sides, float("inf")), dict.fromkeys(sides, float("inf"))
    for _ in range(ROUNDS):
        for name, work in sides.items():
            cpu_started, started = time.process_time(), time.perf_counter()
            work()
            cpu[name] = min(cpu[name], (time.process_time() - cpu_started) * 1000 / calls[name])
            wall[name] = min(wall[name], (time.perf_counter() - started) * 1000 / calls[name])
    return cpu, wall
