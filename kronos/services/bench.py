"""What a backtest's worker works with, from what is open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from kronos.services.attempts import Bench
from kronos.services.pipeline import Pipeline
from kronos.services.runners import choose_runner
from kronos.services.workplace import workplace_over
from kronos.settings import Settings


def bench_over(settings: Settings, pipeline: Pipeline, now: datetime, say: Callable[[str], None]) -> Bench:
    """The settings' runners over an open pipeline; now: in the data's own time."""
    return Bench(
        workplace_over(settings, pipeline.database, pipeline.policy),
        pipeline,
        now,
        lambda experiment: choose_runner(settings, pipeline, experiment, now, say),
        say,
    )
