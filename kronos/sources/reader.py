"""Reads the source tables through their dialect's adapters and checks them at the door."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Final, Self

import polars as pl

from kronos.core.conventions import EARLIEST_DATE, LARGEST_HORIZON
from kronos.core.frames import QUARANTINE, Contexts, conform
from kronos.core.policy import ObservationPolicy
from kronos.settings import Dialect, RecordedBy
from kronos.sources.adapters import adapter, over_context
from kronos.sources.connection import Parameter, SourceConnection
from kronos.sources.contexts import KINDS, ContextKind, context_breaches, usable_contexts
from kronos.sources.decisions import checked_decisions
from kronos.sources.fingerprints import month_fingerprints
from kronos.sources.outcomes import checked_outcomes
from kronos.sources.tables import (
    JOBS_TABLE,
    MODELS_TABLE,
    RISK_REPORTS_TABLE,
    TABLES,
    Checked,
    SourceTable,
    checked_rows,
    table_breaches,
)

_NO_DAY: Final = date(1, 1, 1)
"""Before any data."""
_NO_INSTANT: Final = datetime(1, 1, 2, tzinfo=UTC)
_PROMISED: Final[dict[str, tuple[str, list[Parameter]]]] = {
    "decisions": ("table engine_decisions", [_NO_DAY, _NO_DAY]),
    "outcomes": ("table decision_outcomes", [_NO_DAY, _NO_DAY]),
    **{kind.adapter: (f"table {kind.table}", []) for kind in KINDS},
    "engine_runs": ("table engine_runs", [_NO_DAY]),
    **{table.adapter: (f"table {table.name}", [*table.range_of(_NO_DAY, _NO_DAY)]) for table in TABLES},
    "row_counts": ("tables", []),
    "tier1_jobs": ("table job_executions", [_NO_INSTANT, _NO_INSTANT, _NO_INSTANT]),
}
"""Adapters that together touch every promised table and column."""
_REGISTRY: Final = {Dialect.SPEC: "engine_configs", Dialect.PROMETHEUS_V2: "strategy_configs"}
"""Where a dialect may keep config bodies."""


_OUTSIDE: Final = (
    "as_of_date IS NULL OR as_of_date < $1 OR as_of_date >= date_trunc('month', $2::date) + INTERVAL '1 month'"
)


@dataclass(frozen=True)
class SourceBatch:
    """What the source says of a range of days: `decisions` and `outcomes` keep the contract, `quarantine` does not.

    refused: decision_id and experiment_id of the decisions that do not, as far as they say so.
    """

    decisions: pl.DataFrame
    outcomes: pl.DataFrame
    quarantine: pl.DataFrame
    refused: pl.DataFrame


class SourceReader:
    """A read-only view of one source database; use it in a `with` block."""

    def __init__(self, url: str, dialect: Dialect, recorded_by: RecordedBy, policy: ObservationPolicy) -> None:
        self._dialect, self._recorded_by, self._policy = dialect, recorded_by, policy
        self._connection = SourceConnection(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def check(self) -> None:
        """Raise `SourceMismatch`, naming table and column, unless the source holds what the dialect promises."""
        for name, (reads, parameters) in _PROMISED.items():
            statement = f"SELECT * FROM ({adapter(self._dialect, name)}) AS promised LIMIT 0"
            self._connection.fetch(statement, parameters, reads=f"{reads} of dialect {self._dialect.value!r}")

    def months(self, today: date) -> list[str]:
        """Months (YYYY-MM) up to today's in which decisions are dated, rising."""
        return self._read("months", EARLIEST_DATE, today)["month"].to_list()

    def fingerprints(self, today: date) -> pl.DataFrame:
        """Month (up to today's) and fingerprint, a text that changes whenever the month would read differently."""
        with self._connection.snapshot():
            decisions = self._read("decision_states", today)
            outcomes = self._read("outcome_states", today)
            contexts = [
                self._connection.fetch(over_context(self._dialect, "context_states", kind.adapter), [today])
                for kind in KINDS
            ]
        return month_fingerprints(decisions, outcomes, contexts, today)

    def read(self, start: date, end: date, *, today: date) -> SourceBatch:
        """Decisions dated from start to end with all revisions of their outcomes, and what broke the contract."""
        with self._connection.snapshot():
            raw = self._read("decisions", start, end)
            raw_outcomes = self._read("outcomes", start, end)
            around = [self._contexts_where(kind, "as_of_date BETWEEN $1 AND $2", start, end) for kind in KINDS]
        decisions, bad = checked_decisions(raw, self._policy.markets, today)
        outcomes, bad_outcomes = checked_outcomes(raw_outcomes, _parents(raw, decisions), today)
        bad_contexts = (
            context_breaches(raw, kind, self._recorded_by, today) for kind, raw in zip(KINDS, around, strict=True)
        )
        return SourceBatch(
            decisions,
            outcomes,
            pl.concat([bad, bad_outcomes, *bad_contexts]),
            raw.filter(_refused(decisions)).select("decision_id", "experiment_id").unique(maintain_order=True),
        )

    def contexts(self, start: date, end: date, *, decided_from: datetime | None = None) -> Contexts:
        """Every usable context row that can matter to decisions dated from start to end.

        decided_from: when the first of them was made; None: they are the source's own.
        """
        with self._connection.snapshot():
            known = None
            if self._recorded_by is RecordedBy.RECORDED:
                known = decided_from or self._first_decided(start, end)
            return Contexts(*(self._context_window(kind, start, end, known) for kind in KINDS))

    def horizons(self) -> pl.DataFrame:
        """engine_name, config_id, horizon: where a config has any outcome."""
        return self._read("horizons", LARGEST_HORIZON).sort("engine_name", "config_id", "horizon")

    def orphans(self, today: date) -> pl.DataFrame:
        """QUARANTINE rows of what no month up to today holds.

        Outcomes without decision, undated and misdated rows, and whatever breaks the contract in the tables that no
        month is made of: models, risk reports and job executions.
        """
        rows = conform(self._read("orphans", EARLIEST_DATE, today), QUARANTINE, "orphans")
        contexts = (
            context_breaches(self._contexts_where(kind, _OUTSIDE, EARLIEST_DATE, today), kind, self._recorded_by, today)
            for kind in KINDS
        )
        return pl.concat([rows, *contexts, *(self._table_breaches(table, today) for table in TABLES)])

    def models(self, *, today: date | None = None) -> Checked:
        """MODELS by id; a dialect without them has none. Without today no date is too late, here and below."""
        return self._checked(MODELS_TABLE, None, None, today)

    def risk_reports(self, start: date, end: date, *, today: date | None = None) -> Checked:
        """RISK_REPORTS dated from start to end, all revisions; undated ones are in every quarantine."""
        return self._checked(RISK_REPORTS_TABLE, start, end, today)

    def job_executions(self, start: date, end: date, *, today: date | None = None) -> Checked:
        """JOB_EXECUTIONS dated from start to end; undated ones are in every quarantine."""
        return self._checked(JOBS_TABLE, start, end, today)

    def engine_runs(self, as_of_date: date) -> pl.DataFrame:
        """Regional engine runs of a session date: run_id, as_of_date, region, phase, error, created_at, updated_at."""
        return self._read("engine_runs", as_of_date)

    def region_phases(self, first: date, last: date) -> pl.DataFrame:
        """region, as_of_date, phase: the newest engine run of each region and session date from first to last."""
        return self._read("region_phases", first, last)

    def tier1_jobs(self, since: datetime, alive: datetime, until: datetime) -> pl.DataFrame:
        """market_id and job_type ('': none is named), busy, busy_since, idle_since: jobs that began or ended since.

        alive: a job that is said to run since before then died without saying so. until: later times are none.
        """
        return self._read("tier1_jobs", since, alive, until)

    def tier1_runs(self, since: datetime) -> pl.DataFrame:
        """region, phase, since: the newest engine run of each region and date that changed since."""
        return self._read("tier1_runs", since)

    def row_counts(self) -> pl.DataFrame:
        """source_table, rows, newest: one row per source table."""
        return self._read("row_counts")

    def configs(self) -> pl.DataFrame:
        """engine_name, config_id, version, config_body (JSON text), created_at, created_by, as far as known."""
        return self._read("configs" if self._holds(_REGISTRY[self._dialect]) else "configs_of_decisions")

    def _read(self, name: str, *parameters: Parameter) -> pl.DataFrame:
        reads = f"{name} of dialect {self._dialect.value!r}"
        return self._connection.fetch(adapter(self._dialect, name), parameters, reads=reads)

    def _checked(self, table: SourceTable, start: date | None, end: date | None, today: date | None) -> Checked:
        return checked_rows(self._read(table.adapter, *table.range_of(start, end)), table, today)

    def _table_breaches(self, table: SourceTable, today: date) -> pl.DataFrame:
        """Of every row, whenever it is dated."""
        statement = f"SELECT {', '.join(table.judged)} FROM ({adapter(self._dialect, table.adapter)}) AS told"
        raw = self._connection.fetch(statement, table.range_of(None, None), reads=f"table {table.name}")
        return table_breaches(raw, table, today)

    def _holds(self, table: str) -> bool:
        return bool(self._read("readable", table)["readable"].item())

    def _contexts_where(self, kind: ContextKind, condition: str, *parameters: Parameter) -> pl.DataFrame:
        statement = f"SELECT * FROM ({adapter(self._dialect, kind.adapter)}) AS context WHERE {condition}"
        return self._connection.fetch(statement, parameters, reads=f"table {kind.table}")

    def _context_window(self, kind: ContextKind, start: date, end: date, known: datetime | None) -> pl.DataFrame:
        statement = over_context(self._dialect, "context_window", kind.adapter)
        raw = self._connection.fetch(statement, (start, end, known), reads=f"table {kind.table}")
        return usable_contexts(raw, kind, self._recorded_by)

    def _first_decided(self, start: date, end: date) -> datetime | None:
        """When the source's first decision of the range was made; None: it has none."""
        first: datetime | None = self._read("first_decided", start, end, EARLIEST_DATE)["decided_at"].item()
        return first


def _parents(raw: pl.DataFrame, valid: pl.DataFrame) -> pl.DataFrame:
    """Day of every decision that was read, and whether the contract refused it."""
    return raw.select("decision_id", "as_of_date", refused=_refused(valid)).unique("decision_id", keep="first")


def _refused(valid: pl.DataFrame) -> pl.Expr:
    return ~pl.col("decision_id").is_in(valid["decision_id"].implode())
