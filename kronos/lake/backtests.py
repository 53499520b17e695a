"""One experiment's backtests, in tables of its own, under the names that the observe flow's tables have.

A table's log is read by whoever opens it and grows with every commit: in tables that all experiments shared, each piece
would be slower to write than the one before, for ever, and runs would commit into each other's way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import polars as pl

from kronos.core.backtests.spec import folder_of, is_of
from kronos.core.frames import BACKTESTS, PIECE_KEY
from kronos.lake.tables import Lake

TABLES: Final = {
    name: BACKTESTS + name.removeprefix("decision_")
    for name in ("decision_facts", "cells", "calibration_cells", "confusion_cells")
}
"""The observe flow's tables that backtests have too."""


def lake_of(lake: Lake, experiment_id: str) -> Lake:
    """The lake within the lake that holds one experiment's backtests and nothing else."""
    return Lake(f"{lake.uri}/{folder_of(experiment_id)}")


class Record(Protocol):
    """What reports read: facts and cells, of what happened or of an experiment's backtests."""

    def scan(self, table: str, months: Iterable[str] | None = None) -> pl.LazyFrame:
        """A table, all months or these."""

    def version(self, table: str) -> int | None:
        """Newest version of a table; None before the first write."""


class BacktestRecord:
    """The backtests of one experiment, as they were at the marks; without marks as they are now.

    build: whose rows they are (`spec.build_of`); None: all there are, of results that were kept without one.
    """

    def __init__(
        self, lake: Lake, experiment_id: str, marks: Mapping[str, str] | None = None, build: str | None = None
    ) -> None:
        self._lake, self._marks, self._build = lake_of(lake, experiment_id), marks or {}, build

    def scan(self, table: str, months: Iterable[str] | None = None) -> pl.LazyFrame:
        """A table of the experiment, all months or these; what backtests do not have is empty."""
        if table not in TABLES:
            return self._lake.scan(table, ())
        name = TABLES[table]
        rows = self._lake.scan(name, months, mark=self._marks.get(name))
        if self._build is not None:
            rows = rows.filter(is_of(pl.col("piece"), self._build))
        return rows.drop(*PIECE_KEY)

    def version(self, table: str) -> int | None:
        """Newest version of a table; None before the first write."""
        return self._lake.version(TABLES[table]) if table in TABLES else None
