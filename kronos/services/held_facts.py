"""Read back the facts that builds recorded, whatever was written to the lake since."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import groupby
from typing import Final

import polars as pl

from kronos.core.facts import FactsBatch, horizons_in
from kronos.core.frames import REVISIONS, empty
from kronos.lake.tables import Lake
from kronos.services.pipeline import FACT_TABLES
from kronos.store.month_builds import MonthBuild

BATCH_DECISIONS: Final = 170_000
"""Decisions worth adding up together: fewer waste time on overhead, more gain nothing but size."""

Columns = Callable[[Sequence[int]], Sequence[str]]
"""Columns to read of facts with these horizons."""


class HeldFacts:
    """The facts of recorded builds. Opening a table costs as much as reading a month, so each version opens once."""

    def __init__(self, lake: Lake) -> None:
        self._at = cache(lambda table, mark: lake.scan(table, mark=mark))
        self._rows = cache(lambda table, mark: lake.row_counts(table, mark=mark))

    def read(self, records: Sequence[MonthBuild], columns: Columns | None = None) -> FactsBatch:
        """Facts of the records' months; all columns unless told which."""
        parts = [self._read(list(group), columns) for _, group in groupby(records, key=lambda record: record.lake)]
        facts = pl.concat([part.facts for part in parts], how="diagonal")
        # columns in pieces take half as long again to add up
        return FactsBatch(facts.rechunk(), pl.concat([part.superseded for part in parts]))

    def batches(self, records: Sequence[MonthBuild]) -> Iterator[list[MonthBuild]]:
        """The records in runs of about BATCH_DECISIONS decisions, a month never split."""
        batch: list[MonthBuild] = []
        held = 0
        for record in records:
            rows = self._rows("decision_facts", record.lake["decision_facts"]).get(record.month, 0)
            if batch and held + rows > BATCH_DECISIONS:
                yield batch
                batch, held = [], 0
            batch.append(record)
            held += rows
        if batch:
            yield batch

    def _read(self, records: Sequence[MonthBuild], columns: Columns | None) -> FactsBatch:
        months, marks = [record.month for record in records], records[0].lake
        facts, superseded = (
            self._at(table, marks[table]).filter(pl.col("month").is_in(months)) for table in FACT_TABLES
        )
        if columns is not None:
            facts = facts.select(columns(horizons_in(facts)))
        # most months hold nothing superseded, which the log tells at once
        held = self._rows("superseded_facts", marks["superseded_facts"])
        some = any(month in held for month in months)
        return FactsBatch(facts.collect(), superseded.collect() if some else empty(REVISIONS))
