"""Monitoring and alerts as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kronos.core.monitoring.model import EngineMonitoring, MonitorFinding, MonitorState, RollingFigure, Stretch
from kronos.store.alerts import Alert

_STYLES = {
    MonitorState.HEALTHY: "green",
    MonitorState.WATCH: "yellow",
    MonitorState.DEGRADING: "bold red",
    MonitorState.INCONCLUSIVE: "dim",
}
_FINDINGS = ("engine", "scope", "config", "metric", "state", "e-value", "largest", "alarm at", "before", "since", "why")
_WINDOWS = ("engine", "config", "figure", "window", "now", "trend a year", "95 % interval")


def print_monitoring(answers: Sequence[EngineMonitoring], console: Console, *, windows: bool) -> None:
    """One row per metric with the evidence, then perhaps the rolling figures."""
    for day in sorted({answer.as_of for answer in answers}):
        alpha = max(answer.alpha for answer in answers)
        console.print(f"active configs against their own evidence, as of {day}", style="bold")
        console.print(_findings([found for answer in answers for found in answer.findings]))
        console.print(
            f"an e-value at its alarm is reached by at most {alpha:.0%} of configs as good as before, ever, however "
            "often one looks",
            style="dim",
        )
    figures = [(answer.engine_name, one) for answer in answers for one in answer.windows]
    if windows and figures:
        console.print(_windows(figures))
    for note in sorted({note for answer in answers for note in answer.notes}):
        console.print(f"note: {escape(note)}", style="dim")


def print_alerts(found: Sequence[Alert], console: Console) -> None:
    """One row per alert, newest first."""
    if not found:
        console.print("no alert")
        return
    table = Table("id", "raised", "kind", "engine", "scope", "config", "metric", "since", "state", "by", "reason")
    table.box, table.header_style = None, "dim"
    for one in found:
        by, reason = one.closed_by or one.acknowledged_by, one.closed_reason or one.acknowledged_reason
        words = [one.kind, one.engine_name, one.scope, one.config_id, one.metric]
        told = [escape(word) for word in words]
        answered = [one.state, escape(by or ""), escape(reason or "")]
        table.add_row(str(one.alert_id), str(one.raised_on), *told, str(one.monitored_from), *answered)
    console.print(table)
    for one in found:
        if one.state != "CLOSED" and (asks := one.evidence.get("asks")):
            line = f"alert {one.alert_id} asks for a rollback to {asks['rollback_to']}: {asks['command']}"
            console.print(escape(line))


def _findings(found: Iterable[MonitorFinding]) -> Table:
    table = Table(*_FINDINGS, box=None, header_style="dim")
    for one in found:
        state = f"[{_STYLES[one.state]}]{one.state}[/]"
        names = (one.engine_name, one.scope, one.config_id or "-", one.score or one.metric)
        table.add_row(*(escape(name) for name in names), state, *_evidence(one), escape(_why(one)))
    return table


def _evidence(one: MonitorFinding) -> tuple[str, ...]:
    e = one.e
    numbers = (f"{e.now:.3g}", f"{e.largest:.3g} ({e.largest_on})", f"{e.threshold:.4g}") if e else ("", "", "")
    before = f"{_level(one.reference)}, to {one.reference.end}" if one.reference else ""
    since = f"{_level(one.monitored)}, from {one.monitored.start}" if one.monitored else ""
    return (*numbers, before, since)


def _level(part: Stretch) -> str:
    value = f"mean {part.mean:.5f}" if part.sharpe is None else f"Sharpe {part.sharpe:.2f}"
    return f"{value}, n {part.n}"


def _why(one: MonitorFinding) -> str:
    if one.cause is not None:
        return f"{one.cause}: {one.detail}"
    return f"alarm on {one.e.alarm_on}" if one.e and one.e.alarm_on else ""


def _windows(rows: Iterable[tuple[str, RollingFigure]]) -> Table:
    table = Table(*_WINDOWS, title="rolling windows", title_justify="left", box=None, header_style="dim")
    for engine, one in rows:
        value = "" if one.value is None else f"{one.value:.4g}"
        slope = "" if one.trend is None else f"{one.trend.slope:+.3g}"
        interval = "" if one.trend is None else f"\\[{one.trend.low:+.3g}, {one.trend.high:+.3g}]"
        table.add_row(escape(engine), escape(one.config_id), one.figure, str(one.window), value, slope, interval)
    return table
