"""From series to figures: numbers by expressions in one group_by over all slices, intervals slice by slice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kronos.core.metrics.intervals import Interval, ratio_intervals, series_intervals
from kronos.core.metrics.metric import Basis, Column, Formula, Numbers, RatioMetric, SeriesMetric
from kronos.core.metrics.registry import CALIBRATION, COUNTS, RATIOS, SERIES, TRADE_HIT_RATE
from kronos.core.metrics.wealth import Drawdown, drawdown_dates
from kronos.core.reports.groups import GROUP, Grouping, Slice
from kronos.core.reports.series import Series, Sums
from kronos.core.vocabulary import Undefined

MOMENTS = tuple(metric for metric in SERIES if metric.column is not Column.GROWTH)
WEALTH = tuple(metric for metric in SERIES if metric.column is Column.GROWTH)

_MEASURES = sorted(
    {"due", "valid"}
    | {name for metric in RATIOS for name in (metric.numerator, metric.denominator)}
    | {name for metric in COUNTS for name in (metric.measure, metric.carrier)}
)
Arrays = Mapping[str, NDArray[Any]]


@dataclass
class Figures:
    """What is found about one slice while it is being measured."""

    values: dict[str, float] = field(default_factory=dict)
    undefined: dict[str, Undefined] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    interval_undefined: dict[str, Undefined] = field(default_factory=dict)
    observations: dict[str, int] = field(default_factory=dict)
    due: int = 0
    valid: int = 0
    drawdown: Drawdown | None = None

    def put(self, metric_id: str, n: int, value: float | None, reason: Undefined) -> None:
        """A number, or the reason why there is none."""
        self.observations[metric_id] = n
        if value is None:
            self.undefined[metric_id] = reason
        else:
            self.values[metric_id] = float(value)

    def put_interval(self, metric_id: str, interval: Interval) -> None:
        """Bounds, or the reason why there are none."""
        if isinstance(interval, Undefined):
            self.interval_undefined[metric_id] = interval
        else:
            self.intervals[metric_id] = interval

    def withdraw(self, metric_id: str, reason: Undefined) -> None:
        """Replace a number by the reason why it must not be read."""
        self.values.pop(metric_id, None)
        self.intervals.pop(metric_id, None)
        self.interval_undefined.pop(metric_id, None)
        self.undefined[metric_id] = reason


@dataclass(frozen=True)
class Annualisation:
    """Sessions per year of each book and, by (book, market), of each market's own book."""

    whole: dict[str, float]
    market: dict[tuple[str, str], float]
    risk_free_annual: float
    horizon: int

    def sessions(self, found: Slice) -> float:
        """Sessions per year of a slice: its market's, if it lies in one."""
        return self.market[(found.book, found.market)] if found.market else self.whole[found.book]

    def numbers(self, found: Slice, column: Column) -> Numbers:
        """Basis of a slice's moments (A/h) or wealth (A); the risk-free return is per observation."""
        sessions = self.sessions(found)
        step = 1 if column is Column.GROWTH else self.horizon
        free = float((1.0 + self.risk_free_annual) ** (step / sessions) - 1.0)
        return Numbers(sessions / step, free, self.horizon)


def measure(
    series: Series, grouping: Grouping, annualisation: Annualisation, books_with_returns: frozenset[str]
) -> dict[Slice, Figures]:
    """Every slice measured, in order of dimension, book and label."""
    moments = series.moments[GROUP].to_numpy()
    occurring = {int(group) for group in moments[np.flatnonzero(np.diff(moments, prepend=-1))]}
    occurring |= {int(group) for sums in series.sums for group in sums.groups} | set(series.decisions)
    slices = {group: grouping.slice_of(group) for group in sorted(occurring)}
    found = {group: Figures() for group in slices}
    measure_series(found, slices, series.moments, MOMENTS, annualisation)
    measure_series(found, slices, series.wealth, WEALTH, annualisation)
    measure_sums(found, series, annualisation.horizon)
    for group, figures in found.items():
        fill(figures, has_returns=slices[group].book in books_with_returns)
    return {slices[group]: figures for group, figures in found.items()}


