"""Proposals, experiments and their results, as the database holds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, Self, TypeAlias, TypeVar
from uuid import UUID

from pydantic import TypeAdapter

from kronos.core.vocabulary import EvidenceLabel, ExpectedOutcome, ExperimentStatus, ProposalStatus, ResourceClass

Metrics: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class ConfigProposal:
    """A config someone, the chat or Kronos proposes for an engine, beside the config it is derived from."""

    proposal_id: UUID
    engine_name: str
    base_config_id: str
    proposed_config_body: dict[str, Any]
    created_at: datetime
    created_by: str
    status: ProposalStatus
    metadata: dict[str, Any]

    @classmethod
    def from_row(cls, **row: Any) -> Self:
        """One row of the database."""
        return _from_row(cls, row)

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return _as_json(self)


@dataclass(frozen=True)
class Experiment:
    """A registered config under test against the config it is derived from.

    status_since: when it took its status. attempt: how often its backtests were started; run_id and leased_until are of
    the last one. evidence: by whom it came about. metadata holds `power`, and `reason` once it is REJECTED.
    """

    experiment_id: UUID
    engine_name: str
    base_config_id: str
    proposed_config_id: str
    description: str
    created_at: datetime
    created_by: str
    status: ExperimentStatus
    priority: int
    auto_generated: bool
    resource_class: ResourceClass
    expected_outcome: ExpectedOutcome
    start_date: date
    end_date: date
    metadata: dict[str, Any]
    evidence: EvidenceLabel
    proposal_id: UUID | None
    status_since: datetime
    attempt: int
    run_id: str | None
    leased_until: datetime | None

    @classmethod
    def from_row(cls, **row: Any) -> Self:
        """One row of the database."""
        return _from_row(cls, row)

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return _as_json(self)


@dataclass(frozen=True)
class PeriodResult:
    """What the newest backtest of one period gave: metrics by id, and the same by regime, market and stability bucket.

    detail: what goes with the numbers (intervals, observations, reasons), the configs run beside, and for the longest
    period the scenarios. evidence: who asked for that backtest. provenance: its seed, code version, lake versions and
    data range.
    """

    experiment_id: UUID
    period_start: date
    period_end: date
    metrics: Metrics
    by_regime: Mapping[str, Metrics]
    by_market: Mapping[str, Metrics]
    by_stability_bucket: Mapping[str, Metrics]
    detail: Mapping[str, Any]
    evidence: EvidenceLabel
    attempt: int
    provenance: Mapping[str, Any]
    recorded_at: datetime

    @classmethod
    def from_row(cls, **row: Any) -> Self:
        """One row of the database."""
        return _from_row(cls, row)


@dataclass(frozen=True)
class ExperimentResult:
    """An experiment with everything its backtests gave, by period; no periods while none has finished."""

    experiment: Experiment
    periods: tuple[PeriodResult, ...]

    @property
    def whole(self) -> PeriodResult | None:
        """The result of the longest period, the latest among equals; None while there is none."""
        return max(self.periods, key=lambda one: (one.period_end - one.period_start, one.period_end), default=None)

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return _as_json(self)


_Row = TypeVar("_Row")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _from_row(kind: Callable[..., _Row], row: dict[str, Any]) -> _Row:
    made: _Row = _adapter(kind).validate_python(row)
    return made


def _as_json(value: ConfigProposal | Experiment | ExperimentResult) -> dict[str, Any]:
    kind: Any = type(value)
    dumped: dict[str, Any] = _adapter(kind).dump_python(value, mode="json")
    return dumped
