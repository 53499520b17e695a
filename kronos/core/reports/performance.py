"""Assemble performance reports: cells -> series -> figures -> reports, for all configs of an engine in one go."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from kronos.core.conventions import DEFAULT_SESSIONS_PER_YEAR
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.axis import Axis, Window, build_axis
from kronos.core.reports.evidence import Evidence
from kronos.core.reports.forecast_quality import (
    Bins,
    confusion_table,
    event_reliability,
    measure_calibration,
    target_bins,
)
from kronos.core.reports.groups import CUTS, GROUP, Grouping, Slice
from kronos.core.reports.measure import Annualisation, Figures, empty_figures, measure
from kronos.core.reports.model import Coverage, EnginePerformanceReport, MetricSet
from kronos.core.reports.series import Series, build_series
from kronos.core.vocabulary import ALL, POOLED, Dimension, Undefined
from kronos.errors import BadValue

DIMENSIONS = tuple(Dimension)
WEEKDAYS_NOTE = "no calendar for {}: weekdays are taken for sessions"
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
    axis, series = observe(held, grouping, window, dimensions)
    markets = book_markets(axis, grouping)
    annualisation = yearly_sessions(held, axis, markets, policy)
    measured = measure(series, grouping, annualisation, _books_with_returns(axis, grouping))
    bins = target_bins(held, grouping, window, dimensions)
    measure_calibration(measured, bins)
    for found in mixed_currencies(held, grouping, window, dimensions, policy):
        measured[found].withdraw("pnl", Undefined.MIXED_CURRENCY)
    return Findings(measured, annualisation, bins, markets)


def observe(
    held: Evidence, grouping: Grouping, window: Window, dimensions: tuple[Dimension, ...]
) -> tuple[Axis, Series]:
    """The dates of each book and the series of each slice."""
    if window.end < window.start:
        raise BadValue("end_date", window.end.isoformat(), f"a date not before start_date {window.start.isoformat()}")
    axis = build_axis(held, grouping, window)
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
    spans = axis.spans.with_columns(pl.col("config_id").cast(pl.String), pl.col("market_id").cast(pl.String))
    sessions = held.sessions.with_columns(pl.col("market_id").cast(pl.String))
    whole = {}
    for book, names in markets.items():
        mine = spans if book == POOLED else spans.filter(config_id=book)
        yearly = {name: float(policy.market(name).sessions_per_year) for name in names}
        whole[book] = _union_count(mine, sessions, yearly)
    by_market = {
        (book, name): float(policy.market(name).sessions_per_year) for book, names in markets.items() for name in names
    }
    return Annualisation(whole, by_market, policy.risk_free_annual, held.horizon)


def _union_count(spans: pl.DataFrame, sessions: pl.DataFrame, yearly: dict[str, float]) -> float:
    if len(yearly) == 1:
        return next(iter(yearly.values()))
    active = spans.group_by("market_id").agg(pl.col("first").min(), pl.col("last").max())
    held = active.join(sessions, on="market_id").filter(pl.col("session").is_between("first", "last"))
    counts = held.group_by("market_id", "first", "last").len().sort("len", "market_id", descending=[True, False])
    if counts.is_empty():
        return max(yearly.values())
    busiest = counts.row(0, named=True)
    union = held.filter(pl.col("session").is_between(busiest["first"], busiest["last"]))["session"].n_unique()
    return yearly[busiest["market_id"]] * union / int(busiest["len"])


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
    currency = pl.col("market_id").replace_strict(currencies, return_dtype=pl.String).alias("currency")
    pairs = [
        held.outcomes[CUTS[dimension].cube]
        .lazy()
        .filter(window.known(held.newest), window.chosen(), pl.col("pnl_n") != 0)
        .select(grouping.code(dimension), "market_id")
        .unique()
        for dimension in dimensions
    ]
    counts = pl.concat(pairs).with_columns(currency).group_by(GROUP).agg(pl.col("currency").n_unique())
    mixed = counts.filter(pl.col("currency") > 1).sort(GROUP).collect()[GROUP]
    return [grouping.slice_of(group) for group in mixed]


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
    slices: dict[Dimension, dict[str, MetricSet]] = {dimension: {} for dimension in DIMENSIONS}
    for key, figures in found.measured.items():
        if key.book == book:
            slices[key.dimension][key.label] = metric_set(figures, key.dimension)
    overall = slices.pop(Dimension.OVERALL).get(ALL) or metric_set(empty_figures(), Dimension.OVERALL)
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
        overall=overall,
        slices=slices,
        reliability=event_reliability(found.bins, Slice(book, Dimension.OVERALL, ALL)),
        confusion=confusion_table(held, window),
        notes=(*notes, *_notes(markets, policy, book)),
    )


def _currency(markets: list[str], policy: ObservationPolicy) -> str | None:
    currencies = {policy.market(market).currency for market in markets}
    return currencies.pop() if len(currencies) == 1 else None


def _notes(markets: list[str], policy: ObservationPolicy, book: str) -> tuple[str, ...]:
    without = [market for market in markets if policy.market(market).calendar is None]
    notes = [WEEKDAYS_NOTE.format(", ".join(without))] if without else []
    return (*notes, POOLED_NOTE) if book == POOLED else tuple(notes)
