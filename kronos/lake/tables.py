"""The lake: Delta tables, replaced by whole months or by pieces of a backtest, in one commit; old versions stay."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from deltalake import DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from polars.exceptions import ComputeError, PanicException

from kronos.core.frames import (
    BACKTESTS,
    CALIBRATION_CELLS,
    CELLS,
    COMPARISON_ROWS,
    CONFUSION_CELLS,
    FACT_KEYS,
    MONITOR_ROWS,
    PIECE_KEY,
    REPORT_ROWS,
    REVISIONS,
    SIGHTINGS,
    Schema,
)
from kronos.errors import BadValue, LakeUnavailable, NotFound

_MONTH: Final = re.compile(r"\d{4}-\d{2}")
_COMMIT: Final = re.compile(r"(\d{20})\.json")
_ATTEMPTS: Final = 30
_PAUSE_S: Final = 0.05
_FOREVER: Final = "interval 36500 days"
_CHECKPOINT: Final = 100
"""Commits after which a table's log is summed up: whoever opens the table reads the later ones one by one."""
_TABLE_SETTINGS: Final = {
    # old versions are evidence: neither their log entries nor their files ever expire
    "delta.logRetentionDuration": _FOREVER,
    "delta.deletedFileRetentionDuration": _FOREVER,
    # statistics of every column would make the log larger than a small month
    "delta.dataSkippingStatsColumns": "as_of_date,engine_name,config_id",
}


@dataclass(frozen=True)
class _Table:
    schema: Schema
    """Columns every version has; decision_facts gains columns with each new horizon."""
    row_group: int
    partition: tuple[str, ...] = ("month",)
    checkpoint: int = _CHECKPOINT


_OBSERVED: Final = {
    # small groups, so that reading one config skips the others
    "cells": _Table(CELLS, 16_384),
    "calibration_cells": _Table(CALIBRATION_CELLS, 16_384),
    "confusion_cells": _Table(CONFUSION_CELLS, 16_384),
}

TABLES: Final = {
    "decision_facts": _Table(FACT_KEYS, 131_072),
    "superseded_facts": _Table(REVISIONS, 131_072),
    "context_sightings": _Table(SIGHTINGS, 131_072),
    **_OBSERVED,
    "daily_reports": _Table(REPORT_ROWS, 131_072),
    "weekly_reports": _Table(REPORT_ROWS, 131_072),
    "monthly_reports": _Table(REPORT_ROWS, 131_072),
    "engine_reports": _Table(REPORT_ROWS, 131_072),
    "config_comparison": _Table(COMPARISON_ROWS, 131_072),
    "monitoring": _Table(MONITOR_ROWS, 131_072),
    **{
        # written in a few dozen commits and then only read: sums of so few are small
        BACKTESTS + name: _Table(PIECE_KEY | table.schema, table.row_group, tuple(PIECE_KEY), checkpoint=10)
        for name, table in {**_OBSERVED, "facts": _Table(FACT_KEYS, 131_072)}.items()
    },
}


