"""Write period reports to the lake: measure every config, label the rows, replace the period."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Final

import polars as pl

from kronos.core.frames import REPORT_ROWS, conform, empty
from kronos.core.scheduling.periods import Cadence, Period, periods_between
from kronos.core.vocabulary import Dimension
from kronos.services.barrier import judge_periods
from kronos.services.pipeline import Pipeline
from kronos.store.meta_runs import ReportBuild, record_builds, report_builds
from kronos.store.month_builds import Stage, builds

if TYPE_CHECKING:
    # brings scipy, which only a process that computes a report should wait for
    from kronos.services.performance import Performance

REPORTS_VERSION: Final = "1"
"""Rises when the code gives report rows another meaning: every built period is then outdated."""
CHUNK_PERIODS: Final = 12
ALL_ENGINES: Final = ""

PERIOD: Final = "period"
TRAILING: Final = "trailing"
HISTORY: Final = 24
REFRESHED: Final = timedelta(days=400)
"""A restatement further back than this refreshes old reports only when a person asks."""
HEADLINE: Final = ("decisions", "coverage", "avg_return", "sharpe", "max_dd", "hit_rate_decision", "brier", "mean_loss")

QUARTER: Final = timedelta(days=91)
YEAR: Final = timedelta(days=365)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Report:
    """A kind of report: its lake table, its periods, what it cuts by, and the longer window told beside the period."""

    name: str
    table: str
    cadence: Cadence
    dimensions: tuple[Dimension, ...]
    trailing: timedelta
    by_engine: bool = False

    def windows(self, period: Period) -> dict[str, tuple[date, date]]:
        """First and last decision date by window; the trailing one ends with the period."""
        since = period.end - self.trailing + timedelta(days=1)
        return {PERIOD: (period.start, period.end), TRAILING: (since, period.end)}


DAILY_SUMMARY: Final = Report(
    "engine_daily_summary", "daily_reports", Cadence.DAILY, (Dimension.OVERALL, Dimension.MARKET), QUARTER
)
WEEKLY_BREAKDOWNS: Final = tuple(
    Report(f"weekly_{dimension}_breakdown", "weekly_reports", Cadence.WEEKLY, (dimension,), QUARTER)
    for dimension in (Dimension.REGIME, Dimension.STABILITY, Dimension.MARKET)
)
MONTHLY_BREAKDOWNS: Final = tuple(
    Report(f"{dimension}_breakdown", "monthly_reports", Cadence.MONTHLY, (dimension,), YEAR)
    for dimension in (Dimension.REGIME, Dimension.STABILITY, Dimension.MARKET)
)
ENGINE_REPORT: Final = Report(
    "engine_performance_report", "engine_reports", Cadence.MONTHLY, tuple(Dimension), YEAR, by_engine=True
)
REPORTS: Final = (DAILY_SUMMARY, *WEEKLY_BREAKDOWNS, *MONTHLY_BREAKDOWNS, ENGINE_REPORT)


@dataclass(frozen=True)
class Written:
    """What a report run wrote: rows by period, and the label of each period."""

    rows: Mapping[str, int]
    labels: Mapping[str, str]
    newest: pl.DataFrame
    """Rows of the last periods."""


def write_reports(
    pipeline: Pipeline,
    performance: Performance,
    reports: Sequence[Report],
    periods: Sequence[Period],
    now: datetime,
    *,
    engines: Sequence[str] = (ALL_ENGINES,),
    progress: Progress | None = None,
) -> Written:
    """Compute and replace these periods (of these engines) of reports that share a table, in one go.

    `now` dates the outcomes that count as known.
    """
    labels = {entry.period.key: entry.verdict.label for entry in judge_periods(pipeline, periods, now)}
    rows: dict[str, int] = {}
    newest = empty(REPORT_ROWS)
    for chunk in _chunks(sorted(periods)):
        # named before the cells are read: what is rebuilt meanwhile leaves the period outdated
        inputs = report_inputs(pipeline, reports[0], chunk)
        newest = _measured(performance, reports, chunk, engines, labels, now.date())
        pipeline.lake.replace(reports[0].table, newest, _replaced(reports, chunk, engines))
        written = [ReportBuild(p.key, engine, labels[p.key], inputs[p.key]) for p, engine in product(chunk, engines)]
        for report in reports:
            record_builds(pipeline.database, report.name, written)
        rows |= {p.key: newest.filter(pl.col("period") == p.key).height for p in chunk}
        if progress is not None:
            progress(len(rows), len(periods))
    return Written(rows, labels, newest)


def headline(rows: pl.DataFrame, report: Report) -> pl.DataFrame:
    """The telling metrics of the last period's longer window, one row per engine, config and slice."""
    keys = ["period", "engine_name", "config_id", "slice"]
    last = rows.filter(
        pl.col("period") == pl.col("period").max(),
        pl.col("window") == TRAILING,
        pl.col("dimension") == report.dimensions[0].value,
        pl.col("metric").is_in(HEADLINE),
    )
    wide = last.pivot("metric", index=keys, values="value")
    return wide.select(*keys, *(name for name in HEADLINE if name in wide.columns)).sort(keys)


