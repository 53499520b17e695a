"""Run the integrity rules over what the lake holds: read, hand to core, return the findings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from kronos.core.frames import CELL_KEYS, FACT_KEYS
from kronos.core.quality import (
    Finding,
    drifted_forecasts,
    duplicates,
    late_markets,
    uneven_cubes,
    uneven_reports,
    unsound_rows,
    unsupported_labels,
)
from kronos.core.scheduling.expectation import ACTIVE_FOR
from kronos.core.scheduling.periods import Cadence, period_from_key
from kronos.services.market_hours import session_closes
from kronos.services.markets import live_activity
from kronos.services.pipeline import Pipeline
from kronos.services.sightings import label_contexts
from kronos.services.summaries import Report
from kronos.settings import RecordedBy
from kronos.sources.quarantine import quarantine_counts
from kronos.store.month_builds import Stage, builds

if TYPE_CHECKING:
    from kronos.services.recompute import Agreement

SAMPLED_MONTHS: Final = 12
_CELL_ROW: Final = ["cube", *CELL_KEYS, "slice"]


def sampled(months: Sequence[str], turn: int = 0) -> list[str]:
    """At most SAMPLED_MONTHS of the months: the newest and evenly spread others; `turn` moves the spread on."""
    ordered = sorted(months)
    if len(ordered) <= SAMPLED_MONTHS:
        return ordered
    step = len(ordered) / (SAMPLED_MONTHS - 1)
    spread = {int(n * step + turn) % len(ordered) for n in range(SAMPLED_MONTHS - 1)}
    return [ordered[n] for n in sorted({*spread, len(ordered) - 1})]


def built_months(pipeline: Pipeline) -> list[str]:
    """Months whose cells are built."""
    with pipeline.database.connect() as session:
        return sorted(builds(session, Stage.CELLS))


def quarantined_rows(pipeline: Pipeline) -> pl.DataFrame:
    """source_table, rule, months and rows of everything in quarantine, most rows first."""
    counts = quarantine_counts(pipeline.database)
    grouped = counts.group_by("source_table", "rule").agg(batches=pl.len(), rows=pl.col("rows").sum())
    return grouped.sort("rows", "source_table", "rule", descending=[True, False, False])


def unique_facts(pipeline: Pipeline, months: Sequence[str]) -> Finding:
    """Decisions that stand twice in the facts."""
    return duplicates(pipeline.lake.scan("decision_facts", months), ["decision_id"])


def unique_cells(pipeline: Pipeline, months: Sequence[str]) -> Finding:
    """Cells that stand twice."""
    return duplicates(pipeline.lake.scan("cells", months), _CELL_ROW)


def point_in_time(pipeline: Pipeline, months: Sequence[str]) -> Finding:
    """Labels that nothing known at their decision supports."""
    recorded = pipeline.recorded_by is not RecordedBy.AS_OF_DATE
    checked, broken = 0, []
    for month in months:
        period = period_from_key(Cadence.MONTHLY, month)
        facts = pipeline.lake.scan("decision_facts", [month]).select(list(FACT_KEYS)).collect()
        contexts = label_contexts(pipeline, period.start, period.end)
        found = unsupported_labels(facts, contexts, pipeline.policy, recorded=recorded)
        checked += found.checked
        broken.append(found.broken)
    return Finding(checked, pl.concat(broken) if broken else pl.DataFrame())


def slices_add_up(pipeline: Pipeline, months: Sequence[str]) -> Finding:
    """Cells whose cubes are not the same book."""
    found = [uneven_cubes(pipeline.lake.scan("cells", [month])) for month in months]
    broken = [finding.broken for finding in found]
    return Finding(sum(finding.checked for finding in found), pl.concat(broken) if broken else pl.DataFrame())


def recomputed(pipeline: Pipeline, months: Sequence[str]) -> list[tuple[str, Agreement]]:
    """Each month's cells against their recomputation from its facts in DuckDB's SQL."""
    from kronos.services.recompute import recompute_month

    return [(month, answer) for month in months for answer in recompute_month(pipeline, month)]


def fresh_markets(pipeline: Pipeline, now: datetime) -> Finding:
    """Active markets without a decision for the last session whose deadline has passed."""
    activity = live_activity(pipeline, now.date() - ACTIVE_FOR, now.date())
    closes = session_closes(
        pipeline.policy, activity["market_id"].unique(), now.date() - timedelta(days=14), now.date()
    )
    due = closes.filter(pl.col("closes_at") + pipeline.policy.deadline_after_close <= now)
    expected = due.group_by("market_id").agg(pl.col("session").max())
    return late_markets(activity.group_by("market_id").agg(newest=pl.col("as_of_date").max()), expected)


def calibration_drift(pipeline: Pipeline) -> Finding:
    """Forecasts that err differently in the newest 12 months than before."""
    cells = pipeline.lake.scan("calibration_cells")
    newest = cells.select(pl.col("month").max()).collect().item()
    if newest is None:
        return Finding(0, pl.DataFrame())
    return drifted_forecasts(cells, pipeline.policy, newest)


def sound_report_rows(pipeline: Pipeline, report: Report, months: Sequence[str]) -> Finding:
    """Report rows that stand twice, or hold neither or both of number and reason."""
    return unsound_rows(_rows(pipeline, report, months))


def report_adds_up(pipeline: Pipeline, report: Report, months: Sequence[str]) -> Finding:
    """Reports whose slices are not the whole book."""
    return uneven_reports(_rows(pipeline, report, months))


def _rows(pipeline: Pipeline, report: Report, months: Sequence[str]) -> pl.LazyFrame:
    dimensions = [dimension.value for dimension in report.dimensions]
    return pipeline.lake.scan(report.table, months).filter(pl.col("dimension").is_in(dimensions))
