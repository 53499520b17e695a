"""What upstream changed: the months to rebuild, grouped into runs, each named by the state it brings about."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from kronos.core.scheduling.periods import Cadence, period_from_key, runs_of_neighbours
from kronos.errors import BadValue
from kronos.services.pipeline import Pipeline
from kronos.services.staleness import source_fingerprints, stale_cell_months, stale_fact_months


@dataclass(frozen=True)
class Rebuild:
    """Neighbouring stale months; the key changes with the source's state, so one state is built once."""

    key: str
    months: tuple[str, ...]


def stale_months(pipeline: Pipeline, today: date) -> list[str]:
    """Months whose facts or cells are not what they would be built as now."""
    return sorted({*stale_fact_months(pipeline, today), *stale_cell_months(pipeline)})


def rebuilds(pipeline: Pipeline, today: date, within: Collection[str]) -> list[Rebuild]:
    """One rebuild for each run of neighbouring stale months; those not `within` the partitions are refused by name."""
    stale = stale_months(pipeline, today)
    if not stale:
        return []
    outside = [month for month in stale if month not in within]
    if outside:
        raise BadValue("KRONOS_HISTORY_START", min(within, default=None), f"a date not after {outside[0]}-01")
    fingerprints = source_fingerprints(pipeline, today)
    groups = runs_of_neighbours([period_from_key(Cadence.MONTHLY, month) for month in stale])
    return [_rebuild(pipeline, [period.key for period in group], fingerprints) for group in groups]


def _rebuild(pipeline: Pipeline, months: Sequence[str], fingerprints: dict[str, str]) -> Rebuild:
    state = [pipeline.facts_definition, pipeline.cells_definition, [fingerprints.get(month) for month in months]]
    digest = hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]
    return Rebuild(f"observe:{months[0]}:{months[-1]}:{digest}", tuple(months))
