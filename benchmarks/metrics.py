"""Series metrics of 100 configs, 2,500 days, all slices: the registry against loops over empyrical and quantstats.

    python -m benchmarks metrics

Definitions are matched first: a number that a peer has too must agree in every slice. quantstats' VaR and CVaR are
Gaussian, so tails are compared with empyrical only. Two ways through Kronos are timed: the registry's formulas in one
group_by (numbers only, which is what the peers give), and the reports' own path with a reason or an interval for every
number. Seconds are wall time, the best of several runs of each side in this process; Kronos, which uses all
processors, runs before, between and after the peers, so that another's burst of work does not decide.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping

import empyrical
import numpy as np
import pandas as pd
import polars as pl
import quantstats

from kronos.core.metrics.metric import Basis, Composed, Formula
from kronos.core.metrics.registry import SERIES
from kronos.core.reports.groups import GROUP, Slice
from kronos.core.reports.measure import MOMENTS, WEALTH, Annualisation, Figures, measure_series
from kronos.core.vocabulary import ALL, Dimension

CONFIGS, SESSIONS = 100, 2500
CUTS = {
    Dimension.REGIME: ("CALM", "CRISIS", "GROWTH", "RISK_OFF"),
    Dimension.STABILITY: ("HIGH", "LOW", "MEDIUM", "VERY_LOW"),
    Dimension.FRAGILITY: ("HIGH", "LOW", "MEDIUM", "VERY_LOW"),
}
Peer = Mapping[str, Callable[[pd.Series], float]]
Numbers = dict[str, list[float]]
Part = tuple[Slice, pd.Series, np.ndarray]

EMPYRICAL: Peer = {
    "avg_return": np.mean,
    "contribution": np.sum,
    "volatility": empyrical.annual_volatility,
    "sharpe": empyrical.sharpe_ratio,
    "sortino": empyrical.sortino_ratio,
    "var_5": empyrical.value_at_risk,
    "cvar_5": empyrical.conditional_value_at_risk,
    "cagr": empyrical.annual_return,
    "max_dd": empyrical.max_drawdown,
    "calmar": empyrical.calmar_ratio,
}
QUANTSTATS: Peer = {
    "avg_return": np.mean,
    "contribution": np.sum,
    "volatility": quantstats.stats.volatility,
    "sharpe": quantstats.stats.sharpe,
    "sortino": quantstats.stats.sortino,
    "hit_rate_day": quantstats.stats.win_rate,
    "cagr": quantstats.stats.cagr,
    "max_dd": quantstats.stats.max_drawdown,
    "calmar": quantstats.stats.calmar,
}


def run() -> dict[str, object]:
    """How many times faster, and the largest relative difference between any two numbers."""
    parts = list(_parts())
    frame, slices = _frame(parts), {group: part[0] for group, part in enumerate(parts)}
    numbers, theirs = best_of(lambda: registry_numbers(frame), 10), {}
    for name, peer, times in (("empyrical", EMPYRICAL, 3), ("quantstats", QUANTSTATS, 1)):
        theirs[name] = best_of(lambda peer=peer: _loop(parts, peer), times)
        numbers = min(numbers, best_of(lambda: registry_numbers(frame), 10))
    reported = best_of(lambda: _reported(frame, slices), 3)
    ours = registry_numbers(frame).drop(GROUP)
    full = pl.DataFrame([figures.values for figures in _reported(frame, slices).values()])
    return {
        "slices": len(parts),
        "rows": frame.height,
        "numbers_seconds": round(numbers, 4),
        "with_reasons_and_intervals_seconds": round(reported, 4),
    } | {
        name: {
            "seconds": round(theirs[name], 3),
            "times_faster": round(theirs[name] / numbers, 1),
            "times_faster_with_reasons_and_intervals": round(theirs[name] / reported, 1),
            "largest_relative_difference": max(_difference(ours, found), _difference(full, found)),
        }
        for name, found in (("empyrical", _loop(parts, EMPYRICAL)), ("quantstats", _loop(parts, QUANTSTATS)))
    }


def registry_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Every series metric of every group; what several metrics are made of is computed once."""
    made = {_name(m.column, part): part(pl.col(m.column), Basis()) for m in SERIES for part in _made_of(m.formula)}
    grouped = frame.lazy().group_by(GROUP, maintain_order=True).agg(**made)
    composed = {
        m.id: m.formula.of(*(pl.col(_name(m.column, part)) for part in m.formula.parts))
        if isinstance(m.formula, Composed)
        else pl.col(_name(m.column, m.formula))
        for m in SERIES
    }
    return grouped.select(GROUP, **composed).collect()


def _made_of(formula: Formula) -> tuple[Formula, ...]:
    return formula.parts if isinstance(formula, Composed) else (formula,)


def _name(column: str, formula: Formula) -> str:
    return f"{column}!{getattr(formula, '__name__', '')}"


def _reported(frame: pl.DataFrame, slices: Mapping[int, Slice]) -> dict[int, Figures]:
    """The reports' own path from series to figures."""
    found = {group: Figures() for group in slices}
    annualisation = Annualisation({one.book: 252.0 for one in slices.values()}, {}, 0.0, 1)
    for metrics in (MOMENTS, WEALTH):
        measure_series(found, slices, frame, metrics, annualisation)
    return found


def _parts() -> Iterator[Part]:
    """Each slice of each config with the config's returns and the slice's dates, in order of the config."""
    rng = np.random.default_rng(5)
    returns = rng.normal(4e-4, 0.01, (SESSIONS, CONFIGS))
    days = pd.bdate_range("2010-01-01", periods=SESSIONS)
    labels = {dimension: rng.choice(words, SESSIONS) for dimension, words in CUTS.items()}
    for config in range(CONFIGS):
        book, series = f"c{config}", pd.Series(returns[:, config], index=days)
        yield Slice(book, Dimension.OVERALL, ALL), series, np.ones(SESSIONS, dtype=bool)
        for dimension, words in CUTS.items():
            for word in words:
                yield Slice(book, dimension, word), series, labels[dimension] == word


def _frame(parts: list[Part]) -> pl.DataFrame:
    """What `build_series` hands to `measure_series`: one row per slice and date, in that order."""
    days = np.concatenate([series.index.to_numpy()[dates] for _, series, dates in parts]).astype("datetime64[D]")
    values = np.concatenate([series.to_numpy()[dates] for _, series, dates in parts])
    group = np.repeat(np.arange(len(parts)), [dates.sum() for _, _, dates in parts])
    return pl.DataFrame(
        {
            GROUP: pl.Series(group).set_sorted(),
            "position": np.unique(days, return_inverse=True)[1].astype(np.int64),
            "as_of_date": days,
            "date": days,
            "return": values,
            "contribution": values,
            "growth": values,
        }
    )


def _loop(parts: list[Part], peer: Peer) -> Numbers:
    """One slice and one number at a time."""
    found: Numbers = {name: [] for name in peer}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _, series, dates in parts:
            chosen = series[dates]
            for name, of in peer.items():
                found[name].append(float(of(chosen)))
    return found


def _difference(ours: pl.DataFrame, theirs: Numbers) -> float:
    """Largest difference relative to the larger number."""
    found = 0.0
    for name, values in theirs.items():
        mine, other = ours[name].to_numpy(), np.array(values)
        found = max(found, float((np.abs(mine - other) / np.maximum(np.abs(mine), np.abs(other))).max()))
    return found


def best_of(work: Callable[[], object], times: int) -> float:
    """Shortest duration in seconds."""
    durations = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        durations.append(time.perf_counter() - started)
    return min(durations)
