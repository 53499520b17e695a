"""What the gates should say of a control, what they said, and whether that is the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from kronos.core.gates.model import Gate, GateVerdict, names
from kronos.errors import BadValue


@dataclass(frozen=True, slots=True)
class Expectation:
    """The right answer to a control, known before it is run.

    control: its kind in the catalogue. verdicts: PASS alone for a positive, never PASS for a negative. gate: must be
    among those that refuse a negative; None for a positive. reason: what the control does, and why that must be seen.
    """

    control: str
    family: str
    verdicts: tuple[GateVerdict, ...]
    gate: Gate | None
    reason: str

    def __post_init__(self) -> None:
        if not self.verdicts or (GateVerdict.PASS in self.verdicts and len(self.verdicts) > 1):
            raise BadValue(f"expected verdicts of control {self.control}", names(self.verdicts), "PASS alone or others")
        if self.positive == (self.gate is not None):
            raise BadValue(f"expected gate of control {self.control}", self.gate, "a gate, exactly for a negative")

    @property
    def positive(self) -> bool:
        """Whether it has to pass."""
        return self.verdicts == (GateVerdict.PASS,)

    def __str__(self) -> str:
        said = " or ".join(self.verdicts)
        return said if self.gate is None else f"{said} by {self.gate}"

    def to_json_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "control": self.control,
            "family": self.family,
            "expected_verdicts": [one.value for one in self.verdicts],
            "expected_gate": None if self.gate is None else self.gate.value,
            "reason": self.reason,
        }

    @classmethod
    def from_json_dict(cls, row: Mapping[str, Any]) -> Self:
        """What `to_json_dict` made."""
        return cls(
            row["control"],
            row["family"],
            tuple(GateVerdict(one) for one in row["expected_verdicts"]),
            None if row["expected_gate"] is None else Gate(row["expected_gate"]),
            row["reason"],
        )


def as_expected(expected: Expectation, verdict: GateVerdict, refused_by: Sequence[Gate]) -> tuple[bool, str]:
    """Whether a verdict is the right answer, and why in words.

    A positive has to PASS. A negative has to get one of its verdicts, and its gate has to be among those that refuse:
    refused for another reason it shows nothing about that gate.
    """
    said = f"{verdict} by {', '.join(refused_by)}" if refused_by else verdict.value
    if verdict not in expected.verdicts:
        missed = "missed" if expected.positive else "let through" if verdict is GateVerdict.PASS else "refused otherwise"
        return False, f"{missed}: {said}, expected {expected}"
    if expected.gate is not None and expected.gate not in refused_by:
        return False, f"refused otherwise: {said}, expected {expected.gate} among them"
    return True, said


@dataclass(frozen=True, slots=True)
class ControlOutcome:
    """A judged control: its verdict beside what was expected; why: the difference in words, or the verdict."""

    expected: Expectation
    experiment_id: UUID
    verdict_id: UUID
    verdict: GateVerdict
    refused_by: tuple[Gate, ...]

    @property
    def as_expected(self) -> bool:
        """Whether the gates gave the right answer."""
        return as_expected(self.expected, self.verdict, self.refused_by)[0]

    @property
    def why(self) -> str:
        """In words."""
        return as_expected(self.expected, self.verdict, self.refused_by)[1]

    @property
    def false_accept(self) -> bool:
        """A negative that passed: the worst there is."""
        return not self.expected.positive and self.verdict is GateVerdict.PASS

    def to_json_dict(self) -> dict[str, Any]:
        """As kronos.control_suites holds it."""
        return {
            **self.expected.to_json_dict(),
            "experiment_id": str(self.experiment_id),
            "verdict_id": str(self.verdict_id),
            "verdict": self.verdict.value,
            "refused_by": names(self.refused_by),
            "as_expected": self.as_expected,
            "why": self.why,
        }

    @classmethod
    def from_json_dict(cls, row: Mapping[str, Any]) -> Self:
        """What `to_json_dict` made."""
        return cls(
            Expectation.from_json_dict(row),
            UUID(row["experiment_id"]),
            UUID(row["verdict_id"]),
            GateVerdict(row["verdict"]),
            tuple(Gate(one) for one in row["refused_by"]),
        )


@dataclass(frozen=True, slots=True)
class Suite:
    """One engine's controls of a week and seed, all judged. period: ISO week of the data's clock, `2017-W52`.

    unexpected: negatives without the right answer; missed_positives: the same of positives.
    """

    suite_id: UUID
    engine_name: str
    period: str
    seed: int
    policy_digest: str
    code_version: str
    outcomes: tuple[ControlOutcome, ...]
    unexpected: int
    missed_positives: int
    completed_at: datetime

    def of(self, family: str) -> tuple[ControlOutcome, ...]:
        """The controls of one family."""
        return tuple(one for one in self.outcomes if one.expected.family == family)

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "suite_id": str(self.suite_id),
            "engine_name": self.engine_name,
            "period": self.period,
            "seed": self.seed,
            "policy_digest": self.policy_digest,
            "code_version": self.code_version,
            "planned": len(self.outcomes),
            "unexpected": self.unexpected,
            "missed_positives": self.missed_positives,
            "completed_at": self.completed_at.isoformat(),
            "outcomes": [one.to_json_dict() for one in self.outcomes],
        }
