"""What of the recent reports is to be written, so that a fresh start has a history to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from kronos.core.scheduling.periods import Cadence, Period, periods_between, runs_of_neighbours
from kronos.services.barrier import LOOKBACK, Judged, claim_requests, judge_periods
from kronos.services.config_comparisons import CONFIG_COMPARISON
from kronos.services.monitoring import ASSET as MONITOR
from kronos.services.monitoring import unmonitored_days
from kronos.services.pipeline import Pipeline
from kronos.services.summaries import ALL_ENGINES, REPORTS, Report, outdated_periods, unbuilt_periods
from kronos.settings import Settings

WEEKS: Final = 26
"""Weekly breakdowns are read for the recent past only."""


@dataclass(frozen=True)
class ReportWork:
    """Neighbouring periods of reports of one cadence that are partitioned alike."""

    cadence: Cadence
    by_engine: bool
    periods: Sequence[Period]
    reports: tuple[str, ...]


def outdated_reports(pipeline: Pipeline, settings: Settings, engines: Sequence[str], now: datetime) -> list[ReportWork]:
    """Decided periods of the reporting window whose reports are missing or were computed from other cells."""
    work = []
    for cadence in Cadence:
        periods = [judged.period for judged in _decided(pipeline, settings, cadence, now)]
        for by_engine in (False, True):
            reports = [report for report in REPORTS if report.cadence is cadence and report.by_engine is by_engine]
            outdated = _outdated(pipeline, reports, periods, engines if by_engine else [ALL_ENGINES])
            work += _pieces(reports, outdated)
    days = [judged.period for judged in _decided(pipeline, settings, Cadence.DAILY, now)]
    unseen = runs_of_neighbours(unmonitored_days(pipeline, days))
    work += [ReportWork(Cadence.DAILY, False, group, (MONITOR,)) for group in unseen]
    # a comparison costs more than a month's other reports together: the newest are enough to begin with
    months = [judged.period for judged in _decided(pipeline, settings, Cadence.MONTHLY, now)]
    newest = sorted(months)[-settings.comparison_months :]
    return work + _pieces([CONFIG_COMPARISON], outdated_periods(pipeline, CONFIG_COMPARISON, newest))


def claim_history(pipeline: Pipeline, settings: Settings, now: datetime) -> None:
    """Claim the window's decided periods, so that no barrier launches what is about to be written."""
    for cadence in Cadence:
        claim_requests(pipeline, cadence, _decided(pipeline, settings, cadence, now), list)


def _pieces(reports: Sequence[Report], periods: Sequence[Period]) -> list[ReportWork]:
    """One piece of work for each range of periods without a gap."""
    names = tuple(report.name for report in reports)
    return [
        ReportWork(reports[0].cadence, reports[0].by_engine, group, names)
        for group in runs_of_neighbours(list(periods))
    ]


def _outdated(
    pipeline: Pipeline, reports: Sequence[Report], periods: Sequence[Period], engines: Sequence[str]
) -> list[Period]:
    found: set[Period] = set()
    for report in reports:
        # a day's summary stays as it was known that day
        choose = unbuilt_periods if report.cadence is Cadence.DAILY else outdated_periods
        found |= {*choose(pipeline, report, periods, engines)}
    return sorted(found)


def _decided(pipeline: Pipeline, settings: Settings, cadence: Cadence, now: datetime) -> list[Judged]:
    first = max(_first_day(settings, cadence, now.date()), settings.history_start)
    judged = judge_periods(pipeline, periods_between(cadence, first, now.date()), now)
    return [entry for entry in judged if entry.verdict.decided]


def _first_day(settings: Settings, cadence: Cadence, today: date) -> date:
    if cadence is Cadence.DAILY:
        return max(settings.first_live_day, today - LOOKBACK)
    if cadence is Cadence.WEEKLY:
        return today - timedelta(weeks=WEEKS)
    months_back = today.year * 12 + today.month - settings.report_months
    return date(months_back // 12, months_back % 12 + 1, 1)
