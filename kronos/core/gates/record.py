"""A verdict as it is kept, and what a person reads of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, Self
from uuid import UUID

from pydantic import TypeAdapter

from kronos.core.gates.contest import pair_up
from kronos.core.gates.evidence import GateEvidence
from kronos.core.gates.model import Gate, GateVerdict, Judged, Recommendation
from kronos.core.gates.policy import GatePolicy
from kronos.core.vocabulary import EvidenceLabel


@dataclass(frozen=True)
class VerdictRecord:
    """One judgement of an experiment's evidence under a gate policy.

    look: which look at fresh evidence it was. refused_by: the gates that did not pass. report: every gate with its
    findings, and `about`: what was tested on what. evidence: how the backtests came about. expires_at: from when
    nothing is approved or promoted on it.
    """

    verdict_id: UUID
    experiment_id: UUID
    attempt: int
    look: int
    engine_name: str
    scope: str
    proposed_config_id: str
    base_config_id: str
    incumbent: str | None
    verdict: GateVerdict
    recommendation: Recommendation
    refused_by: tuple[Gate, ...]
    report: dict[str, Any]
    policy_engine: str
    policy_version: int
    policy_digest: str
    evidence_digest: str
    evidence: EvidenceLabel
    data_until: date
    lake: dict[str, str]
    code_version: str
    judged_at: datetime
    expires_at: datetime

    @classmethod
    def from_row(cls, **row: Any) -> Self:
        """One row of the database."""
        kind: Any = cls
        made: Self = _adapter(kind).validate_python(row)
        return made

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        dumped: dict[str, Any] = _adapter(VerdictRecord).dump_python(self, mode="json")
        return dumped


def report_of(judged: Judged, evidence: GateEvidence, policy: GatePolicy, tested: dict[str, Any]) -> dict[str, Any]:
    """The JSON that is kept: gates with findings, and what was judged. tested: the backtest's own facts."""
    search = evidence.search
    return {
        "gates": [gate.to_json_dict() for gate in judged.gates],
        "looks_left": judged.looks_left,
        "about": {
            **tested,
            "compared": _compared(evidence, policy),
            "metric": evidence.metric,
            "horizon": evidence.horizon,
            "trials": search.trials,
            "look": search.look,
            "level": policy.improvement.level_of(search.look),
            "mined_until": None if search.mined_until is None else search.mined_until.isoformat(),
            "neighbours": list(evidence.neighbours),
            "neighbours_left_out": {**evidence.neighbours_refused, **evidence.neighbours_failed},
            "scenarios": [scenario.name for scenario in evidence.scenarios],
            "data_until": evidence.data_until.isoformat(),
            "data_now": evidence.data_now.isoformat(),
        },
    }


def _compared(evidence: GateEvidence, policy: GatePolicy) -> dict[str, Any] | None:
    """The matched dates of the config and the incumbent, which the improvement rests on; None without one."""
    contest = pair_up(evidence, policy).contest
    if contest is None:
        return None
    days = [str(day) for day in contest.days[[0, -1]].astype("datetime64[D]")]
    return {"first": days[0], "last": days[1], "dates": len(contest.days)}


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
