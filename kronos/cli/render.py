"""Reports as tables for a terminal: every number with its interval and n, or the reason there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kronos.core.metrics.metric import Unit
from kronos.core.metrics.registry import REGISTRY
from kronos.core.reports.model import EnginePerformanceReport, MetricSet
from kronos.core.vocabulary import Dimension, Undefined

RETURN_COLUMNS = ("sharpe", "avg_return", "volatility", "max_dd", "hit_rate_day")
FORECAST_COLUMNS = ("brier", "brier_multi", "log_loss", "log_loss_multi", "mean_loss")
SLICES = (Dimension.REGIME, Dimension.STABILITY, Dimension.MARKET)

LEAST_WIDTH = 170
"""Characters a row of numbers with intervals needs; a pipe or a log file has no width of its own."""

_DECIMALS = {Unit.RETURN: 5, Unit.RETURN_PER_YEAR: 4, Unit.RATIO: 3, Unit.SHARE: 4, Unit.SCORE: 5, Unit.MONEY: 2}


def report_console() -> Console:
    """A console wide enough for a report, whatever it is piped into."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=max(console.width, LEAST_WIDTH))


def print_report(report: EnginePerformanceReport, dimensions: Sequence[Dimension], console: Console) -> None:
    """One config: all metrics of the book, then the asked slices."""
    console.print(_heading(report), style="bold")
    for note in report.notes:
        console.print(f"note: {escape(note)}", style="dim")
    console.print(_all_metrics(report.overall))
    for dimension in dimensions:
        console.print(_by_slice([report], dimension))


def print_summary(reports: Iterable[EnginePerformanceReport], console: Console) -> None:
    """All configs, engine by engine: the book, then regimes, stability buckets and markets."""
    by_engine: dict[str, list[EnginePerformanceReport]] = {}
    for report in reports:
        by_engine.setdefault(report.engine_name, []).append(report)
    notes = {note for found in by_engine.values() for report in found for note in report.notes}
    for engine_reports in by_engine.values():
        console.print(_heading(engine_reports[0], config=False), style="bold")
        for dimension in (Dimension.OVERALL, *SLICES):
            console.print(_by_slice(engine_reports, dimension))
    for note in sorted(notes):
        console.print(f"note: {escape(note)}", style="dim")


def _heading(report: EnginePerformanceReport, *, config: bool = True) -> str:
    name = f"{report.engine_name} {report.config_id}" if config else report.engine_name
    return (
        f"{escape(name)}: decisions {report.period_start}..{report.period_end}, {report.mode}, "
        f"horizon {report.horizon}, as of {report.as_of}, labels by {report.recorded_by}"
    )


def _all_metrics(metrics: MetricSet) -> Table:
    table = Table("metric", "value", "95 % interval", "n", "unit", box=None, header_style="dim")
    for metric_id, metric in REGISTRY.items():
        reason = metrics.undefined.get(metric_id)
        value = str(reason) if reason else _number(metric_id, metrics.values[metric_id])
        interval = "" if reason else _interval(metric_id, metrics)
        style = "dim" if reason else None
        table.add_row(metric_id, value, interval, str(metrics.observations.get(metric_id, 0)), metric.unit, style=style)
    return table


def _by_slice(reports: Sequence[EnginePerformanceReport], dimension: Dimension) -> Table:
    columns = _columns(reports)
    title = dimension.value.replace("_", " ")
    table = Table(title=title, title_justify="left", box=None, header_style="dim")
    headers = ["config", *([] if dimension is Dimension.OVERALL else [title]), "n due", "coverage", *columns]
    for header in headers:
        table.add_column(header, no_wrap=True)
    for report in reports:
        for label, metrics in _slices(report, dimension):
            table.add_row(escape(report.config_id), *label, *_row(metrics, columns))
    return table


def _slices(report: EnginePerformanceReport, dimension: Dimension) -> list[tuple[list[str], MetricSet]]:
    if dimension is Dimension.OVERALL:
        return [([], report.overall)]
    return [([escape(label)], found) for label, found in report.slices.get(dimension, {}).items()]


def _columns(reports: Sequence[EnginePerformanceReport]) -> list[str]:
    """Return columns for engines that earn, score columns for engines that forecast."""
    defined = {metric_id for report in reports for metric_id in report.overall.values}
    return [metric_id for metric_id in (*RETURN_COLUMNS, *FORECAST_COLUMNS) if metric_id in defined]


def _row(metrics: MetricSet, columns: Sequence[str]) -> list[str]:
    share = metrics.coverage.share
    return [str(metrics.coverage.due), "-" if share is None else f"{share:.2%}", *(_cell(metrics, c) for c in columns)]


def _cell(metrics: MetricSet, metric_id: str) -> str:
    reason = metrics.undefined.get(metric_id)
    if reason is not None:
        return f"[dim]{_short(reason)}[/dim]"
    interval = _interval(metric_id, metrics) if metric_id in metrics.intervals else ""
    return f"{_number(metric_id, metrics.values[metric_id])} (n {metrics.observations.get(metric_id, 0)})\n{interval}"


def _short(reason: Undefined) -> str:
    return reason.value.replace("_", " ").lower()


def _number(metric_id: str, value: float) -> str:
    return f"{value:,.{_DECIMALS.get(REGISTRY[metric_id].unit, 0)}f}"


def _interval(metric_id: str, metrics: MetricSet) -> str:
    if metric_id not in metrics.intervals:
        reason = metrics.interval_undefined.get(metric_id)
        return _short(reason) if reason else ""
    low, high = metrics.intervals[metric_id]
    # a bracket opens rich markup unless it is escaped
    return f"\\[{_number(metric_id, low)}, {_number(metric_id, high)}]"
