"""The book series against a slow twin: plain loops over days, markets and configs, written from the definition."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from kronos.core.policy import ObservationPolicy
from kronos.core.reports.axis import Window
from kronos.core.reports.evidence import evidence
from kronos.core.reports.performance import performance_report
from kronos_tests.core.reports.builders import START, cells, sessions, weekdays

DAYS = weekdays(70)
MARKETS = {"US_EQ": lambda day: True, "EU_EQ": lambda day: day.weekday() != 2, "JP_EQ": lambda day: day.day % 3 != 0}
Book = dict[tuple[str, str], dict[date, float | None]]


def random_books(seed: int) -> Book:
    """(config, market) -> decision date -> weighted return, None when missing; some sessions have no decision."""
    rng = np.random.default_rng(seed)
    books: Book = {}
    for config in ("a", "b", "c"):
        for market, is_open in MARKETS.items():
            first, last = sorted(rng.integers(0, 60, 2))
            days = [day for day in DAYS[first : last + 5] if is_open(day) and rng.random() < 0.8]
            if rng.random() < 0.8 and days:
                draws = rng.normal(0, 0.02, len(days))
                books[config, market] = {
                    d: None if rng.random() < 0.03 else float(r) for d, r in zip(days, draws, strict=True)
                }
    return books


def twin(books: Book) -> list[float | None]:
    """The pooled book by decision date."""
    series: list[float | None] = []
    for day in DAYS:
        per_config: list[float | None] = []
        any_session = False
        for config in ("a", "b", "c"):
            markets = {m: days for (c, m), days in books.items() if c == config}
            if not markets or not min(map(min, markets.values())) <= day <= max(map(max, markets.values())):
                continue
            parts: list[float | None] = []
            for market, days in markets.items():
                if min(days) <= day <= max(days):
                    any_session = any_session or MARKETS[market](day)
                    parts.append(days.get(day, 0.0))
            if None in parts:
                per_config.append(None)
            else:
                per_config.append(sum(p for p in parts if p is not None) / len(parts) if parts else 0.0)
        if any_session:
            missing = None in per_config
            series.append(None if missing else sum(p for p in per_config if p is not None) / len(per_config))
    return series


@pytest.mark.parametrize("seed", range(8))
def test_pooled_book_equals_its_twin(seed: int) -> None:
    books = random_books(seed)
    frames = [
        cells(list(days.values()), days=list(days), config=config, market=market)
        for (config, market), days in books.items()
    ]
    calendar = sessions(*MARKETS, count=400).filter(
        pl.any_horizontal(
            pl.col("market_id") == "US_EQ",
            (pl.col("market_id") == "EU_EQ") & (pl.col("session").dt.weekday() != 3),
            (pl.col("market_id") == "JP_EQ") & (pl.col("session").dt.day() % 3 != 0),
        )
    )
    held = evidence(pl.concat(frames), calendar, horizon=1, newest=date(2002, 1, 1))
    report = performance_report(
        held, ObservationPolicy(), Window(START, DAYS[-1]), config_id=None, recorded_by="recorded"
    )
    expected = [r for r in twin(books) if r is not None]
    assert report.observations["avg_return"] == len(expected)
    assert report.metrics["avg_return"] == pytest.approx(np.mean(expected), rel=1e-9, abs=1e-15)
    assert report.metrics["volatility"] == pytest.approx(
        np.std(expected, ddof=1) * np.sqrt(report.annualisation), rel=1e-9
    )
