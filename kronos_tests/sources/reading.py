"""Shorthands of the source tests."""

from __future__ import annotations

from datetime import date

from kronos.sources.reader import SourceBatch, SourceReader

TODAY = date(2020, 12, 31)
DAY = date(2020, 3, 2)


def read_year(reader: SourceReader) -> SourceBatch:
    """Everything dated in 2020, as seen at its end."""
    return reader.read(date(2020, 1, 1), TODAY, today=TODAY)


def reasons(batch: SourceBatch) -> list[tuple[str, str]]:
    """Rule and value of every quarantined row."""
    return sorted(batch.quarantine.select("rule", "value").iter_rows())
