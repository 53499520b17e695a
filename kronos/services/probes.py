"""Try what the configs of a backtest look at, at one date: run the probe's tasks and compare what was decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from kronos.core.backtests.probes import Method, ProbeRuns, added, differing, last_decisions, probe_runs, report
from kronos.core.backtests.runner import Ability, Runner, Watch
from kronos.core.backtests.spec import Task
from kronos.core.frames import DECISIONS, empty
from kronos.errors import BacktestFailed
from kronos.services.backtest_rows import run_controlled

Answer = dict[str, Any]


def probe(task: Task, freshness_sessions: int, runner: Runner, watch: Watch) -> dict[str, Answer]:
    """Per config what a probe piece found: `repeat`, `future` and `fresh`, each with counts or with why it has none."""
    runs = probe_runs(task, freshness_sessions)

    def decided(one: Task) -> pl.DataFrame:
        return run_controlled(one, runner, watch).decisions

    unrepeated, unaltered = runner.unable(Ability.REPEAT), runner.unable(Ability.ALTER)
    # where it can do neither nothing is held beside it
    real = decided(runs.real) if None in (unrepeated, unaltered) else empty(DECISIONS)
    answers = {
        "repeat": _asked(unrepeated, lambda: differing(real, decided(runs.real), runs.day)),
        "future": _asked(None, lambda: _altered_future(real, runs, decided), method=Method.ALTERED)
        if unaltered is None
        else _asked(None, lambda: _truncated(runs, decided), method=Method.TRUNCATED),
        "fresh": _asked(unaltered, lambda: _fresh(real, runs, decided)),
    }
    return report([one.config_id for one in task.subjects], runs.day, answers)


def _asked(
    why_not: str | None, ask: Callable[[], dict[str, dict[str, Any]]], *, method: Method | None = None
) -> Answer:
    """An answer per config; the reason where the runner cannot, or its engine would not, be asked."""
    if why_not is not None:
        return {"refused": why_not}
    try:
        return {"configs": ask()} | ({} if method is None else {"method": method.value})
    except BacktestFailed as failed:
        if not failed.final:
            raise
        return {"refused": str(failed)}


def _altered_future(real: pl.DataFrame, runs: ProbeRuns, decided: Callable[[Task], pl.DataFrame]) -> dict[str, Answer]:
    another = differing(real, decided(runs.another_future), runs.day)
    none = differing(real, decided(runs.cut), runs.day)
    return {config_id: added(found, none[config_id]) for config_id, found in another.items()}


def _truncated(runs: ProbeRuns, decided: Callable[[Task], pl.DataFrame]) -> dict[str, Answer]:
    return differing(decided(runs.longer), decided(runs.cut), runs.day)


def _fresh(real: pl.DataFrame, runs: ProbeRuns, decided: Callable[[Task], pl.DataFrame]) -> dict[str, Answer]:
    now = last_decisions(real, runs.day)
    other = last_decisions(decided(runs.another_present), runs.day)
    return differing(now, other, runs.day)
