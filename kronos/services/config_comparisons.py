"""Write each month's comparison of every engine's configs to the lake, as it would have been at the month's end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from kronos.core.conventions import DECISION_HORIZON
from kronos.core.frames import COMPARISON_ROWS, conform, empty
from kronos.core.quality import Finding
from kronos.core.scheduling.periods import Cadence, Period, period_from_key
from kronos.core.vocabulary import Dimension, Mode
from kronos.services.barrier import judge_periods
from kronos.services.pipeline import Pipeline
from kronos.services.summaries import ALL_ENGINES, Progress, Report, report_inputs
from kronos.store.meta_runs import ReportBuild, record_builds

if TYPE_CHECKING:
    # brings scipy, which only a process that compares should wait for
    from kronos.core.reports.comparison_model import ConfigComparison
    from kronos.services.performance import Directory, Performance

_CENTURY: Final = timedelta(days=36_525)
CONFIG_COMPARISON: Final = Report(
    "config_comparison", "config_comparison", Cadence.MONTHLY, (Dimension.OVERALL,), _CENTURY
)
"""Its longer window is the whole record: any month's cells may move it."""


@dataclass(frozen=True)
class Compared:
    """What a run wrote: the label of each month, and the last month's comparisons by engine."""

    labels: dict[str, str]
    newest: list[ConfigComparison]


def compare_months(
    pipeline: Pipeline,
    performance: Performance,
    months: Sequence[Period],
    now: datetime,
    progress: Progress | None = None,
) -> Compared:
    """Compare as of each month's end and replace the months' rows, one month at a time."""
    from kronos.core.reports.comparison_rows import comparison_rows  # brings scipy, as above

    labels = {entry.period.key: entry.verdict.label for entry in judge_periods(pipeline, months, now)}
    newest: list[ConfigComparison] = []
    for done, month in enumerate(sorted(months), start=1):
        # named before the cells are read: what is rebuilt meanwhile leaves the month outdated
        inputs = report_inputs(pipeline, CONFIG_COMPARISON, [month])
        newest = _comparisons(pipeline, performance, month)
        rows = pl.concat([empty(COMPARISON_ROWS), *(comparison_rows(one, month, labels[month.key]) for one in newest)])
        checked = conform(rows, COMPARISON_ROWS, CONFIG_COMPARISON.table)
        pipeline.lake.replace(CONFIG_COMPARISON.table, checked, {"month": [month.key]})
        build = ReportBuild(month.key, ALL_ENGINES, labels[month.key], inputs[month.key])
        record_builds(pipeline.database, CONFIG_COMPARISON.name, [build])
        if progress is not None:
            progress(done, len(months))
    return Compared(labels, newest)


def sound_comparisons(pipeline: Pipeline, months: Sequence[str]) -> Finding:
    """Configs whose stored rows contradict each other."""
    from kronos.core.reports.comparison_rows import unsound_comparisons

    return unsound_comparisons(pipeline.lake.scan(CONFIG_COMPARISON.table, months))


def judged_configs(pipeline: Pipeline, performance: Performance, months: Sequence[str]) -> Finding:
    """Configs that had decided by a month's end without a class in it, or with one though they had not."""
    from kronos.core.reports.comparison_rows import unjudged_configs

    directory = performance.directory()
    decided = [
        (month, engine, config)
        for month in months
        for engine, configs in _decided(directory, period_from_key(Cadence.MONTHLY, month).end).items()
        for config in configs
    ]
    frame = pl.DataFrame(decided, schema=["period", "engine_name", "config_id"], orient="row").cast(pl.String)
    return unjudged_configs(pipeline.lake.scan(CONFIG_COMPARISON.table, months), frame)


def _comparisons(pipeline: Pipeline, performance: Performance, month: Period) -> list[ConfigComparison]:
    """Every engine that had decided by then: configs, incumbent, outcomes and trials are those of the month's end."""
    from kronos.services.comparison import background, end_of

    first, _ = performance.period()
    years, after = pipeline.policy.comparison.report_years, month.next().start
    start = first if years is None else max(first, after.replace(year=after.year - years))
    found = []
    for engine, configs in _decided(performance.directory(), month.end).items():
        known = background(pipeline.database, engine, end_of(month.end))
        found.append(
            performance.comparison(
                engine,
                configs,
                start,
                month.end,
                incumbent=known.incumbent,
                as_of=month.end,
                ledger=known.ledger,
                notes=known.notes,
            )
        )
    return found


def _decided(directory: Directory, day: date) -> dict[str, list[str]]:
    """Engines with the configs that had made a live decision by the day."""
    live = directory.entries.filter(
        pl.col("mode") == Mode.LIVE.value,
        pl.col("experiment_id") == "",
        pl.col("horizon") == DECISION_HORIZON,
        pl.col("first") <= day,
    )
    return dict(
        live.sort("engine_name", "config_id").group_by("engine_name", maintain_order=True).agg("config_id").iter_rows()
    )
