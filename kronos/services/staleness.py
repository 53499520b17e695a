"""Which months of the lake no longer are what they would be built as now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date

import polars as pl

from kronos.lake.tables import holds
from kronos.services.pipeline import CELL_TABLES, FACT_TABLES, Pipeline
from kronos.store.month_builds import MonthBuild, Stage, builds


def stale_fact_months(pipeline: Pipeline, today: date) -> list[str]:
    """Months whose facts differ from what the source, the policy or the code would give now."""
    fingerprints, horizons = source_fingerprints(pipeline, today), due_horizons(pipeline.source.horizons())
    with pipeline.database.connect() as connection:
        built = builds(connection, Stage.FACTS)
    newest = _newest(pipeline, FACT_TABLES)

    def fresh(build: MonthBuild) -> bool:
        wanted = (fingerprints.get(build.month, ""), pipeline.facts_definition)
        same_horizons = all(horizons.get(config) == due for config, due in build.horizons.items())
        return (build.fingerprint, build.definition) == wanted and same_horizons and _held(build, newest)

    return [month for month in sorted(fingerprints | built) if month not in built or not fresh(built[month])]


def stale_cell_months(pipeline: Pipeline) -> list[str]:
    """Months whose cells were not added up from their present facts, or by another policy or code."""
    with pipeline.database.connect() as connection:
        facts, cells = builds(connection, Stage.FACTS), builds(connection, Stage.CELLS)
    newest = _newest(pipeline, CELL_TABLES)

    def fresh(month: str, build: MonthBuild) -> bool:
        wanted = (facts_mark(facts[month]), pipeline.cells_definition)
        return (build.fingerprint, build.definition) == wanted and _held(build, newest)

    return [month for month in sorted(facts) if month not in cells or not fresh(month, cells[month])]


def source_fingerprints(pipeline: Pipeline, today: date) -> dict[str, str]:
    """The source's state by month."""
    return dict(pipeline.source.fingerprints(today).select("month", "fingerprint").iter_rows())


def due_horizons(horizons: pl.DataFrame) -> dict[str, list[int]]:
    """Horizons at which each config has any outcome, by `engine/config`."""
    due: dict[str, list[int]] = {}
    for engine, config, horizon in horizons.sort("horizon").iter_rows():
        due.setdefault(f"{engine}/{config}", []).append(horizon)
    return due


def facts_mark(build: MonthBuild) -> str:
    """The fingerprint of cells: which versions of the facts they were added up from."""
    return json.dumps(dict(build.lake), sort_keys=True)


def facts_marks(cells: MonthBuild) -> dict[str, str]:
    """The versions of the facts that a month's cells were added up from."""
    return dict(json.loads(cells.fingerprint))


def _newest(pipeline: Pipeline, tables: Iterable[str]) -> dict[str, str | None]:
    return {table: pipeline.lake.mark(table) for table in tables}


def _held(build: MonthBuild, newest: Mapping[str, str | None]) -> bool:
    """Whether the lake still has what the build wrote: it may have been removed or replaced."""
    return all(holds(newest[table], mark) for table, mark in build.lake.items())
