"""Small specs of backtests; keyword arguments change them."""

from __future__ import annotations

from datetime import date
from typing import Any

from kronos.core.backtests.spec import BacktestSpec, Subject, walk_forward
from kronos.core.scenarios.battery import Battery, BlockBootstrap, HistoricalWindow, ShockOverlay

EXPERIMENT = "6f1c2c52-6a9e-4c1c-9a53-0d6f3c0f6a11"
START, END = date(2010, 3, 15), date(2014, 9, 30)
WINDOW = HistoricalWindow(name="downgrade", about="", start=date(2011, 7, 22), end=date(2011, 10, 3))
CRISIS = BlockBootstrap(name="crisis", about="bad days only", regimes=("CRISIS",), mean_block=21.0)
GRIND = ShockOverlay(name="slow-grind", about="", yearly_drift=-0.2)
BATTERY = Battery(scenarios=(GRIND, WINDOW, CRISIS), seed=11)


def spec(**changes: Any) -> BacktestSpec:
    """Two configs in two markets over three folds and two scenarios that have to be played."""
    usual: dict[str, Any] = {
        "experiment_id": EXPERIMENT,
        "engine_name": "PORTFOLIO",
        "runner": "sandbox",
        "markets": ("US_EQ", "US_ETF"),
        "start": START,
        "end": END,
        "subjects": (
            Subject(config_id="new", config_body={"lookback": 20, "gross": 0.5}),
            Subject(config_id="base", config_body={"lookback": 5}),
        ),
        "incumbent": "base",
        "folds": walk_forward(START, END, 24, 31),
        "battery": BATTERY,
        "seed": 7,
    }
    return BacktestSpec(**{**usual, **changes})
