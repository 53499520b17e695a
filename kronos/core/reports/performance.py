"""Assemble performance reports: cells -> series -> figures -> reports, for all configs of an engine in one go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from kronos.core.conventions import DEFAULT_SESSIONS_PER_YEAR
from kronos.core.metrics.hac import Ints
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.axis import Axis, Window, build_axis
from kronos.core.reports.evidence import Evidence, rising, rows_within
from kronos.core.reports.forecast_quality import (
    Bins,
    confusion_table,
    event_reliability,
    measure_calibration,
    target_bins,
)
from kronos.core.reports.groups import CUTS, Grouping, Slice
from kronos.core.reports.measure import Annualisation, Figures, empty_figures, measure
from kronos.core.reports.model import Coverage, EnginePerformanceReport, MetricSet
from kronos.core.reports.series import Labels, Series, build_series, cubes_of
from kronos.core.vocabulary import ALL, POOLED, Dimension, Undefined
from kronos.errors import BadValue

DIMENSIONS = tuple(Dimension)
WEEKDAYS_NOTE = "no calendar for {}: weekdays are taken for sessions"
CAPITAL_NOTE = "capital is split among the active markets by policy: {}"
POOLED_NOTE = "all configs pooled: returns are the mean over the configs active that day, counts and P&L are sums"


@dataclass(frozen=True)
class Findings:
    """All slices of all books of one window, before they become reports."""

    measured: dict[Slice, Figures]
    annualisation: Annualisation
    bins: Bins
    markets: dict[str, list[str]]
    """Markets of each book."""


def examine(
    held: Evidence,
    policy: ObservationPolicy,
    window: Window,
    *,
    pooled: bool = False,
    dimensions: tuple[Dimension, ...] = DIMENSIONS,
) -> Findings:
    """Measure every slice of every config (`pooled`: of all configs as one book `*`)."""
    grouping = Grouping(held.codes, pooled)
    axis, series = observe(held, grouping, window, dimensions, policy)
    markets = book_markets(axis, grouping)
    annualisation = yearly_sessions(held, axis, markets, policy)
    measured = measure(series, grouping, annualisation, _books_with_returns(axis, grouping))
    bins = target_bins(held, grouping, window, dimensions)
    measure_calibration(measured, bins)
    for found in mixed_currencies(held, grouping, window, dimensions, policy):
        measured[found].withdraw("pnl", Undefined.MIXED_CURRENCY)
    return Findings(measured, annualisation, bins, markets)


def observe(
    held: Evidence, grouping: Grouping, window: Window, dimensions: tuple[Dimension, ...], policy: ObservationPolicy
) -> tuple[Axis, Series]:
    """The dates of each book and the series of each slice."""
    if window.end < window.start:
        raise BadValue("end_date", window.end.isoformat(), f"a date not before start_date {window.start.isoformat()}")
    axis = build_axis(held, grouping, window, policy)
    return axis, build_series(held, axis, grouping, window, dimensions)


def _book_names(axis: Axis, grouping: Grouping) -> pl.Series:
    configs = axis.spans["config_id"].cast(pl.String)
    return pl.Series([POOLED] * configs.len(), dtype=pl.String) if grouping.pooled else configs


def _books_with_returns(axis: Axis, grouping: Grouping) -> frozenset[str]:
    return frozenset(_book_names(axis, grouping).filter(axis.spans["has_returns"]))


def book_markets(axis: Axis, grouping: Grouping) -> dict[str, list[str]]:
    """Markets in which each book ever decided."""
    found: dict[str, set[str]] = {}
    markets = axis.spans["market_id"].cast(pl.String)
    for book, market in zip(_book_names(axis, grouping), markets, strict=True):
        found.setdefault(book, set()).add(market)
    return {book: sorted(names) for book, names in found.items()}


def yearly_sessions(
    held: Evidence, axis: Axis, markets: dict[str, list[str]], policy: ObservationPolicy
) -> Annualisation:
    """Sessions per year of each market's book and of each whole book.

    A book over several markets runs on the union of their sessions: the yearly count of its busiest market, times the
    union's sessions per session of that market while the book is active there.
    """
    sessions = _sessions_of(held, axis, pooled=POOLED in markets)
    whole: dict[str, float] = {}
    by_market: dict[tuple[str, str], float] = {}
    for book, names in markets.items():
        yearly = {name: float(policy.market(name).sessions_per_year) for name in names}
        whole[book] = _union_count(sessions[book], yearly)
        by_market |= {(book, name): count for name, count in yearly.items()}
    return Annualisation(whole, by_market, policy.risk_free_annual, held.horizon)


@dataclass(frozen=True)
class _Active:
    """A market from a book's first to its last decision there, in day numbers."""

    first: int
    last: int
    sessions: Ints

    def with_span(self, first: int, last: int) -> tuple[int, int]:
        """The span that holds both."""
        return min(first, self.first), max(last, self.last)


def _sessions_of(held: Evidence, axis: Axis, *, pooled: bool) -> dict[str, dict[str, _Active]]:
    """When each book was active in its markets."""
    names = pl.col("config_id", "market_id").cast(pl.String)
    numbers = pl.col("market_id", "first", "last").to_physical().name.suffix("#")
    found: dict[str, dict[str, _Active]] = {}
    for config, market, code, first, last in axis.spans.select(names, numbers).rows():
        book = found.setdefault(POOLED if pooled else config, {})
        since, until = book[market].with_span(first, last) if market in book else (first, last)
        book[market] = _Active(since, until, _between(held.calendar[code], since, until))
    return found


def _between(days: Ints, first: int, last: int) -> Ints:
    return days[np.searchsorted(days, first) : np.searchsorted(days, last, side="right")]


