"""The rows of one piece: what the runner gives, with controls laid over it and neighbours beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import polars as pl

from kronos.backtests.contract import held_to_sessions
from kronos.core.backtests.neighbours import LeftOut
from kronos.core.backtests.runner import Produced, Runner, Watch
from kronos.core.backtests.spec import Subject, Task
from kronos.core.controls.transforms import controlled
from kronos.core.policy import ObservationPolicy
from kronos.errors import BacktestFailed, BadValue, TaskRefused
from kronos.services.sessions import market_sessions

_DAYS_PER_SESSION: Final = 1.5
_HOLIDAYS: Final = timedelta(days=10)

Missing = dict[str, dict[str, Any]]
"""Neighbour -> the reason, under the `LeftOut` it is of."""


@dataclass(frozen=True)
class NotPlayed:
    """Why a scenario has no rows; failed: playing it did, rather than that it is not to be played."""

    why: str
    failed: bool


def rows_of(
    task: Task, runner: Runner, watch: Watch, *, last_try: bool = False
) -> tuple[Produced, NotPlayed | None, Missing]:
    """The task's rows; of a scenario that was not played none, and why; neighbours that were not run.

    Scenarios and neighbours are left out where the runner refuses them or would fail again, on the last try wherever it
    fails: the gates miss them then. The configs that are compared have to be run.
    """
    why = None if task.scenario is None else runner.unsupported(task.scenario)
    if why is not None:
        return Produced.nothing(), NotPlayed(why, failed=False), {}
    compared = tuple(one for one in task.subjects if not one.is_neighbour)
    try:
        made = [run_controlled(_with(task, compared), runner, watch)] if compared else []
    except BacktestFailed as failed:
        if task.scenario is None or not (failed.final or last_try):
            raise
        return Produced.nothing(), NotPlayed(str(failed), failed=not isinstance(failed, TaskRefused)), {}
    missing: Missing = {}
    for one in task.subjects:
        if one.is_neighbour:
            try:
                made.append(run_controlled(_with(task, (one,)), runner, watch))
            except BacktestFailed as failed:
                if not (failed.final or last_try):
                    raise
                kind = LeftOut.REFUSED if isinstance(failed, TaskRefused) else LeftOut.FAILED
                missing[one.config_id] = {kind.value: str(failed)}
    return together(made), None, missing


def within_data(policy: ObservationPolicy, task: Task, produced: Produced) -> Produced:
    """The rows without outcomes that the markets' calendars evaluate after the task's data ends."""
    undated = produced.outcomes.filter(pl.col("eval_date").is_null())
    if undated.is_empty():
        return produced
    markets, longest = produced.decisions["market_id"].unique(), max(undated["horizon"].unique())
    return held_to_sessions(task, produced, market_sessions(policy, markets, task.start, task.end, longest))


def run_controlled(task: Task, runner: Runner, watch: Watch) -> Produced:
    """Run a task with every subject's control laid over its rows; the runner knows of no control.

    A control that depends on earlier sessions has its subject run from so much earlier, where dates are real.
    """
    groups: dict[int, list[Subject]] = {}
    for one in task.subjects:
        needed = one.control.lead_sessions if one.control is not None and task.scenario is None else 0
        groups.setdefault(needed, []).append(one)
    return together([_group(task, tuple(group), needed, runner, watch) for needed, group in groups.items()])


def together(parts: Iterable[Produced]) -> Produced:
    """Rows one below the other."""
    every = list(parts) or [Produced.nothing()]
    if len(every) == 1:
        return every[0]
    return Produced(
        pl.concat([one.decisions for one in every]),
        pl.concat([one.outcomes for one in every]),
        pl.concat([one.rejected for one in every]),
    )


def _group(task: Task, subjects: tuple[Subject, ...], needed: int, runner: Runner, watch: Watch) -> Produced:
    plain = tuple(Subject(config_id=one.config_id, config_body=one.config_body) for one in subjects)
    lead = timedelta(days=round(needed * _DAYS_PER_SESSION)) + _HOLIDAYS if needed else timedelta(0)
    asked = task.model_copy(update={"subjects": plain, "start": task.start - lead})
    produced = runner.run(asked, watch)
    try:
        made = controlled(produced, subjects)
    except BadValue as error:
        # the same control would meet the same rows again
        raise BacktestFailed(str(error), final=True) from error
    if not needed:
        return made
    decisions = made.decisions.filter(pl.col("as_of_date") >= task.start)
    outcomes = made.outcomes.join(decisions.select("decision_id"), on="decision_id", how="semi", maintain_order="left")
    return Produced(decisions, outcomes, made.rejected.filter(pl.col("as_of_date") >= task.start))


def _with(task: Task, subjects: tuple[Subject, ...]) -> Task:
    return task.model_copy(update={"subjects": subjects})
