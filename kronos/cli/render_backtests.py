"""The backtest queue, attempts and scenarios as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kronos.core.backtests.attempts import Attempt
from kronos.core.backtests.spec import SubjectRole
from kronos.core.changes.model import PeriodResult
from kronos.core.gates.scenario_figures import DRAWDOWN
from kronos.core.scheduling.decisions import END_UNKNOWN
from kronos.services.backtest_queue import QueueStatus, Waiting
from kronos.services.telemetry import IoMeasure
from kronos.store.backtests import RunningBacktest
from kronos.store.scheduler import KeptDecision, SchedulerState

_SHORT_ID = 8
_SHOWN = ("avg_return", "sharpe", DRAWDOWN, "brier", "brier_multi", "mean_loss")


def print_queue(found: QueueStatus, console: Console) -> None:
    """Whether anybody plans, what runs and what waits."""
    _print_state(found, console)
    _print_running(found.running, found.now, console)
    _print_waiting(found.waiting, console)
    if found.silent and any(one.decision for one in found.waiting):
        console.print(
            "reasons and expected starts as of the last plan: until there is another nothing starts", style="dim"
        )


def print_attempts(attempts: Sequence[Attempt], console: Console) -> None:
    """One line per start of the backtests."""
    if not attempts:
        return
    table = _table("attempt", "node", "admitted UTC", "took", "pieces", "outcome", "run")
    table.add_column("why", overflow="fold")
    for one in attempts:
        still = "still at it" if one.started_at else "not begun"
        took = _duration(one.ended_at - one.admitted_at) if one.ended_at else still
        stand = "?" if one.pieces_stand is None else one.pieces_stand
        pieces = f"{one.pieces_before} to {stand} of {one.pieces}"
        table.add_row(
            str(one.attempt),
            escape(one.node),
            _second(one.admitted_at),
            took,
            pieces,
            one.outcome or "",
            (one.run_id or "")[:_SHORT_ID],
            escape(one.why or ""),
        )
    console.print(table)


def print_scenarios(whole: PeriodResult | None, console: Console) -> None:
    """One line per scenario: the proposed config, with the one it is held against behind it."""
    scenarios: Mapping[str, Any] = {} if whole is None else whole.detail.get("scenarios", {})
    if whole is None or not scenarios:
        return
    proposed, rival = _proposed(whole), _rival(whole)
    shown = [name for name in _SHOWN if name in whole.metrics]
    table = _table("scenario", *shown)
    table.add_column("what is played", overflow="fold")
    for name, one in scenarios.items():
        numbers = [_pair(one.get("configs", {}), proposed, rival, metric) for metric in shown]
        refused = one.get("refused")
        table.add_row(name, *numbers, escape(f"not played: {refused}" if refused else one["what"]))
    console.print(table)
    console.print(
        f"each number: the proposed config, and in brackets {escape(rival or 'nobody')}; "
        f"{DRAWDOWN} of single sessions, as it is judged",
        style="dim",
    )
    if outside := whole.detail.get("windows_left_out"):
        names = ", ".join(f"{name} ({dates})" for name, dates in sorted(outside.items(), key=lambda one: one[1]))
        console.print(escape(f"outside these dates and so not read: {names}"), style="dim")


def _print_state(found: QueueStatus, console: Console) -> None:
    state = found.state
    if state is None:
        console.print("nothing was ever planned: the scheduler runs in Dagster's daemon (`kronos up`)", style="yellow")
        return
    age = _duration(found.now - state.planned_at)
    if found.silent:
        console.print(f"last plan {age} ago: the scheduler is not running (`kronos up` starts it)", style="bold yellow")
    else:
        console.print(f"last plan {age} ago: {state.counts['running']} running, {state.counts['queued']} waiting")
    as_of = "as of the last plan: " if found.silent else ""
    console.print(escape(as_of + "; ".join(_surroundings(state))), style="dim")


def _surroundings(state: SchedulerState) -> list[str]:
    said = [
        f"{node}: {one['cpu_used'] / 1000:.1f} of {one['cpu'] / 1000:.0f} processors in use by others, "
        f"{one['memory_used'] / 1024:.1f} of {one['memory'] / 1024:.0f} GB by all but runners, "
        f"load {one['load_1m']}{_out_of_the_ordinary(one)}"
        for node, one in state.nodes.items()
    ]
    if "run_queue" in state.counts:
        said.append(_of_run_queue(state.counts["run_queue"]))
    said.append(_of_tier1(state))
    if "open_until" in state.windows:
        said.append(f"protected for {state.windows['open_for']} until {_instant(state.windows['open_until'])}")
    elif state.windows:
        said.append(f"next protected {_instant(state.windows['next_start'])} ({state.windows['next_market']})")
    return said


def _of_tier1(state: SchedulerState) -> str:
    """Where it is at work; what earlier versions kept says nothing of what could not be read."""
    if state.counts.get("unread"):
        return f"nothing starts, since nobody knows what tier 1 does: {state.counts['unread']}"
    busy = [market for market, one in state.tier1.items() if one["busy"]]
    return f"tier 1 at work in {', '.join(busy)}" if busy else f"tier 1 idle in {', '.join(state.tier1) or 'none'}"


def _of_run_queue(found: Mapping[str, Any]) -> str:
    most = "" if found["limit"] is None else f" of {found['limit']}"
    return f"Dagster has {found['under_way']}{most} runs under way and {found['queued']} in its queue"


def _out_of_the_ordinary(reading: Mapping[str, Any]) -> str:
    """What else is to be known of a machine; readings of earlier versions say nothing of it."""
    unknown = ", I/O pressure unknown" if reading.get("io_measure") == IoMeasure.NONE else ""
    if reading.get("gpu", 0) is None:
        unknown += ", its GPUs cannot be read: nothing that needs one starts there"
    return f"{unknown}, nothing starts there: {reading['shut']}" if reading.get("shut") else unknown


def _print_running(running: Sequence[RunningBacktest], now: datetime, console: Console) -> None:
    if not running:
        console.print("nothing runs")
        return
    table = _table("running", "engine", "prio", "class", "attempt", "node", "for", "pieces", "leaves by", "")
    for one in running:
        attempt = one.attempt
        table.add_row(
            str(one.experiment.experiment_id)[:_SHORT_ID],
            escape(one.experiment.engine_name),
            str(one.experiment.priority),
            one.experiment.resource_class,
            str(attempt.attempt),
            escape(attempt.node),
            _duration(now - attempt.admitted_at),
            f"{attempt.pieces_stand} of {attempt.pieces}",
            _second(attempt.leave_by) if attempt.leave_by else "",
            escape(_doing(one)),
        )
    console.print(table)


def _doing(one: RunningBacktest) -> str:
    """What there is to say beside the numbers."""
    if one.attempt.told_at:
        return f"told to leave: {one.attempt.told_why}"
    if one.attempt.started_at:
        return ""
    return "waits for its turn in its batch" if one.begun else "starting"


def _print_waiting(waiting: Sequence[Waiting], console: Console) -> None:
    if not waiting:
        console.print("nothing waits")
        return
    table = _table("waiting", "engine", "prio", "class", "queued UTC", "reason", "blocker", "expected start UTC")
    for one in waiting:
        decision = one.decision
        table.add_row(
            str(one.experiment.experiment_id)[:_SHORT_ID],
            escape(one.experiment.engine_name),
            str(one.experiment.priority),
            one.experiment.resource_class,
            _second(one.queued_at),
            decision.reason if decision else "not planned yet",
            escape(decision.blocker) if decision else "",
            _start(decision) if decision else "",
        )
    console.print(table)


def _start(decision: KeptDecision) -> str:
    """When it is expected to start; of what lasts until somebody does something nobody knows."""
    if decision.expected_start is None:
        return ""
    instant = _second(decision.expected_start)
    return f"not known, looked at again {instant}" if decision.reason in END_UNKNOWN else instant


def _proposed(whole: PeriodResult) -> str | None:
    """The one config of the scenarios that is not among those beside."""
    beside = whole.detail.get("beside", {})
    named = {config for one in whole.detail.get("scenarios", {}).values() for config in one.get("configs", {})}
    return next(iter(sorted(named - set(beside))), None)


def _rival(whole: PeriodResult) -> str | None:
    """The config it is held against: the one active when the backtest began, else its base."""
    beside = whole.detail.get("beside", {})
    roles = {role: name for name, one in sorted(beside.items()) for role in one["role"].split(" and ")}
    return roles.get(SubjectRole.INCUMBENT, roles.get(SubjectRole.BASE))


def _pair(configs: Mapping[str, Any], proposed: str | None, rival: str | None, metric: str) -> str:
    mine, other = (_figure(configs.get(name or "", {}), metric) for name in (proposed, rival))
    return f"{mine} ({other})"


def _figure(figures: Mapping[str, Any], metric: str) -> str:
    told = figures.get("wealth", figures) if metric == DRAWDOWN else figures
    value = told.get("metrics", {}).get(metric)
    return "-" if value is None else f"{value:.4g}"


def _table(*headers: str) -> Table:
    table = Table(box=None, header_style="dim")
    for header in headers:
        table.add_column(header, no_wrap=True)
    return table


def _duration(length: timedelta) -> str:
    seconds = max(0, int(length.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _instant(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M}"


def _second(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
