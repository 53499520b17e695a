"""Shadow evidence: does a config decide in the shadow of trading what its backtest decided, and safely?

It says nothing about which config is better: a shadow lasts weeks, in which no difference of returns can be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Any, Self

from pydantic import TypeAdapter


class Fidelity(StrEnum):
    """Whether the shadow is what the replay was; only MATCHES speaks for the config."""

    MATCHES = "MATCHES"
    DIFFERS = "DIFFERS"
    TOO_FEW = "TOO_FEW"  # sessions on which both decided
    NO_OVERLAP = "NO_OVERLAP"  # they have no session in common
    NO_REPLAY = "NO_REPLAY"  # the config has no backtest
    NO_SHADOW = "NO_SHADOW"  # it never decided in the shadow


class Safety(StrEnum):
    """What the shadow shows besides; the gravest that holds, in this order, and only CLEAN speaks for the config."""

    NO_SHADOW = "NO_SHADOW"
    VIOLATES = "VIOLATES"  # a hard constraint
    INCOMPLETE = "INCOMPLETE"  # sessions or outcomes are missing
    LATE = "LATE"  # beyond the service level
    UNKNOWN = "UNKNOWN"  # something that must be known was not reported
    CLEAN = "CLEAN"


class Gap(StrEnum):
    """Why a measure has no number."""

    NO_SHADOW = "NO_SHADOW"
    NO_REPLAY = "NO_REPLAY"
    NO_OVERLAP = "NO_OVERLAP"
    NOTHING_MATCHES = "NOTHING_MATCHES"  # common sessions, and no common decision
    NOT_GIVEN = "NOT_GIVEN"  # neither side says anything of the kind
    NOT_REPORTED = "NOT_REPORTED"  # no outcome says
    NOT_DUE = "NOT_DUE"
    NO_CLOSE = "NO_CLOSE"  # no session of the calendar on those dates


@dataclass(frozen=True, slots=True)
class Measure:
    """A number with the count it is of, or the reason there is none."""

    value: float | None
    n: int
    reason: Gap | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A measure held against the policy; met is None where there is no number."""

    measure: str
    value: float | None
    n: int
    threshold: float
    at_least: bool
    met: bool | None
    reason: Gap | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """One side: decisions, market sessions with any, decisions beyond the first of their kind, first and last date."""

    decisions: int
    sessions: int
    duplicates: int
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True)
class ShadowEvidence:
    """Fidelity and safety of one config, as of a date.

    window: dates on which both could have decided, from when both had begun to the end of the replay. measures: by id,
    shares in [0, 1], latencies in minutes. marks: what was read of the lake.
    """

    engine_name: str
    config_id: str
    as_of: date
    horizon: int
    fidelity: Fidelity
    safety: Safety
    window: tuple[date, date] | None
    shadow: Stream
    replay: Stream
    measures: Mapping[str, Measure]
    fidelity_conditions: tuple[Condition, ...]
    safety_conditions: tuple[Condition, ...]
    experiment_id: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict, equal for equal evidence."""
        dumped: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return dumped

    @classmethod
    def from_json_dict(cls, data: dict[str, Any]) -> Self:
        """The evidence that `to_json_dict` wrote."""
        read: Self = _adapter().validate_python(data, strict=False)
        return read


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(ShadowEvidence)
