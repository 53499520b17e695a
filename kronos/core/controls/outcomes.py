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

    control: its kind in the catalogue. gate: the one that has to refuse a negative, with one of `verdicts` and for one
    of `gate_reasons` (none given: for any); whatever the others say, all together must not pass it. A positive has no
    such gate and PASS alone as verdict. reason: what the control does, and why that must be seen.
    """

    control: str
    family: str
    verdicts: tuple[GateVerdict, ...]
    gate: Gate | None
    reason: str
    gate_reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.verdicts or (GateVerdict.PASS in self.verdicts and len(self.verdicts) > 1):
            raise BadValue(f"expected verdicts of control {self.control}", [*self.verdicts], "PASS alone or others")
        if self.positive == (self.gate is not None):
            raise BadValue(f"expected gate of control {self.control}", self.gate, "a gate, exactly for a negative")
        if self.positive and self.gate_reasons:
            raise BadValue(f"expected reasons of control {self.control}", [*self.gate_reasons], "none for a positive")

    @property
    def positive(self) -> bool:
        """Whether it has to pass."""
        return self.verdicts == (GateVerdict.PASS,)

    def __str__(self) -> str:
        said = " or ".join(self.verdicts)
        why = f" ({' or '.join(self.gate_reasons)})" if self.gate_reasons else ""
        return said if self.gate is None else f"{said} by {self.gate}{why}"

    def to_json_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "control": self.control,
            "family": self.family,
            "expected_verdicts": [one.value for one in self.verdicts],
            "expected_gate": None if self.gate is None else self.gate.value,
            "expected_reasons": [*self.gate_reasons],
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
            tuple(row.get("expected_reasons", ())),
        )


def as_expected(
    expected: Expectation,
    verdict: GateVerdict,
    gate_verdict: GateVerdict | None,
    gate_reasons: Sequence[str],
    refused_by: Sequence[Gate],
) -> tuple[bool, str]:
    """Whether a verdict is the right answer, and why in words.

    gate_verdict, gate_reasons: what the expected gate says and why; None and empty without one. A positive has to PASS.
    A negative must not, and its gate has to refuse it with one of the expected verdicts for one of the expected
    reasons: refused by others alone, or for something else, it shows nothing about what it is there to test.
    """
    said = f"{verdict} by {', '.join(refused_by)}" if refused_by else verdict.value
    if expected.positive:
        right = verdict is GateVerdict.PASS
        return right, said if right else f"missed: {said}"
    if verdict is GateVerdict.PASS:
        return False, f"let through: expected {expected}"
    told = f"{expected.gate} says {gate_verdict} ({', '.join(gate_reasons)})"
    for_another_reason = bool(expected.gate_reasons) and not set(expected.gate_reasons) & set(gate_reasons)
    if gate_verdict not in expected.verdicts or for_another_reason:
        return False, f"refused otherwise: {said}, {told}, expected {expected}"
    return True, f"{said}; {told}"


@dataclass(frozen=True, slots=True)
class ControlOutcome:
    """A judged control beside what was expected of it.

    gate_verdict, gate_reasons: of the expected gate; None and empty for a positive.
    """

    expected: Expectation
    experiment_id: UUID
    verdict_id: UUID
    verdict: GateVerdict
    gate_verdict: GateVerdict | None
    refused_by: tuple[Gate, ...]
    gate_reasons: tuple[str, ...] = ()

    @property
    def as_expected(self) -> bool:
        """Whether the gates gave the right answer."""
        return self._answer[0]

    @property
    def why(self) -> str:
        """What they said, and where it differs from what was expected."""
        return self._answer[1]

    @property
    def _answer(self) -> tuple[bool, str]:
        return as_expected(self.expected, self.verdict, self.gate_verdict, self.gate_reasons, self.refused_by)

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
            "gate_verdict": None if self.gate_verdict is None else self.gate_verdict.value,
            "gate_reasons": [*self.gate_reasons],
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
            None if row["gate_verdict"] is None else GateVerdict(row["gate_verdict"]),
            tuple(Gate(one) for one in row["refused_by"]),
            tuple(row.get("gate_reasons", ())),
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
