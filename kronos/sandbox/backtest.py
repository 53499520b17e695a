"""The reference engines as a backtest runner: a task in, decisions and their outcomes out, nothing else touched."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import polars as pl

from kronos.core.backtests.runner import Produced
from kronos.core.backtests.spec import Subject, Task
from kronos.core.frames import DECISIONS, OUTCOMES
from kronos.core.vocabulary import Mode
from kronos.errors import BadValue
from kronos.sandbox.altered import altered_market
from kronos.sandbox.engines import HORIZONS, decide, evaluate
from kronos.sandbox.markets import Market, load_markets
from kronos.sandbox.scenarios import scenario_market


def produce(task: Task) -> Produced:
    """Decisions of every subject in every market of the task, and their outcomes by task.data_until.

    A market whose data has not begun by then, or that has fewer instruments than the engine needs, gives no rows.
    """
    decided, came = [pl.DataFrame(schema=DECISIONS)], [pl.DataFrame(schema=OUTCOMES)]
    for market, start in _markets(task):
        for subject in task.subjects:
            decisions = _decisions(task, subject, market, start)
            decided.append(decisions.select(*DECISIONS))
            came.append(evaluate(decisions, market))
    return Produced(pl.concat(decided), pl.concat(came))


def _decisions(task: Task, subject: Subject, market: Market, start: date) -> pl.DataFrame:
    return decide(
        task.engine_name,
        subject.config_body,
        market,
        start,
        task.end,
        config_id=subject.config_id,
        mode=Mode.BACKTEST,
        experiment_id=task.experiment_id,
        seed=task.seed,
    )


def _markets(task: Task) -> Iterator[tuple[Market, date]]:
    """The task's markets as far as they may be looked at, with the first date to decide on."""
    every = load_markets()
    for name in task.markets:
        if name not in every:
            raise BadValue("market of a sandbox backtest", name, f"one of {', '.join(sorted(every))}")
        there = every[name] if task.altered is None else altered_market(every[name], task.altered)
        market, start = _until_evaluated(there, task), task.start
        if task.scenario is not None:
            market, first = scenario_market(every[name], task.scenario, start, task.data_until, task.scenario_seed)
            start = max(start, first)
        if len(market.sessions):
            yield market, start


def _until_evaluated(market: Market, task: Task) -> Market:
    """No session later than the last one that evaluates a decision of the task."""
    known = market.until(task.data_until)
    after = int(np.searchsorted(known.sessions, np.datetime64(task.end), side="right")) + max(HORIZONS)
    return known if after >= len(known.sessions) else known.until(known.sessions[after - 1].astype(object))
