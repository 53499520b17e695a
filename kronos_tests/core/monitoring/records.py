"""Records of one config over weekdays, and what the monitor says of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from kronos.core.monitoring.model import EngineMonitoring, MonitorFinding, Watch, Watched
from kronos.core.monitoring.monitor import monitor_engine
from kronos.core.policy import MonitoringPolicy, ObservationPolicy
from kronos.core.reports.evidence import evidence
from kronos_tests.core.reports.builders import cells, sessions, weekdays

BEFORE, SINCE = 1_000, 250
N = BEFORE + SINCE
DAYS = weekdays(N)
START, TODAY = DAYS[BEFORE], weekdays(N + 1)[-1]
WATCHED = Watched("a", "*", START)


def returns(seed: int = 1, *, drop: float = 0.0, n: int = N) -> np.ndarray:
    """Daily returns of Sharpe 1 a year; from the start of monitoring on, `drop` less."""
    rng = np.random.default_rng(seed)
    sharpe = np.where(np.arange(n) < BEFORE, 1.0, 1.0 - drop)
    return np.asarray(0.01 * (rng.standard_normal(n) + sharpe / np.sqrt(252)))


def briers(seed: int = 2, *, rise: float = 0.0, n: int = N) -> np.ndarray:
    """Daily Brier scores around 0.25; from the start of monitoring on, higher by `rise` standard deviations."""
    rng = np.random.default_rng(seed)
    return np.asarray(0.25 + 0.05 * (rng.uniform(-1, 1, n) + rise * (np.arange(n) >= BEFORE)))


def forecasts(scores: np.ndarray) -> dict[str, Any]:
    """Measures of a forecast a day with these scores."""
    return {"brier_sum": scores, "forecast_n": np.ones(len(scores), dtype=int)}


def missing(values: np.ndarray, at: slice) -> list[float | None]:
    """The values with a stretch of due but missing outcomes."""
    gone = set(range(*at.indices(len(values))))
    return [None if day in gone else float(value) for day, value in enumerate(values)]


def look(
    frame: pl.DataFrame | None,
    *watched: Watched,
    as_of: date = TODAY,
    horizon: int = 1,
    policy: MonitoringPolicy | None = None,
) -> EngineMonitoring:
    """What the monitor says of these cells; the config `a` is watched everywhere from START on unless told."""
    held = None if frame is None else evidence(frame, sessions("US_EQ", "EU_EQ", count=N + 60), horizon=horizon)
    chosen = ObservationPolicy(monitoring=policy or MonitoringPolicy())
    return monitor_engine(held, chosen, "PORTFOLIO", watched or [WATCHED], as_of)


def finding(frame: pl.DataFrame | None, metric: Watch = Watch.RETURN, **options: Any) -> MonitorFinding:
    """The one finding of a metric."""
    (found,) = (one for one in look(frame, **options).findings if one.metric is metric)
    return found


def until(frame: pl.DataFrame, day: date) -> pl.DataFrame:
    """The cells of a record that ends on a day."""
    return frame.filter(pl.col("known_date") <= day, pl.col("eval_date") <= day)


def book(values: Sequence[float | None] | np.ndarray, **options: Any) -> pl.DataFrame:
    """Cells of config `a`."""
    return cells(values, days=weekdays(len(values)), **options)
