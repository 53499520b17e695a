"""A task, and rows a runner could give for it; keyword arguments change them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from kronos.core.backtests.spec import Subject, Task
from kronos_tests import frames

START, END, DATA_UNTIL = date(2020, 3, 2), date(2020, 3, 13), date(2020, 3, 20)
STREAM = "11111111-2222-3333-4444-555555555555"
TASK = Task(
    piece="fold-001",
    experiment_id=STREAM,
    engine_name="PORTFOLIO",
    markets=("US_EQ", "EU_EQ"),
    subjects=(
        Subject(config_id="new", config_body={"lookback": 20}),
        Subject(config_id="fast", config_body={"lookback": 5}),
    ),
    start=START,
    end=END,
    train_until=date(2020, 1, 31),
    data_until=DATA_UNTIL,
    seed=7,
)


def decision(name: str = "d1", day: date = START, **changes: Any) -> frames.Row:
    """A decision the task asks for."""
    return frames.decision(name, day, mode="BACKTEST", experiment_id=STREAM) | changes


def outcome(name: str = "d1", day: date | None = START + timedelta(days=1), **changes: Any) -> frames.Row:
    """Its outcome."""
    return frames.outcome(name, day) | changes
