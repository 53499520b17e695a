"""What of the recent reports is to be written, so that a fresh start has a history to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from kronos.core.scheduling.periods import Cadence, Period, periods_between, runs_of_neighbours
from kronos.services.barrier import LOOKBACK, Judged, claim_requests, judge_periods
from kronos.services.monitoring import unmonitored_days
from kronos.services.pipeline import Pipeline
from kronos.services.summaries import ALL_ENGINES, REPORTS, outdated_periods, unbuilt_periods
from kronos.settings import Settings

WEEKS: Final = 26
"""Weekly breakdowns are read for the recent past only."""


@dataclass(frozen=True)
class ReportWork:
    """Neighbouring periods of the reports of one cadence that are partitioned alike."""

    cadence: Cadence
    by_engine: bool
    periods: Sequence[Period]


def outdated_reports(pipeline: Pipeline, settings: Settings, engines: Sequence[str], now: datetime) -> list[ReportWork]:
    """Decided periods of the reporting window whose reports are missing or were computed from other cells."""
    work = []
    for cadence in Cadence:
        periods = [judged.period for judged in _decided(pipeline, settings, cadence, now)]
        for by_engine in (False, True):
            outdated = _outdated(pipeline, cadence, periods, engines, by_engine=by_engine)
            work += [ReportWork(cadence, by_engine, group) for group in runs_of_neighbours(outdated)]
    return work


def claim_history(pipeline: Pipeline, settings: Settings, now: datetime) -> None:
    """Claim the window's decided periods, so that no barrier launches what is about to be written."""
    for cadence in Cadence:
        claim_requests(pipeline, cadence, _decided(pipeline, settings, cadence, now), list)


def _outdated(
    pipeline: Pipeline, cadence: Cadence, periods: Sequence[Period], engines: Sequence[str], *, by_engine: bool
) -> list[Period]:
    # a day's summary stays as it was known that day
    choose = unbuilt_periods if cadence is Cadence.DAILY else outdated_periods
    reports = [report for report in REPORTS if report.cadence is cadence and report.by_engine is by_engine]
    found = [choose(pipeline, report, periods, engines if by_engine else [ALL_ENGINES]) for report in reports]
    if cadence is Cadence.DAILY and not by_engine:
        found.append(unmonitored_days(pipeline, periods))
    return sorted({period for outdated in found for period in outdated})


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
