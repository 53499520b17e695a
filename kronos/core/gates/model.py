"""What a gate says: findings with everything needed to contest them, and the verdict that follows from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from kronos.core.conventions import STORED_DIGITS


class Gate(StrEnum):
    """The seven gates, in the order in which they are read; all run, whatever the others say."""

    INTEGRITY = "INTEGRITY"
    EVIDENCE = "EVIDENCE"
    IMPROVEMENT = "IMPROVEMENT"
    VALIDITY = "VALIDITY"
    NO_DEGRADATION = "NO_DEGRADATION"
    STRESS = "STRESS"
    HARD_CONSTRAINTS = "HARD_CONSTRAINTS"


class GateVerdict(StrEnum):
    """Only PASS lets a config through. INVALID: the evidence is missing, stale or broken, so it says nothing."""

    PASS = "PASS"  # noqa: S105 - a verdict, no password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"


class Recommendation(StrEnum):
    """What a person is told to do about an experiment."""

    ADOPT = "ADOPT"
    REJECT = "REJECT"
    CONTINUE_TESTING = "CONTINUE_TESTING"


_SEVERITY: Final = (GateVerdict.FAIL, GateVerdict.INVALID, GateVerdict.INCONCLUSIVE, GateVerdict.PASS)


def worst(verdicts: Iterable[GateVerdict]) -> GateVerdict:
    """FAIL before INVALID before INCONCLUSIVE before PASS; INVALID for none at all: nothing shown is never a pass."""
    found = set(verdicts)
    return next((one for one in _SEVERITY if one in found), GateVerdict.INVALID)


@dataclass(frozen=True, slots=True)
class Finding:
    """One number held against one threshold.

    metric: what was measured. value, low, high: in `unit`, None where there is no number. threshold: what it was held
    against, with `requires` as `>=`, `<=`, `>`, `<` or `=`. reason: a closed word; detail: the same for people, with
    what would change it. confidence: of `low` and `high`, two-sided where both are there; one alone is a one-sided
    bound, and then the bound is what was held against the threshold. p_value: what had to be at most `level` as well.
    """

    metric: str
    verdict: GateVerdict
    reason: str
    detail: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    requires: str = ""
    unit: str = ""
    slice: str = "overall"
    confidence: float | None = None
    p_value: float | None = None
    level: float | None = None

    def to_json_dict(self) -> dict[str, Any]:
        """Plain JSON; numbers at the precision at which they are stored, never NaN or infinity."""
        return {
            "metric": self.metric,
            "slice": self.slice,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "detail": self.detail,
            "value": stored(self.value),
            "low": stored(self.low),
            "high": stored(self.high),
            "threshold": stored(self.threshold),
            "requires": self.requires,
            "unit": self.unit,
            "confidence": stored(self.confidence),
            "p_value": stored(self.p_value),
            "level": stored(self.level),
        }


@dataclass(frozen=True, slots=True)
class GateResult:
    """A gate with all its findings; its verdict is the worst of theirs."""

    gate: Gate
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> GateVerdict:
        """The worst of the findings; INVALID without any."""
        return worst(finding.verdict for finding in self.findings)

    @property
    def decisive(self) -> tuple[Finding, ...]:
        """The findings that made the verdict."""
        return tuple(finding for finding in self.findings if finding.verdict is self.verdict)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it says so: the reasons of its decisive findings, each once."""
        return tuple(sorted({finding.reason for finding in self.decisive}))

    def to_json_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "gate": self.gate.value,
            "verdict": self.verdict.value,
            "findings": [finding.to_json_dict() for finding in self.findings],
        }


@dataclass(frozen=True, slots=True)
class Judged:
    """What all gates say together."""

    gates: tuple[GateResult, ...]
    looks_left: int

    @property
    def verdict(self) -> GateVerdict:
        """FAIL > INVALID > INCONCLUSIVE > PASS over the gates."""
        return worst(gate.verdict for gate in self.gates)

    @property
    def recommendation(self) -> Recommendation:
        """Adopt what passed, go on with what may still show itself, reject the rest."""
        if self.verdict is GateVerdict.PASS:
            return Recommendation.ADOPT
        undecided = self.verdict is GateVerdict.INCONCLUSIVE and self.looks_left > 0
        return Recommendation.CONTINUE_TESTING if undecided else Recommendation.REJECT

    @property
    def refused_by(self) -> tuple[Gate, ...]:
        """The gates that did not pass."""
        return tuple(gate.gate for gate in self.gates if gate.verdict is not GateVerdict.PASS)

    def of(self, gate: Gate) -> GateResult:
        """One gate's result."""
        return next(result for result in self.gates if result.gate is gate)


def stored(value: float | None) -> float | None:
    """A number as it is kept: rounded to so many significant digits that other machines store the same text."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{STORED_DIGITS}g}")


def passed(metric: str, reason: str, detail: str, **numbers: Any) -> Finding:
    """A finding that lets the config through."""
    return Finding(metric, GateVerdict.PASS, reason, detail, **numbers)


def failed(metric: str, reason: str, detail: str, **numbers: Any) -> Finding:
    """A finding that refuses the config."""
    return Finding(metric, GateVerdict.FAIL, reason, detail, **numbers)


def undecided(metric: str, reason: str, detail: str, **numbers: Any) -> Finding:
    """A finding that more data could turn either way."""
    return Finding(metric, GateVerdict.INCONCLUSIVE, reason, detail, **numbers)


def invalid(metric: str, reason: str, detail: str, **numbers: Any) -> Finding:
    """A finding that the evidence itself is missing or broken."""
    return Finding(metric, GateVerdict.INVALID, reason, detail, **numbers)


def names(gates: Sequence[Gate]) -> list[str]:
    """Gates as stored."""
    return [gate.value for gate in gates]
