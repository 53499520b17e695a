"""Cells for report tests, built by hand from a few arrays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import polars as pl

from kronos.core.frames import CELL_MEASURES, CELLS, SESSIONS, month_of

START = date(2001, 1, 1)


def weekdays(count: int, start: date = START) -> list[date]:
    """So many weekdays from a Monday on."""
    return [start + timedelta(days=7 * (i // 5) + i % 5) for i in range(count)]


def sessions(*markets: str, count: int = 12_000, start: date = START) -> pl.DataFrame:
    """Weekday sessions of markets."""
    days = weekdays(count, start)
    frames = [pl.DataFrame({"market_id": [market] * count, "session": days}, schema=SESSIONS) for market in markets]
    return pl.concat(frames)


def cells(
    returns: Sequence[float | None] | np.ndarray,
    *,
    days: list[date] | None = None,
    market: str = "US_EQ",
    config: str = "a",
    engine: str = "PORTFOLIO",
    horizon: int = 1,
    labels: Sequence[str] | None = None,
    buckets: Sequence[str] | None = None,
    weight: float | Sequence[float] = 1.0,
    pnl: Sequence[float] | None = None,
    mode: str = "LIVE",
    **measures: Sequence[float] | np.ndarray,
) -> pl.DataFrame:
    """One decision per day with its return at `horizon`; a None return is due but missing.

    labels: regime per day; buckets: stability and fragility bucket per day. Further measures by name, one per day.
    """
    days = days or weekdays(len(returns))
    due = _due(days, horizon)
    n = len(days)
    values = [None if r is None else float(r) for r in returns]
    weights = [float(weight)] * n if isinstance(weight, int | float) else [float(w) for w in weight]
    base = {
        "as_of_date": days,
        "engine_name": [engine] * n,
        "config_id": [config] * n,
        "market_id": [market] * n,
        "mode": [mode] * n,
        "experiment_id": [""] * n,
    }
    decided = base | {"eval_date": days, "known_date": days, "horizon": [0] * n, "decisions": [1] * n}
    valid = [int(value is not None) for value in values]
    outcome = base | {
        "eval_date": due,
        "known_date": due,
        "horizon": [horizon] * n,
        "due": [1] * n,
        "valid": valid,
        "returns": valid,
        "weight_due": weights,
        "weight_returned": [w * v for w, v in zip(weights, valid, strict=True)],
        "weighted_return": [w * (value or 0.0) for w, value in zip(weights, values, strict=True)],
        **measures,
    }
    if pnl is not None:
        outcome |= {"pnl": pnl, "pnl_abs": [abs(p) for p in pnl], "pnl_n": [1] * n}
    rows = pl.concat([pl.DataFrame(decided), pl.DataFrame(outcome)], how="diagonal")
    return cube_rows(rows, _twice(labels, "CALM", n), _twice(buckets, "LOW", n))


def cube_rows(rows: pl.DataFrame, labels: list[str], buckets: list[str]) -> pl.DataFrame:
    """The rows once per cube, with all columns of the contract."""
    zeros = [pl.lit(0).alias(name) for name in CELL_MEASURES if name not in rows.columns]
    full = rows.with_columns(*zeros).with_columns(pl.col(list(CELL_MEASURES)).fill_null(0))
    cubes = [
        full.with_columns(cube=pl.lit(cube), slice=pl.Series(names, dtype=pl.String))
        for cube, names in (("regime", labels), ("stability", buckets), ("fragility", buckets))
    ]
    return (
        pl.concat(cubes)
        .with_columns(month=month_of())
        .select(pl.col(name).cast(dtype) for name, dtype in CELLS.items())
    )


def _due(days: list[date], horizon: int) -> list[date]:
    axis = weekdays((days[-1] - START).days + 20 * horizon + 20)
    place = {day: i for i, day in enumerate(axis)}
    return [axis[place[day] + horizon] for day in days]


def _twice(labels: Sequence[str] | None, default: str, n: int) -> list[str]:
    return [str(label) for label in (labels if labels is not None else [default] * n)] * 2
