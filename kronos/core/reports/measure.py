"""From series to figures: numbers by expressions in one group_by over all slices, intervals slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kronos.core.metrics.intervals import Interval, Observed, all_series_intervals, slice_ratio_intervals
from kronos.core.metrics.metric import Basis, Column, Composed, Formula, Numbers, RatioMetric, SeriesMetric
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
FACTOR: Final = "_factor"
FREE: Final = "_free"


@dataclass
class Figures:
    """What is found about one slice while it is being measured."""

    values: dict[str, float] = field(default_factory=dict)
    undefined: dict[str, Undefined] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    interval_undefined: dict[str, Undefined] = field(default_factory=dict)
    observations: dict[str, int] = field(default_factory=dict)
    dates: dict[str, int] = field(default_factory=dict)
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
    spans = _spans(frame[GROUP].to_numpy())
    bases = {group: annualisation.numbers(slices[group], metrics[0].column) for group in spans}
    for row in _numbers(frame, metrics, spans, bases):
        figures = found[row[GROUP]]
        for metric in metrics:
            reason = Undefined(row[f"{metric.id}?"] or Undefined.OUT_OF_RANGE)
            figures.put(metric.id, row[f"{metric.column}#"], row[metric.id], reason)
    for column in sorted({metric.column for metric in metrics}):
        chosen = [metric for metric in metrics if metric.column is column]
        _put_series_bounds(found, frame, column, chosen, spans, bases, annualisation.horizon)


def _spans(groups: NDArray[np.int64]) -> dict[int, slice]:
    """Rows of each group, of rows in order of group."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    ends = [*starts[1:].tolist(), groups.size]
    return {int(groups[start]): slice(start, end) for start, end in zip(starts.tolist(), ends, strict=True)}


def _numbers(
    frame: pl.DataFrame, metrics: tuple[SeriesMetric, ...], spans: Mapping[int, slice], bases: Mapping[int, Numbers]
) -> list[dict[str, Any]]:
    """One row per group: each metric's value, reason (`id?`) and each column's observations (`column#`)."""
    lengths = [span.stop - span.start for span in spans.values()]
    # not marked as sorted: polars would then sum slices, to other last bits for each place in the frame
    based = frame.lazy().with_columns(
        pl.Series(FACTOR, np.repeat([bases[group].factor for group in spans], lengths)),
        pl.Series(FREE, np.repeat([bases[group].risk_free for group in spans], lengths)),
    )
    ingredients, values, settled = _expressions(metrics, next(iter(bases.values())).horizon)
    grouped = based.group_by(GROUP, maintain_order=True).agg(ingredients)
    wanted = [GROUP, *(name for metric in metrics for name in (metric.id, f"{metric.id}?", f"{metric.column}#"))]
    plan = grouped.with_columns(values).with_columns(settled.reasons).with_columns(settled.values)
    # nothing is left to optimise, and trying costs more than the numbers of a month
    return plan.select(*dict.fromkeys(wanted)).collect(optimizations=pl.QueryOptFlags.none()).to_dicts()


@dataclass(frozen=True)
class _Settled:
    reasons: list[pl.Expr]
    values: list[pl.Expr]


@cache
def _expressions(metrics: tuple[SeriesMetric, ...], horizon: int) -> tuple[list[pl.Expr], list[pl.Expr], _Settled]:
    """Formulas and guards of a group, each computed once; what is composed of them; values where no reason stands."""
    basis = Basis(pl.col(FACTOR).first(), pl.col(FREE).first(), horizon)
    made: dict[str, pl.Expr] = {}
    for metric in metrics:
        series = pl.col(metric.column.value)
        made[f"{metric.column}#"] = series.count()
        formulas = (metric.formula, *(guard for _, guard in metric.guards))
        made |= {_name(metric, part): part(series, basis) for formula in formulas for part in _parts(formula)}
    return (
        [formula.alias(name) for name, formula in made.items()],
        [_composed(metric, metric.formula).alias(metric.id) for metric in metrics],
        _Settled(
            [_reason(metric, horizon).alias(f"{metric.id}?") for metric in metrics],
            [pl.when(pl.col(f"{metric.id}?").is_null()).then(metric.id).alias(metric.id) for metric in metrics],
        ),
    )


