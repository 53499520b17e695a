"""The judge: all seven gates over one evidence pack. It never learns whether it sees a control."""

from __future__ import annotations

import numpy as np

from kronos.core.gates.constraints import constraints
from kronos.core.gates.contest import pair_up
from kronos.core.gates.degradation import degradation
from kronos.core.gates.evidence import GateEvidence
from kronos.core.gates.improvement import improvement, tested_improvement
from kronos.core.gates.integrity import integrity
from kronos.core.gates.model import Gate, GateResult, Judged
from kronos.core.gates.policy import GatePolicy
from kronos.core.gates.stress import stress
from kronos.core.gates.sufficiency import sufficiency
from kronos.core.gates.validity import validity
from kronos.core.stats.bootstrap import Drawing, drawing


def judge(evidence: GateEvidence, policy: GatePolicy, draw_for: Drawing | None = None) -> Judged:
    """The verdict on one config: same evidence, policy and seed give the same findings.

    draw_for: draws shared by many judgements of a simulation; by default the evidence's own seed draws.
    """
    rng = np.random.default_rng(evidence.seed)
    draws = draw_for or drawing(rng, policy.improvement.resamples)
    pairing = pair_up(evidence, policy)
    tested = tested_improvement(evidence, pairing, policy, draws)
    found = {
        Gate.INTEGRITY: integrity(evidence, pairing, policy),
        Gate.EVIDENCE: sufficiency(evidence, pairing, policy),
        Gate.IMPROVEMENT: improvement(evidence, pairing, policy, tested),
        Gate.VALIDITY: validity(evidence, pairing, policy),
        Gate.NO_DEGRADATION: degradation(evidence, pairing, policy, tested),
        Gate.STRESS: stress(evidence, pairing, policy),
        Gate.HARD_CONSTRAINTS: constraints(evidence, policy),
    }
    gates = tuple(GateResult(gate, tuple(found[gate])) for gate in Gate)
    return Judged(gates, max(policy.improvement.most_looks - evidence.search.look, 0))