def recent_history(pipeline: Pipeline, report: Report, metric: str) -> pl.DataFrame:
    """engine_name, config_id, slice, periods, values: a metric of the longer window over the last HISTORY periods."""
    held = pipeline.lake.scan(report.table).filter(
        pl.col("metric") == metric,
        pl.col("window") == TRAILING,
        pl.col("dimension") == report.dimensions[0].value,
        pl.col("value").is_not_null(),
    )
    chosen = held.select("engine_name", "config_id", "slice", "period", "value").sort("period").collect()
    series = chosen.group_by("engine_name", "config_id", "slice", maintain_order=True)
    recent = series.agg(periods=pl.col("period").tail(HISTORY), values=pl.col("value").tail(HISTORY))
    return recent.sort("engine_name", "config_id", "slice")


def report_inputs(pipeline: Pipeline, report: Report, periods: Sequence[Period]) -> dict[str, str]:
    """By period, a digest of the policy and of the cells it is computed from: which build of which months."""
    with pipeline.database.connect() as session:
        cells = builds(session, Stage.CELLS)
    policy = pipeline.policy.of_observation()

    def digest(period: Period) -> str:
        start = min(first for first, _ in report.windows(period).values())
        months = [month.key for month in periods_between(Cadence.MONTHLY, start, period.end)]
        marks = {month: dict(cells[month].lake) for month in months if month in cells}
        return hashlib.sha256(json.dumps([REPORTS_VERSION, policy, marks], sort_keys=True).encode()).hexdigest()

    return {period.key: digest(period) for period in periods}


def outdated_periods(
    pipeline: Pipeline, report: Report, periods: Sequence[Period], engines: Sequence[str] = (ALL_ENGINES,)
) -> list[Period]:
    """Periods that were never built, for one of the engines, or whose cells were rebuilt since."""
    held = {(build.period, build.engine_name): build.inputs for build in report_builds(pipeline.database, report.name)}
    inputs = report_inputs(pipeline, report, periods)
    return [
        period for period in periods if any(held.get((period.key, engine)) != inputs[period.key] for engine in engines)
    ]


def unbuilt_periods(
    pipeline: Pipeline, report: Report, periods: Sequence[Period], engines: Sequence[str] = (ALL_ENGINES,)
) -> list[Period]:
    """Periods that were never built, for one of the engines."""
    held = {(build.period, build.engine_name) for build in report_builds(pipeline.database, report.name)}
    return [period for period in periods if any((period.key, engine) not in held for engine in engines)]


def refresh_start(pipeline: Pipeline, report: Report, first: Period, engines: Sequence[str]) -> Period:
    """The earliest period, up to `first`, that was built within REFRESHED and is outdated by now; else `first`."""
    since = first.start - REFRESHED
    held = {build.period for build in report_builds(pipeline.database, report.name)}
    candidates = [p for p in periods_between(report.cadence, since, first.end) if p.key in held]
    return min(outdated_periods(pipeline, report, candidates, engines), default=first)


def _measured(
    performance: Performance,
    reports: Sequence[Report],
    periods: Sequence[Period],
    engines: Sequence[str],
    labels: Mapping[str, str],
    as_of: date,
) -> pl.DataFrame:
    from kronos.core.reports.axis import Window  # brings scipy, as above

    dimensions = [dimension for report in reports for dimension in report.dimensions]
    shown = [(period, name, dates) for period in periods for name, dates in reports[0].windows(period).items()]
    windows = [Window(start, end, as_of) for _, _, (start, end) in shown]
    measured = [performance.breakdowns(dimensions, windows, engine_name=engine or None) for engine in engines]
    frames = [
        found.with_columns(
            month=pl.lit(period.start.isoformat()[:7]),
            period=pl.lit(period.key),
            period_start=pl.lit(period.start),
            period_end=pl.lit(period.end),
            window=pl.lit(name),
            label=pl.lit(labels[period.key]),
            as_of=pl.lit(as_of),
        )
        for of_engine in measured
        for (period, name, _), found in zip(shown, of_engine, strict=True)
    ]
    return conform(pl.concat(frames), REPORT_ROWS, reports[0].table)


def _replaced(reports: Sequence[Report], periods: Sequence[Period], engines: Sequence[str]) -> dict[str, list[str]]:
    where = {
        "month": sorted({period.start.isoformat()[:7] for period in periods}),
        "period": [period.key for period in periods],
        "dimension": [dimension.value for report in reports for dimension in report.dimensions],
    }
    return where | {"engine_name": list(engines)} if reports[0].by_engine else where


def _chunks(periods: Sequence[Period]) -> Iterator[Sequence[Period]]:
    for start in range(0, len(periods), CHUNK_PERIODS):
        yield periods[start : start + CHUNK_PERIODS]
