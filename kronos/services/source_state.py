"""What upstream's tables hold: rows and newest day of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from kronos.services.pipeline import Pipeline
from kronos.store.database import Role
from kronos.store.engine_configs import list_configs

CONFIGS = "engine_configs"


@dataclass(frozen=True)
class TableState:
    """Rows of a source table and the newest day they are about; None for an empty one."""

    table: str
    rows: int
    newest: date | None


def source_state(pipeline: Pipeline) -> list[TableState]:
    """The state of every table the source has; engine_configs is Kronos's own."""
    tables = [TableState(*row) for row in pipeline.source.row_counts().select("source_table", "rows", "newest").rows()]
    with pipeline.database.connect(Role.READER) as session:
        configs = list_configs(session)
    newest = max((config.created_at.date() for config in configs), default=None)
    return [*(table for table in tables if table.table != CONFIGS), TableState(CONFIGS, len(configs), newest)]


def engine_names(pipeline: Pipeline) -> list[str]:
    """Engines that have cells, sorted: one that is only registered has nothing to report yet."""
    seen = pipeline.lake.scan("cells").select(pl.col("engine_name").unique()).collect()
    return sorted(seen["engine_name"])
