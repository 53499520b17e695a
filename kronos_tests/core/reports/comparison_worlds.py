"""Worlds whose truth is known: ten years of an incumbent in four regimes and two markets, and configs made from it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from kronos.core.policy import ComparisonPolicy, ObservationPolicy
from kronos.core.reports.axis import Window
from kronos.core.reports.comparison import comparison
from kronos.core.reports.comparison_model import ConfigComparison
from kronos.core.reports.comparison_trials import Ledger
from kronos.core.reports.evidence import evidence
from kronos_tests.core.reports.builders import START, cells, sessions, weekdays

N = 2_600
REGIMES = ("CALM", "NORMAL", "STRESS", "CRISIS")
LABELS = [REGIMES[(day // 65) % 4] for day in range(N)]
CRISIS = np.array([label == "CRISIS" for label in LABELS])
POLICY = ComparisonPolicy(
    resamples=2_000, window_years=2, detectable_sharpe=1.0, niche_slices=("regime:CRISIS", "regime:STRESS")
)
"""Fewer resamples than the default, for speed."""

Books = Mapping[str, np.ndarray]


def books(seed: int = 1) -> dict[str, np.ndarray]:
    """An incumbent of Sharpe 0.8 a year, a copy, one better every day, one good in CRISIS only, one bad everywhere."""
    rng = np.random.default_rng(seed)
    incumbent = rng.normal(0.0005, 0.01, N)
    noise = rng.normal(0, 0.004, (3, N))
    return {
        "incumbent": incumbent,
        "copy": incumbent.copy(),
        "shifted": incumbent + 0.001,
        "crisis": incumbent + noise[0] + np.where(CRISIS, 0.004, -0.0012),
        "bad": incumbent + noise[1] - 0.0015,
    }


def record(
    configs: Books, *, engine: str = "PORTFOLIO", market: str = "US_EQ", horizon: int = 1, **measures: Books
) -> pl.DataFrame:
    """Cells of these books in one market; a NaN is due but missing. Further measures by name and config."""
    return pl.concat(
        [
            cells(
                [None if np.isnan(value) else float(value) for value in values],
                config=name,
                engine=engine,
                market=market,
                labels=LABELS[: len(values)],
                horizon=horizon,
                **{measure: held[name] for measure, held in measures.items()},
            )
            for name, values in configs.items()
        ]
    )


def compare(
    frame: pl.DataFrame,
    policy: ComparisonPolicy = POLICY,
    *,
    incumbent: str | None = "incumbent",
    ids: list[str] | None = None,
    horizon: int = 1,
    reverse: bool = False,
    ledger: Ledger | None = None,
) -> ConfigComparison:
    """The comparison of these cells over all their dates."""
    held = evidence(frame, sessions("US_EQ", "US_ETF", count=N + 60), horizon=horizon)
    first, last = START, weekdays(N + 60)[-1]
    return comparison(
        held,
        ObservationPolicy(comparison=policy),
        Window(last, first) if reverse else Window(first, last),
        incumbent=incumbent,
        config_ids=ids if ids is not None else sorted(frame["config_id"].unique()),
        ledger=ledger,
    )
