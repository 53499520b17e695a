"""Models, risk reports and job executions as the source has them -> contract frames, and what breaks the contract."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from kronos.core.conventions import EARLIEST_DATE
from kronos.core.frames import JOB_EXECUTIONS, MODELS, RISK_REPORTS, Schema, conform
from kronos.core.vocabulary import JobStatus
from kronos.sources.rules import (
    WRONG_JSON_TYPE,
    Rule,
    breaches,
    broken_by_any,
    not_after,
    on,
    plausible,
    required,
    shown,
    stamped_by,
)

_STATUS: Final = pl.col("status").str.to_uppercase()
"""Upstream writes it in either case."""
_UNFINISHED: Final = [JobStatus.PENDING.value, JobStatus.RUNNING.value]


@dataclass(frozen=True)
class SourceTable:
    """One table that nothing is computed from: its adapter, its name at the source, its contract and its own rules.

    documents: the columns of JSON objects. instants: those that must have come by today.
    """

    adapter: str
    name: str
    schema: Schema
    key: tuple[str, ...]
    rules: tuple[Rule, ...]
    instants: tuple[str, ...]
    documents: tuple[str, ...] = ()

    @property
    def dated(self) -> bool:
        """Whether it is read by a range of session dates."""
        return "as_of_date" in self.schema

    @property
    def judged(self) -> list[str]:
        """The adapter's columns that the rules look at: all but the documents themselves, which may be long."""
        plain = [column for column in self.schema if column not in self.documents]
        return [*plain, "wrong_types"] if self.documents else plain

    def range_of(self, start: date | None, end: date | None) -> list[date | None]:
        """Parameters of the adapter; None is no bound."""
        return [start, end] if self.dated else []


@dataclass(frozen=True)
class Checked:
    """Rows that keep the contract, and QUARANTINE rows of those that do not."""

    rows: pl.DataFrame
    quarantine: pl.DataFrame


MODELS_TABLE: Final = SourceTable(
    adapter="models",
    name="models",
    schema=MODELS,
    key=("model_id",),
    rules=(*required("model_id", "engine_name"), WRONG_JSON_TYPE),
    instants=("created_at",),
    documents=("training_data_spec", "metrics"),
)
RISK_REPORTS_TABLE: Final = SourceTable(
    adapter="risk_reports",
    name="portfolio_risk_reports",
    schema=RISK_REPORTS,
    key=("portfolio_id", "as_of_date", "recorded_at"),
    rules=(*required("portfolio_id", "as_of_date"), WRONG_JSON_TYPE),
    instants=("recorded_at",),
    documents=("risk_metrics", "exposures", "scenario_pnl", "metadata"),
)
JOBS_TABLE: Final = SourceTable(
    adapter="job_executions",
    name="job_executions",
    schema=JOB_EXECUTIONS,
    key=("execution_id", "attempt_number"),
    rules=(
        *required("execution_id", "job_id", "job_type", "as_of_date", "status"),
        on("status", "UNKNOWN_STATUS", (_STATUS != "") & ~_STATUS.is_in([status.value for status in JobStatus])),
        # a retry begins in the row of the attempt before, which has ended
        Rule(
            "COMPLETED_BEFORE_STARTED",
            (pl.col("completed_at") < pl.col("started_at")) & ~_STATUS.is_in(_UNFINISHED),
            pl.format("{} {}", shown("started_at"), shown("completed_at")),
        ),
    ),
    instants=("started_at", "completed_at"),
)
TABLES: Final = (MODELS_TABLE, RISK_REPORTS_TABLE, JOBS_TABLE)


def checked_rows(raw: pl.DataFrame, table: SourceTable, today: date | None) -> Checked:
    """Split the adapter's rows; without today no date is too late."""
    sound = raw.filter(~broken_by_any(_rules(table, today))).sort(table.key, nulls_last=True)
    if "status" in table.schema:
        sound = sound.with_columns(_STATUS)
    return Checked(conform(sound, table.schema, table.adapter), table_breaches(raw, table, today))


def table_breaches(raw: pl.DataFrame, table: SourceTable, today: date | None) -> pl.DataFrame:
    """QUARANTINE rows of the adapter's rows, of which only the judged columns are needed."""
    dated = raw if table.dated else raw.with_columns(as_of_date=pl.lit(None, pl.Date))
    return breaches(dated, _rules(table, today), table.name, _key(table))


def _rules(table: SourceTable, today: date | None) -> list[Rule]:
    days = ["as_of_date"] if table.dated else []
    early = [on(column, "IMPLAUSIBLE_DATE", pl.col(column).dt.date() < EARLIEST_DATE) for column in table.instants]
    rules = [*table.rules, *map(plausible, days), *early]
    if today is None:
        return rules
    late = [stamped_by(column, today) for column in table.instants]
    return [*rules, *(not_after(day, today) for day in days), *late]


def _key(table: SourceTable) -> pl.Expr:
    """The key's values as text, joined by slashes."""
    parts = [
        pl.col(column).dt.to_string("iso:strict") if column in table.instants else pl.col(column).cast(pl.String)
        for column in table.key
    ]
    return pl.concat_str(parts, separator="/", ignore_nulls=True)
