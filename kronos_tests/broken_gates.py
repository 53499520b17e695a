"""Gates broken on purpose, as functions over the very evidence that the whole ones judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from kronos.core.controls.outcomes import ControlOutcome, Expectation
from kronos.core.gates.evidence import GateEvidence
from kronos.core.gates.judge import judge
from kronos.core.gates.model import Gate, GateResult, Judged, passed
from kronos.core.gates.policy import GatePolicy, parse_gate_policy
from kronos.core.reports.comparison_gaps import Daily
from kronos_tests.core.controls.suites import name

BrokenJudge = Callable[[GateEvidence, GatePolicy], Judged]

LOOSENED: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "coverage": {"integrity": {"least_coverage": 0.5, "gap_level": 1e-12}},
    "probes": {"integrity": {"probes": []}},
    "risk": {"degradation": {"drawdown_ratio": 100.0, "sharpe_margin": 100.0, "calibration_margin": 100.0}},
    "limits": {"constraints": {"limits": {"*": {"most_weight": 100.0, "most_gross": 100.0}}, "by_engine": {}}},
}
"""Thresholds that nothing is held to any more, by what they no longer guard."""


def loosened_policy(which: str, policy: GatePolicy) -> GatePolicy:
    """The policy with thresholds far from where they belong."""
    body = policy.model_dump(mode="json")
    for section, terms in LOOSENED[which].items():
        body[section] |= terms
    return parse_gate_policy(body)


def loosened(which: str) -> BrokenJudge:
    """The judge under such a policy; limits are held against decisions earlier, when evidence is read."""

    def broken(evidence: GateEvidence, policy: GatePolicy) -> Judged:
        return judge(evidence, loosened_policy(which, policy))

    return broken


def sign_flipped(evidence: GateEvidence, policy: GatePolicy) -> Judged:
    """A return taken for a loss, or a loss for a return."""
    return judge(replace(evidence, series=_each(evidence, np.negative)), policy)


def fed_nan(evidence: GateEvidence, policy: GatePolicy) -> Judged:
    """The proposed config's numbers got lost on their way."""
    return judge(replace(evidence, series=_each(evidence, lambda x: x * np.nan, only=evidence.proposed)), policy)


def without_improvement(evidence: GateEvidence, policy: GatePolicy) -> Judged:
    """The gate that decides lets everything through."""
    found = judge(evidence, policy)
    open_gate = GateResult(Gate.IMPROVEMENT, (passed("improvement", "REMOVED", "nobody looks"),))
    return replace(found, gates=tuple(open_gate if one.gate is Gate.IMPROVEMENT else one for one in found.gates))


BROKEN: Final[dict[str, BrokenJudge]] = {
    **{f"threshold-loosened-{which}": loosened(which) for which in LOOSENED},
    "sign-flipped": sign_flipped,
    "metric-fed-nan": fed_nan,
    "improvement-removed": without_improvement,
}


def caught(
    broken: BrokenJudge, controls: Iterable[tuple[Expectation, GateEvidence]], policy: GatePolicy
) -> dict[str, str]:
    """Controls that show the gates to be broken, and what they show."""
    found = {}
    for expected, evidence in controls:
        judged = broken(evidence, policy)
        said = None if expected.gate is None else judged.of(expected.gate)
        verdict, reasons = (None, ()) if said is None else (said.verdict, said.reasons)
        one = ControlOutcome(expected, name("e"), name("v"), judged.verdict, verdict, judged.refused_by, reasons)
        if not one.as_expected:
            found[expected.control] = one.why
    return found


def _each(evidence: GateEvidence, change: Callable[[Any], Any], only: str | None = None) -> dict[str, Any]:
    return {
        config: {
            slice_id: Daily(daily.days, change(daily.values)) if only in (None, config) else daily
            for slice_id, daily in slices.items()
        }
        for config, slices in evidence.series.items()
    }