def _union_count(active: dict[str, _Active], yearly: dict[str, float]) -> float:
    if len(yearly) == 1:
        return next(iter(yearly.values()))
    busiest = max(active, key=lambda market: (active[market].sessions.size, market))
    span = active[busiest]
    if span.sessions.size == 0:
        return max(yearly.values())
    union = rising(*(_between(one.sessions, span.first, span.last) for one in active.values()))
    return yearly[busiest] * union.size / span.sessions.size


def mixed_currencies(
    held: Evidence,
    grouping: Grouping,
    window: Window,
    dimensions: tuple[Dimension, ...],
    policy: ObservationPolicy,
) -> list[Slice]:
    """Slices whose P&L is in several currencies: those amounts do not add up."""
    currencies = {str(name): policy.market(name).currency for name in held.codes["market_id"].categories}
    if len(set(currencies.values())) < 2:
        return []
    names = sorted(set(currencies.values()))
    number = np.array([names.index(currencies[str(name)]) for name in held.codes["market_id"].categories])
    mixed: list[int] = []
    for cube, mine in cubes_of(dimensions).items():
        limits = window.known_days(held.newest) | window.chosen_days()
        cells = rows_within(held.outcomes[cube].select("kind", "pnl_n", *limits), limits)
        labels = Labels.of(cells["kind"].to_numpy()[cells["pnl_n"].to_numpy() != 0.0], held.codes)
        for dimension in mine:
            groups, index = labels.groups(dimension, grouping)
            met = np.zeros((groups.size, len(names)), dtype=bool)
            met[index, number[labels.market]] = True
            mixed += groups[np.count_nonzero(met, axis=1) > 1].tolist()
    return [grouping.slice_of(group) for group in sorted(mixed)]


def metric_set(figures: Figures, dimension: Dimension) -> MetricSet:
    """The frozen result of one slice."""
    return MetricSet(
        values=figures.values,
        undefined=figures.undefined,
        intervals=figures.intervals,
        interval_undefined=figures.interval_undefined,
        observations=figures.observations,
        coverage=Coverage(figures.valid, figures.due),
        drawdown=figures.drawdown,
        stitched=CUTS[dimension].conditional,
        dates=figures.dates,
    )


def performance_report(
    held: Evidence,
    policy: ObservationPolicy,
    window: Window,
    *,
    config_id: str | None,
    recorded_by: str,
    notes: tuple[str, ...] = (),
) -> EnginePerformanceReport:
    """Report of one config; None pools all configs of the evidence as `*`.

    A config without decisions in the window gives a report whose every metric is undefined with its reason.
    """
    mine = held if config_id is None else held.only(config_id)
    found = examine(mine, policy, window, pooled=config_id is None)
    return _report(mine, policy, window, found, config_id or POOLED, recorded_by, notes)


def overall_metrics(held: Evidence, policy: ObservationPolicy, window: Window, config_id: str) -> MetricSet:
    """The overall metrics of one config's report, without the work for its slices."""
    found = examine(held.only(config_id), policy, window, dimensions=(Dimension.OVERALL,))
    return _overall(found, config_id)


def performance_reports(
    held: Evidence,
    policy: ObservationPolicy,
    window: Window,
    *,
    recorded_by: str,
    notes: tuple[str, ...] = (),
) -> list[EnginePerformanceReport]:
    """Reports of every config that has anything in the window, by config."""
    found = examine(held, policy, window)
    seen = {key.book for key in found.measured}
    return [
        _report(held.only(config), policy, window, found, config, recorded_by, notes)
        for config in held.codes["config_id"].categories
        if config in seen
    ]


def _report(
    held: Evidence,
    policy: ObservationPolicy,
    window: Window,
    found: Findings,
    book: str,
    recorded_by: str,
    notes: tuple[str, ...],
) -> EnginePerformanceReport:
    slices: dict[Dimension, dict[str, MetricSet]] = {
        dimension: {} for dimension in DIMENSIONS if dimension is not Dimension.OVERALL
    }
    for key, figures in found.measured.items():
        if key.book == book and key.dimension in slices:
            slices[key.dimension][key.label] = metric_set(figures, key.dimension)
    markets = found.markets.get(book, [])
    return EnginePerformanceReport(
        engine_name=held.engine_name,
        config_id=book,
        period_start=window.start,
        period_end=window.end,
        horizon=held.horizon,
        mode=held.mode,
        as_of=window.as_of or held.newest,
        recorded_by=recorded_by,
        currency=_currency(markets, policy),
        annualisation=found.annualisation.whole.get(book, float(DEFAULT_SESSIONS_PER_YEAR)),
        overall=_overall(found, book),
        slices=slices,
        reliability=event_reliability(found.bins, Slice(book, Dimension.OVERALL, ALL)),
        confusion=confusion_table(held, window),
        notes=(*notes, *_notes(markets, policy, book)),
    )


def _overall(found: Findings, book: str) -> MetricSet:
    figures = found.measured.get(Slice(book, Dimension.OVERALL, ALL))
    return metric_set(empty_figures() if figures is None else figures, Dimension.OVERALL)


def _currency(markets: list[str], policy: ObservationPolicy) -> str | None:
    currencies = {policy.market(market).currency for market in markets}
    return currencies.pop() if len(currencies) == 1 else None


def _notes(markets: list[str], policy: ObservationPolicy, book: str) -> tuple[str, ...]:
    without = [market for market in markets if policy.market(market).calendar is None]
    notes = [WEEKDAYS_NOTE.format(", ".join(without))] if without else []
    capital = {market: policy.market(market).capital for market in markets}
    if len(set(capital.values())) > 1:
        notes.append(CAPITAL_NOTE.format(", ".join(f"{market} {share:g}" for market, share in capital.items())))
    return (*notes, POOLED_NOTE) if book == POOLED else tuple(notes)