def _by_group(frame: pl.DataFrame, columns: Iterable[str]) -> Iterator[tuple[int, Arrays]]:
    """Columns of each group as arrays. `frame` is sorted by group."""
    arrays = {name: frame[name].to_numpy() for name in columns}
    groups = frame[GROUP].to_numpy()
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    ends = [*starts[1:], frame.height]
    for group, start, end in zip(groups[starts], starts, ends, strict=True):
        yield int(group), {name: array[start:end] for name, array in arrays.items()}


def measure_series(
    found: Mapping[int, Figures],
    slices: Mapping[int, Slice],
    frame: pl.DataFrame,
    metrics: tuple[SeriesMetric, ...],
    annualisation: Annualisation,
) -> None:
    """Numbers, reasons and intervals of series metrics. `frame` is in order of group and date."""
    if frame.is_empty():
        return
    bases = {group: annualisation.numbers(slices[group], metrics[0].column) for group in frame[GROUP].unique().sort()}
    rows = _numbers(frame, metrics, bases, annualisation.horizon)
    columns = sorted({metric.column.value for metric in metrics})
    dates = "as_of_date" if "as_of_date" in frame.columns else "date"
    for group, arrays in _by_group(frame, ("position", dates, *columns)):
        figures, row = found[group], rows[group]
        for metric in metrics:
            reason = Undefined(row[f"{metric.id}?"] or Undefined.OUT_OF_RANGE)
            figures.put(metric.id, row[f"{metric.column}#"], row[metric.id], reason)
        for column in columns:
            chosen = [metric for metric in metrics if metric.column == column and metric.id in figures.values]
            _series_bounds(figures, chosen, arrays[column], arrays["position"], bases[group])
        if Column.GROWTH in columns:
            seen = ~np.isnan(arrays[Column.GROWTH])
            figures.drawdown = drawdown_dates(arrays[dates][seen], arrays[Column.GROWTH][seen])


def _numbers(
    frame: pl.DataFrame, metrics: tuple[SeriesMetric, ...], bases: Mapping[int, Numbers], horizon: int
) -> dict[int, dict[str, Any]]:
    """One row per group: each metric's value, reason (`id?`) and each column's observations (`column#`)."""
    table = pl.DataFrame(
        [(group, basis.factor, basis.risk_free) for group, basis in bases.items()],
        schema={GROUP: pl.Int64, "_factor": pl.Float64, "_free": pl.Float64},
        orient="row",
    )
    basis = Basis(pl.col("_factor").first(), pl.col("_free").first(), horizon)
    based = frame.lazy().join(table.lazy(), on=GROUP, maintain_order="left")
    grouped = based.group_by(GROUP, maintain_order=True).agg(**_ingredients(metrics, basis))
    reasons = {f"{metric.id}?": _reason(metric, horizon) for metric in metrics}
    values = [pl.when(pl.col(f"{metric.id}?").is_null()).then(metric.id).alias(metric.id) for metric in metrics]
    return {row[GROUP]: row for row in grouped.with_columns(**reasons).with_columns(values).collect().to_dicts()}


def _ingredients(metrics: Iterable[SeriesMetric], basis: Basis) -> dict[str, pl.Expr]:
    """Formulas by id, guards by name, observations by column: each is computed once."""
    made: dict[str, pl.Expr] = {}
    for metric in metrics:
        series = pl.col(metric.column.value)
        made[metric.id] = metric.formula(series, basis)
        made[f"{metric.column}#"] = series.count()
        made |= {_guard_name(metric, guard): guard(series, basis) for _, guard in metric.guards}
    return made


def _reason(metric: SeriesMetric, horizon: int) -> pl.Expr:
    guards = [pl.col(_guard_name(metric, guard)) for _, guard in metric.guards]
    return metric.settle(pl.col(f"{metric.column}#"), pl.col(metric.id), guards, horizon)


def _guard_name(metric: SeriesMetric, guard: Formula) -> str:
    return f"{metric.column}!{guard.__name__}"


