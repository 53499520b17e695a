"""Whether an engine's gates are proven by a suite of controls, and which experiments may therefore be promoted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from kronos.core.controls.outcomes import ControlOutcome, Suite
from kronos.core.controls.report import PositivePower, positive_power
from kronos.core.gates.model import Gate, GateVerdict
from kronos.core.gates.policy import PromotionTerms


class Proof(StrEnum):
    """What the newest suite of an engine says about its gates; all but PROVEN refuse."""

    PROVEN = "PROVEN"
    MISSING = "MISSING"
    STALE = "STALE"
    OTHER_POLICY = "OTHER_POLICY"
    FAILED = "FAILED"
    MISSED_POSITIVES = "MISSED_POSITIVES"


@dataclass(frozen=True, slots=True)
class Standing:
    """An engine's gates by its newest suite, in words that say what is missing."""

    engine_name: str
    proof: Proof
    why: str


def standing(
    engine_name: str, suites: Sequence[Suite], policy_digest: str, terms: PromotionTerms, now: datetime
) -> Standing:
    """What the newest suite proves of the policy in force.

    suites: of the engine, by completion, oldest first. policy_digest, terms: of that policy. now: by the suites' clock.
    """
    proof, why = _judged(suites, policy_digest, terms, now)
    return Standing(engine_name, proof, why)


def power_of_positives(suites: Sequence[Suite], terms: PromotionTerms) -> PositivePower:
    """Whether positives pass as often as the policy promises. suites: of one engine, by completion, oldest first."""
    return positive_power(suites, terms.positive_power, terms.power_level, terms.rolling_positives)


def _judged(suites: Sequence[Suite], policy_digest: str, terms: PromotionTerms, now: datetime) -> tuple[Proof, str]:
    if not suites:
        return Proof.MISSING, "no suite of controls was ever completed: kronos controls run"
    newest = suites[-1]
    name = f"suite {newest.period} seed {newest.seed}"
    wrong = [one for one in newest.outcomes if not one.as_expected]
    if any(not one.expected.positive for one in wrong):
        return Proof.FAILED, f"{name}: {_told(wrong)}"
    if newest.policy_digest != policy_digest:
        return Proof.OTHER_POLICY, f"{name} proved policy {newest.policy_digest[:12]}, not {policy_digest[:12]}"
    until = newest.completed_at + timedelta(days=terms.suite_days)
    if now >= until:
        return Proof.STALE, f"{name} counted until {until:%Y-%m-%d %H:%M} UTC, {terms.suite_days} days"
    power = power_of_positives(suites, terms)
    if not power.kept:
        return Proof.MISSED_POSITIVES, (
            f"{power.passed} of the newest {power.of} positives passed, promised {power.promised:.0%}: "
            f"p {power.p_value:.2g}, at most {power.level:.2g} is no accident"
        )
    missed = f"; {_told(wrong)}" if wrong else ""
    return Proof.PROVEN, f"{name}: {len(newest.outcomes)} controls, counted until {until:%Y-%m-%d %H:%M} UTC{missed}"


def _told(wrong: Sequence[ControlOutcome]) -> str:
    return "; ".join(f"{one.expected.control} {one.why}" for one in wrong)


@dataclass(frozen=True, slots=True)
class JudgedExperiment:
    """An open experiment with its verdict in force; incumbent: the config it was held against.

    attempt: the one whose results it has; judged_attempt: the one whose results were judged. code_version: of the code
    that judged; code_proven: whether a suite of controls has proven it under that policy. broken_code: the code that
    ran the backtest where the newest suite with controls by it was not as expected, empty where nobody knows which code
    that was, else None. rolled_back_at: when its config was last left since it was judged, else None.
    """

    experiment_id: UUID
    engine_name: str
    proposed_config_id: str
    status: str
    attempt: int
    judged_attempt: int
    evidence: str
    verdict: GateVerdict
    refused_by: tuple[Gate, ...]
    incumbent: str | None
    policy_digest: str
    code_version: str
    code_proven: bool
    broken_code: str | None
    judged_at: datetime
    expires_at: datetime
    rolled_back_at: datetime | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An experiment that may be promoted, or the reasons why not."""

    experiment: JudgedExperiment
    reasons: tuple[str, ...]

    @property
    def promotable(self) -> bool:
        """Nothing stands against it but a person's approval."""
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


def candidates(
    judged: Sequence[JudgedExperiment],
    standings: Mapping[str, Standing],
    policies: Mapping[str, str],
    incumbents: Mapping[str, str | None],
    closings: Mapping[str, Sequence[str]],
    now: datetime,
) -> tuple[Candidate, ...]:
    """Each experiment with every reason against its promotion. policies: digest in force by engine; now: UTC.

    closings: by engine what closed its latch since a person last opened it. An engine without a standing has none that
    is proven.
    """
    return tuple(
        Candidate(one, tuple(_against(one, standings.get(one.engine_name), policies, incumbents, closings, now)))
        for one in judged
    )


def _against(
    one: JudgedExperiment,
    proven: Standing | None,
    policies: Mapping[str, str],
    incumbents: Mapping[str, str | None],
    closings: Mapping[str, Sequence[str]],
    now: datetime,
) -> list[str]:
    reasons = []
    if one.judged_attempt != one.attempt:
        reasons.append(f"the verdict is of attempt {one.judged_attempt}, its results are of attempt {one.attempt}")
    if one.verdict is not GateVerdict.PASS:
        reasons.append(f"verdict {one.verdict} by {', '.join(one.refused_by)}")
    if now >= one.expires_at:
        reasons.append(f"evidence expired on {one.expires_at:%Y-%m-%d %H:%M} UTC")
    if one.policy_digest != policies.get(one.engine_name):
        reasons.append("judged under another gate policy than the one in force")
    reasons += _of_its_code(one)
    if one.incumbent != incumbents.get(one.engine_name):
        reasons.append(f"held against {one.incumbent}, active is {incumbents.get(one.engine_name)}")
    if one.rolled_back_at is not None:
        reasons.append(f"its config was rolled back at {one.rolled_back_at:%Y-%m-%d %H:%M} UTC: to be tested again")
    if proven is None or proven.proof is not Proof.PROVEN:
        reasons.append(f"controls {proven.proof}: {proven.why}" if proven else "controls MISSING: no suite is known")
    reasons += [f"the latch is closed: {cause}" for cause in closings.get(one.engine_name, ())]
    return reasons


def _of_its_code(one: JudgedExperiment) -> Iterator[str]:
    """What the code that judged, and the code that ran the backtest, say against it."""
    if not one.code_proven:
        yield f"judged by code {one.code_version}, which no suite of controls has proven"
    if one.broken_code:
        yield f"its backtest ran by code {one.broken_code}, whose suite of controls was not as expected"
    elif one.broken_code is not None:
        yield "its verdict does not say which code ran its backtest"