class Lake:
    """Delta tables under one folder or s3:// address; each is created by its first write."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")

    def write_months(self, table: str, df: pl.DataFrame, months: Sequence[str]) -> str:
        """Replace exactly these months of a table by the rows of `df`, in one commit; returns its mark.

        Months without rows become empty. Rows are written in the given order. Writers of other months wait their
        turn; a month outside `months` in `df` is refused. Columns the table lacks are added.
        """
        _refuse_other_months(df, months)
        return self.replace(table, df, {"month": months})

    def replace(self, table: str, df: pl.DataFrame, where: Mapping[str, Sequence[str]]) -> str:
        """Replace the rows whose columns hold one of the values of `where`, in one commit; returns its mark.

        Every row of `df` must be such a row.
        """
        with self._refusals("written"):
            for attempt in range(_ATTEMPTS):
                try:
                    return self._replace(table, df, where)
                except CommitFailedError:
                    if attempt == _ATTEMPTS - 1:
                        raise
                    time.sleep(_PAUSE_S * (attempt + 1))
        raise AssertionError  # the last attempt returned or raised

    def scan(self, table: str, months: Iterable[str] | None = None, *, mark: str | None = None) -> pl.LazyFrame:
        """A table (all months, or these), now or as it was at a mark; without rows before the first write."""
        schema = _table(table).schema
        with self._refusals("read"):
            delta = self._open(table)
            if delta is None or (mark is not None and not holds(_mark(delta), mark)):
                return pl.LazyFrame(schema=schema)
            if mark is not None and version_of(mark) != delta.version():
                delta.load_as_version(version_of(mark))
            lf = pl.scan_delta(delta)
        if months is not None:
            lf = lf.filter(pl.col("month").is_in(list(months)))
        rest = [name for name in lf.collect_schema().names() if name not in schema]
        return lf.select(*schema, *rest)

    def collect(self, lf: pl.LazyFrame) -> pl.DataFrame:
        """The rows of a scan; files that are not there or cannot be read are the lake's own error."""
        with self._refusals("read"):
            return lf.collect()

    def version(self, table: str) -> int | None:
        """Newest version of a table; None before the first write."""
        with self._refusals("read"):
            if "://" not in self.uri:
                return _newest_commit(Path(self._address(table), "_delta_log"))
            delta = self._open(table)
            return None if delta is None else delta.version()

    def months(self, table: str) -> list[str]:
        """Months a table has rows for, rising."""
        with self._refusals("read"):
            delta = self._open(table)
            return [] if delta is None else sorted({part["month"] for part in delta.partitions()})

    def row_counts(self, table: str, *, mark: str) -> dict[str, int]:
        """Rows of each month of a table as it was at a mark, from its log alone."""
        with self._refusals("read"):
            delta = self._open(table)
            if delta is None or not holds(_mark(delta), mark):
                return {}
            delta.load_as_version(version_of(mark))
            files = pl.DataFrame(delta.get_add_actions(flatten=True))
        if files.is_empty():
            return {}
        return dict(files.group_by("partition.month").agg(pl.col("num_records").sum()).iter_rows())

    def mark(self, table: str) -> str | None:
        """Names the newest version of a table for ever, and its table among others; None before the first write."""
        with self._refusals("read"):
            delta = self._open(table)
            return None if delta is None else _mark(delta)

    def _replace(self, table: str, df: pl.DataFrame, where: Mapping[str, Sequence[str]]) -> str:
        delta = self._open(table)
        if delta is None:
            delta = self._created(table)
        write_deltalake(
            delta,
            df,
            mode="overwrite",
            predicate=" AND ".join(_among(column, values) for column, values in where.items()),
            schema_mode="merge",
            writer_properties=WriterProperties(compression="LZ4_RAW", max_row_group_size=_table(table).row_group),
        )
        return _mark(delta)

    def _created(self, table: str) -> DeltaTable:
        """The empty table, or what another writer has just created."""
        schema = pl.DataFrame(schema=_table(table).schema).to_arrow().schema
        if "://" not in self.uri:
            Path(self.uri).mkdir(parents=True, exist_ok=True)
        DeltaTable.create(
            self._address(table),
            schema,
            mode="ignore",
            partition_by=list(_table(table).partition),
            configuration={**_TABLE_SETTINGS, "delta.checkpointInterval": str(_table(table).checkpoint)},
        )
        return DeltaTable(self._address(table))

    def _open(self, table: str) -> DeltaTable | None:
        try:
            return DeltaTable(self._address(table))
        except TableNotFoundError:
            return None

    def _address(self, table: str) -> str:
        _table(table)
        return f"{self.uri}/{table}"

    @contextmanager
    def _refusals(self, done: str) -> Iterator[None]:
        try:
            yield
        except (DeltaError, OSError, ComputeError) as error:
            raise self._unavailable(done, error) from error
        except PanicException as error:
            raise self._unavailable(done, error, "polars gave up, as it does on a data file cut short: ") from error

    def _unavailable(self, done: str, error: BaseException, said: str = "") -> LakeUnavailable:
        cause = next(iter(str(error).splitlines()), type(error).__name__)
        return LakeUnavailable(f"the lake {self.uri} cannot be {done}: {said}{cause}")


def _newest_commit(log: Path) -> int | None:
    """The number of the last commit in a table's log: asked at every report, where opening the table takes 5 ms."""
    try:
        with os.scandir(log) as files:
            commits = [int(found[1]) for file in files if (found := _COMMIT.fullmatch(file.name))]
    except FileNotFoundError:
        return None
    return max(commits, default=None)


def holds(newest: str | None, mark: str) -> bool:
    """Whether a table whose newest mark is `newest` still has the version `mark`."""
    if newest is None:
        return False
    return newest.rpartition(":")[0] == mark.rpartition(":")[0] and version_of(mark) <= version_of(newest)


def _mark(delta: DeltaTable) -> str:
    return f"{delta.metadata().id}:{delta.version()}"


def _table(name: str) -> _Table:
    if name not in TABLES:
        raise NotFound("lake table", name, sorted(TABLES))
    return TABLES[name]


def _among(column: str, values: Sequence[str]) -> str:
    texts = ", ".join("'" + value.replace("'", "''") + "'" for value in sorted(set(values)))
    return f"{column} IN ({texts})"


def version_of(mark: str) -> int:
    """The number of the version that a mark names."""
    return int(mark.rpartition(":")[2])


def _refuse_other_months(df: pl.DataFrame, months: Sequence[str]) -> None:
    for month in months:
        if not _MONTH.fullmatch(month):
            raise BadValue("month", month, "YYYY-MM")
    other = set(df["month"].unique()) - set(months)
    if other or not months:
        raise BadValue("months of the rows", sorted(other), f"only the months replaced: {sorted(months)}")
