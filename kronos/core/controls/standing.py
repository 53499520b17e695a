"""How an engine's gates stand by its suites of controls, and which experiments may be promoted.

The database decides both: here is what it said, in the words of the suites.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from kronos.core.controls.outcomes import ControlOutcome, Suite
from kronos.core.controls.report import PositivePower, positive_power
from kronos.core.gates.model import GateVerdict
from kronos.core.gates.policy import PromotionTerms

PROVEN: Final = "PROVEN"
"""Nothing keeps the latch closed."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An engine's gates. proof: `PROVEN`, or the causes that keep its promotion latch closed. why: its newest suite."""

    engine_name: str
    proof: str
    why: str


def standing(engine_name: str, suites: Sequence[Suite], causes: Sequence[str]) -> Standing:
    """How the gates stand. suites: of the engine, by completion, oldest first. causes: why its latch is closed now."""
    return Standing(engine_name, ", ".join(causes) or PROVEN, _newest(suites))


def power_of_positives(suites: Sequence[Suite], terms: PromotionTerms) -> PositivePower:
    """Whether positives pass as often as the policy promises. suites: of one engine, by completion, oldest first."""
    return positive_power(suites, terms.positive_power, terms.power_level, terms.rolling_positives)


def _newest(suites: Sequence[Suite]) -> str:
    if not suites:
        return "no suite of controls was ever completed: kronos controls run"
    newest = suites[-1]
    wrong = [one for one in newest.outcomes if not one.as_expected]
    missed = f"; {_told(wrong)}" if wrong else ""
    return (
        f"suite {newest.period} seed {newest.seed}: {len(newest.outcomes)} controls under policy "
        f"{newest.policy_digest[:12]}, completed {newest.completed_at:%Y-%m-%d %H:%M} UTC{missed}"
    )


def _told(wrong: Sequence[ControlOutcome]) -> str:
    return "; ".join(f"{one.expected.control} {one.why}" for one in wrong)


@dataclass(frozen=True, slots=True)
class JudgedExperiment:
    """An open experiment with its verdict in force."""

    experiment_id: UUID
    engine_name: str
    proposed_config_id: str
    status: str
    evidence: str
    verdict: GateVerdict
    judged_at: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """An experiment that may be promoted, or every reason why not, as the database says them."""

    experiment: JudgedExperiment
    reasons: tuple[str, ...]

    @property
    def promotable(self) -> bool:
        """Nothing stands against it but an approval."""
        return not self.reasons

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        one = self.experiment
        return {
            "experiment_id": str(one.experiment_id),
            "engine_name": one.engine_name,
            "config_id": one.proposed_config_id,
            "status": one.status,
            "evidence": one.evidence,
            "verdict": one.verdict.value,
            "promotable": self.promotable,
            "reasons": list(self.reasons),
        }
