"""A 30-year performance report from cells, warm, against the same numbers from single decisions in pandas.

    python -m benchmarks.reports

Three markets, all slices and intervals included. The report's cost must not grow with the number of decisions; the
pandas path (no intervals, empyrical's metrics) does. Ratios only; the cells come from the decisions, not from the lake.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import empyrical
import numpy as np
import pandas as pd
import polars as pl

from kronos.core.frames import CELL_MEASURES, CELLS, month_of
from kronos.core.policy import ObservationPolicy
from kronos.lake.tables import Lake
from kronos.orchestrator import MetaOrchestrator
from kronos.services.performance import Performance
from kronos.services.sessions import market_sessions
from kronos.settings import RecordedBy

MARKETS = ("US_EQ", "EU_EQ", "JP_EQ")
FIRST, LAST = date(1990, 1, 2), date(2019, 12, 30)
PER_DAY = (5, 20)
"""Decisions per market and day in the small and the large record."""
BUCKETS = np.array(["VERY_LOW", "LOW", "MEDIUM", "HIGH", "UNKNOWN"])
REGIMES = np.array(["CALM", "GROWTH", "RISK_OFF", "CRISIS"])
REPEATS = 15


def run() -> dict[str, float]:
    """Warm milliseconds and ratios."""
    small, large = (_compare(per_day) for per_day in PER_DAY)
    return {
        "decisions": large["decisions"],
        "sessions_x_markets": large["books"],
        "warm_ms": large["warm_ms"],
        "cold_ms": large["cold_ms"],
        "as_of_ms": large["as_of_ms"],
        "pandas_ms": large["pandas_ms"],
        "pandas_to_report": large["pandas_ms"] / large["warm_ms"],
        "four_times_the_decisions_report": large["warm_ms"] / small["warm_ms"],
        "four_times_the_decisions_pandas": large["pandas_ms"] / small["pandas_ms"],
    }


def _compare(per_day: int) -> dict[str, float]:
    decided = _decisions(per_day)
    with tempfile.TemporaryDirectory(prefix="kronos-bench-") as folder:
        cells = _cells(decided)
        Lake(folder).write_months("cells", cells, cells["month"].unique().sort().to_list())
        kronos = MetaOrchestrator(Performance(Lake(folder), ObservationPolicy(), RecordedBy.RECORDED))
        cold = _milliseconds(lambda: kronos.engine_performance("PORTFOLIO", "a", FIRST, LAST), 1)
        # a day earlier each time: loaded cells may be remembered, a finished report would not help
        ends, known = _days_before(LAST), _days_before(date(2015, 6, 30))
        warm = _milliseconds(lambda: kronos.engine_performance("PORTFOLIO", "a", FIRST, next(ends)))
        as_of = _milliseconds(lambda: kronos.engine_performance("PORTFOLIO", "a", FIRST, LAST, as_of=next(known)))
    frame = decided.to_pandas()
    return {
        "decisions": decided.height,
        "books": decided.select("market_id", "as_of_date").n_unique(),
        "cold_ms": cold,
        "warm_ms": warm,
        "as_of_ms": as_of,
        "pandas_ms": _milliseconds(lambda: _by_pandas(frame), 3),
    }


def _days_before(day: date) -> Iterator[date]:
    while True:
        yield day
        day -= timedelta(days=1)


def _milliseconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The fastest of some runs."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return round(min(taken) * 1e3, 1)


def _decisions(per_day: int) -> pl.DataFrame:
    """One row per decision with its outcome at one session."""
    rng = np.random.default_rng(11)
    sessions = market_sessions(ObservationPolicy(), MARKETS, FIRST, LAST, 1)
    due = sessions.with_columns(due=pl.col("session").shift(-1).over("market_id"))
    books = due.filter(pl.col("session").is_between(FIRST, LAST)).rename({"session": "as_of_date"})
    books = books.with_columns(regime=pl.Series(rng.choice(REGIMES, books.height)))
    rows = books.select(pl.all().repeat_by(per_day)).explode(pl.all())
    n = rows.height
    return rows.with_columns(
        weight=pl.lit(1.0 / per_day),
        ret=pl.Series(rng.normal(3e-4, 0.01, n)),
        stability=pl.Series(rng.choice(BUCKETS, n)),
        fragility=pl.Series(rng.choice(BUCKETS, n)),
    ).with_columns(pnl=pl.col("ret") * 1e6, hit=(pl.col("ret") > 0).cast(pl.Int64))


def _cells(decided: pl.DataFrame) -> pl.DataFrame:
    cubes = [_cube(decided, cube) for cube in ("regime", "stability", "fragility")]
    return pl.concat(cubes).sort("month", "engine_name", "config_id", "horizon", "cube", "as_of_date")


def _cube(decided: pl.DataFrame, cube: str) -> pl.DataFrame:
    keys = ["as_of_date", "market_id", pl.col(cube).alias("slice")]
    earned = pl.col("weight") * pl.col("ret")
    outcomes = decided.group_by(*keys, pl.col("due").alias("eval_date")).agg(
        *(pl.len().alias(name) for name in ("due", "valid", "returns", "pnl_n", "hit_eligible")),
        *(pl.col("weight").sum().alias(name) for name in ("weight_due", "weight_returned")),
        weighted_return=earned.sum(),
        pnl=pl.col("pnl").sum(),
        pnl_abs=pl.col("pnl").abs().sum(),
        hits=pl.col("hit").sum(),
        horizon=pl.lit(1),
    )
    decisions = decided.group_by(*keys).agg(decisions=pl.len(), horizon=pl.lit(0))
    decisions = decisions.with_columns(eval_date=pl.col("as_of_date"))
    rows = pl.concat([outcomes, decisions], how="diagonal_relaxed").with_columns(
        month=month_of(),
        cube=pl.lit(cube),
        known_date=pl.col("eval_date"),
        engine_name=pl.lit("PORTFOLIO"),
        config_id=pl.lit("a"),
        mode=pl.lit("LIVE"),
        experiment_id=pl.lit(""),
    )
    absent = [pl.lit(0).alias(name) for name in CELL_MEASURES if name not in rows.columns]
    filled = rows.with_columns(*absent).with_columns(pl.col(list(CELL_MEASURES)).fill_null(0))
    return filled.select(pl.col(name).cast(dtype) for name, dtype in CELLS.items())


def _by_pandas(frame: pd.DataFrame) -> dict[object, dict[str, float]]:
    """The same books and slices from single decisions."""
    frame = frame.assign(earned=frame["weight"] * frame["ret"])
    by_market = frame.groupby(["as_of_date", "market_id"])["earned"].sum().unstack()
    found = {"ALL": _empyrical(by_market.fillna(0.0).mean(axis=1))}
    found |= {market: _empyrical(by_market[market].dropna()) for market in by_market}
    for cut in (["regime"], ["stability"], ["fragility"], ["regime", "market_id"]):
        sums = frame.groupby([*cut, "as_of_date"])[["earned", "weight", "pnl", "hit"]].sum()
        conditional = sums["earned"] / sums["weight"]
        found |= {key: _empyrical(part) for key, part in conditional.groupby(level=list(range(len(cut))))}
    return found


def _empyrical(returns: pd.Series) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "avg_return": float(returns.mean()),
            "volatility": float(empyrical.annual_volatility(returns)),
            "sharpe": float(empyrical.sharpe_ratio(returns)),
            "sortino": float(empyrical.sortino_ratio(returns)),
            "cagr": float(empyrical.annual_return(returns)),
            "max_dd": float(empyrical.max_drawdown(returns)),
            "calmar": float(empyrical.calmar_ratio(returns)),
            "var_5": float(empyrical.value_at_risk(returns)),
            "cvar_5": float(empyrical.conditional_value_at_risk(returns)),
        }


if __name__ == "__main__":
    print(run())
