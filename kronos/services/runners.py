"""Which runner backtests an engine, and in which markets."""

from __future__ import annotations

from kronos.backtests.isolated import Isolated
from kronos.backtests.processes import Limits
from kronos.core.backtests.runner import ChosenRunner
from kronos.core.vocabulary import ResourceClass
from kronos.errors import BacktestFailed
from kronos.services.pipeline import Pipeline
from kronos.settings import Settings

SANDBOX = "sandbox"
_SANDBOX_FUNCTION = "kronos.sandbox.backtest:produce"


def choose_runner(
    settings: Settings, pipeline: Pipeline, engine_name: str, resource_class: ResourceClass
) -> ChosenRunner:
    """The engine's runner; `BacktestFailed`, finally, when there is none."""
    terms, need = pipeline.policy.backtests, pipeline.policy.scheduler.need(engine_name, resource_class)
    limits = Limits(terms.nice, need.memory_mb)
    if settings.sandbox:
        # only who backtests loads the prices
        from kronos.sandbox.engines import ENGINES
        from kronos.sandbox.markets import load_markets

        if engine_name in ENGINES:
            return ChosenRunner(SANDBOX, lambda: Isolated(_SANDBOX_FUNCTION, limits), tuple(load_markets()))
    raise BacktestFailed(f"engine {engine_name!r} has no runner: name one in policy backtests.runners", final=True)