def _series_bounds(
    figures: Figures, metrics: list[SeriesMetric], series: NDArray[Any], positions: NDArray[Any], basis: Numbers
) -> None:
    seen = ~np.isnan(series)  # null became NaN on the way out of polars; NaN itself was refused at the door
    found = series_intervals(metrics, figures.values, series[seen], positions[seen], basis)
    for metric_id, interval in found.items():
        figures.put_interval(metric_id, interval)


def measure_sums(found: Mapping[int, Figures], series: Series, horizon: int) -> None:
    """Counts, rates and forecast scores with their intervals, from the daily sums."""
    for group, decisions in series.decisions.items():
        _put_exact(found[group], "decisions", decisions, decisions)
    totals = [{GROUP: sums.groups} | {name: sums.total(name) for name in _MEASURES} for sums in series.sums]
    table = pl.DataFrame({name: np.concatenate([part[name] for part in totals]) for name in totals[0]})
    figured = table.lazy().group_by(GROUP, maintain_order=True).agg(*sum_expressions()).collect().to_dicts()
    rows = iter(figured)
    for sums in series.sums:
        for at, row in enumerate(islice(rows, sums.groups.size)):
            _put_sums(found[row[GROUP]], row)
            _sum_bounds(found[row[GROUP]], sums, at, horizon)


def _put_sums(figures: Figures, row: Mapping[str, Any]) -> None:
    figures.due, figures.valid = int(row["due#"]), int(row["valid#"])
    for count in COUNTS:
        _put_exact(figures, count.id, int(row[f"{count.carrier}#"]), row[count.id])
    for ratio in RATIOS:
        figures.put(ratio.id, int(row[f"{ratio.denominator}#"]), row[ratio.id], _absent(ratio, row))


def _sum_bounds(figures: Figures, sums: Sums, at: int, horizon: int) -> None:
    chosen = [ratio for ratio in RATIOS if ratio.id in figures.values]
    names = {name for ratio in chosen for name in (ratio.numerator, ratio.denominator)}
    daily = {name: sums.daily(name)[at] for name in names}
    for metric_id, interval in ratio_intervals(chosen, figures.values, daily, horizon).items():
        figures.put_interval(metric_id, interval)


def sum_expressions() -> list[pl.Expr]:
    """Every count and ratio by id, and the observations behind them (`measure#`)."""
    carriers = {metric.carrier for metric in COUNTS} | {metric.denominator for metric in RATIOS} | {"due", "valid"}
    observed = [pl.col(name).sum().alias(f"{name}#") for name in sorted(carriers)]
    counts = [metric.expression().alias(metric.id) for metric in COUNTS]
    return counts + [metric.expression().alias(metric.id) for metric in RATIOS] + observed


def _put_exact(figures: Figures, metric_id: str, n: int, value: float | None) -> None:
    figures.put(metric_id, n, value, Undefined.NO_OBSERVATIONS)
    if value is not None:
        figures.put_interval(metric_id, Undefined.EXACT)


def _absent(metric: RatioMetric, row: Mapping[str, Any]) -> Undefined:
    if metric.id == "rps" and row["class_n#"] > 0:
        return Undefined.CLASSES_NOT_ORDERED
    return metric.absent


def empty_figures() -> Figures:
    """What is known about a book that decided nothing in the window."""
    figures = Figures()
    fill(figures, has_returns=True)
    for metric in CALIBRATION:
        figures.put(metric.id, 0, None, Undefined.NO_FORECASTS)
    return figures


def fill(figures: Figures, *, has_returns: bool) -> None:
    """State a reason for every metric that had nothing to be measured on."""
    unseen = Undefined.NO_OBSERVATIONS if has_returns else Undefined.NO_RETURNS
    reasons = {metric.id: unseen for metric in SERIES} | {metric.id: metric.absent for metric in RATIOS}
    reasons |= dict.fromkeys(("decisions", *(metric.id for metric in COUNTS)), Undefined.NO_OBSERVATIONS)
    reasons[TRADE_HIT_RATE.id] = Undefined.NO_TRADES
    for metric_id, reason in reasons.items():
        if metric_id not in figures.observations:
            figures.put(metric_id, 0, None, reason)
