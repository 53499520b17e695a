"""Tables of the observe flow as they were at marks: what was read of them once can be read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from kronos.lake.tables import Lake, version_of


def marks_now(lake: Lake, tables: Iterable[str]) -> dict[str, str]:
    """The newest mark of each table; those without a write have none. Ask before reading, and read what it names."""
    return {table: mark for table in tables if (mark := lake.mark(table)) is not None}


class PinnedRecord:
    """The lake's tables at marks; one that has no mark among them has no rows."""

    def __init__(self, lake: Lake, marks: Mapping[str, str]) -> None:
        self._lake, self._marks = lake, marks

    def scan(self, table: str, months: Iterable[str] | None = None) -> pl.LazyFrame:
        """A table as it was, all months or these."""
        mark = self._marks.get(table)
        return self._lake.scan(table, ()) if mark is None else self._lake.scan(table, months, mark=mark)

    def version(self, table: str) -> int | None:
        """The version of a table that is read; None: none is."""
        mark = self._marks.get(table)
        return None if mark is None else version_of(mark)