def _parts(formula: Formula) -> tuple[Formula, ...]:
    return formula.parts if isinstance(formula, Composed) else (formula,)


def _composed(metric: SeriesMetric, formula: Formula) -> pl.Expr:
    """A formula's value, from the columns of its parts."""
    columns = [pl.col(_name(metric, part)) for part in _parts(formula)]
    return formula.of(*columns) if isinstance(formula, Composed) else columns[0]


def _reason(metric: SeriesMetric, horizon: int) -> pl.Expr:
    guards = [_composed(metric, guard) for _, guard in metric.guards]
    return metric.settle(pl.col(f"{metric.column}#"), pl.col(metric.id), guards, horizon)


def _name(metric: SeriesMetric, formula: Any) -> str:
    return f"{metric.column}!{formula.__name__}"


def _put_series_bounds(
    found: Mapping[int, Figures],
    frame: pl.DataFrame,
    column: Column,
    metrics: list[SeriesMetric],
    spans: Mapping[int, slice],
    bases: Mapping[int, Numbers],
    horizon: int,
) -> None:
    """Intervals of the metrics of one column, and the drawdown's dates."""
    values, positions = frame[column.value].to_numpy(), frame["position"].to_numpy()
    seen = ~np.isnan(values)  # null became NaN on the way out of polars; NaN itself was refused at the door
    observed = [
        Observed(
            [metric for metric in metrics if metric.id in found[group].values],
            found[group].values,
            values[span][seen[span]],
            positions[span][seen[span]],
            bases[group],
        )
        for group, span in spans.items()
    ]
    for group, intervals in zip(spans, all_series_intervals(observed, horizon), strict=True):
        for metric_id, interval in intervals.items():
            found[group].put_interval(metric_id, interval)
    if column is Column.GROWTH:
        dates = frame["date"].to_numpy()
        for one, (group, span) in zip(observed, spans.items(), strict=True):
            found[group].drawdown = drawdown_dates(dates[span][seen[span]], one.series)


def measure_sums(found: Mapping[int, Figures], series: Series, horizon: int) -> None:
    """Counts, rates and forecast scores with their intervals, from the daily sums."""
    for group, decisions in series.decisions.items():
        _put_exact(found[group], "decisions", decisions, decisions)
    totals = [{GROUP: sums.groups} | {name: sums.total(name) for name in _MEASURES} for sums in series.sums]
    table = pl.DataFrame({name: np.concatenate([part[name] for part in totals]) for name in totals[0]})
    figured = table.lazy().group_by(GROUP, maintain_order=True).agg(sum_expressions())
    for row in figured.collect(optimizations=pl.QueryOptFlags.none()).iter_rows(named=True):
        _put_sums(found[row[GROUP]], row)
    for sums in series.sums:
        for ratio in RATIOS:
            _put_ratio_bounds(found, sums, ratio, horizon)


def _put_sums(figures: Figures, row: Mapping[str, Any]) -> None:
    figures.due, figures.valid = int(row["due#"]), int(row["valid#"])
    for count in COUNTS:
        _put_exact(figures, count.id, int(row[f"{count.carrier}#"]), row[count.id])
    for ratio in RATIOS:
        figures.put(ratio.id, int(row[f"{ratio.denominator}#"]), row[ratio.id], _absent(ratio, row))


def _put_ratio_bounds(found: Mapping[int, Figures], sums: Sums, ratio: RatioMetric, horizon: int) -> None:
    """Intervals of one ratio in the slices that have it, and the dates it was observed on."""
    values = np.array([found[group].values.get(ratio.id, np.nan) for group in sums.groups.tolist()])
    defined = ~np.isnan(values)
    if not defined.any():
        return
    numerator, denominator = (sums.daily(name) for name in (ratio.numerator, ratio.denominator))
    if not defined.all():
        numerator, denominator = numerator[defined], denominator[defined]
    intervals = slice_ratio_intervals(ratio, values[defined], numerator, denominator, horizon)
    dates = np.count_nonzero(denominator, axis=1).tolist()
    for group, interval, count in zip(sums.groups[defined].tolist(), intervals, dates, strict=True):
        found[group].put_interval(ratio.id, interval)
        found[group].dates[ratio.id] = count


@cache
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
