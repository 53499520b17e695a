"""Gate 2, evidence: is there enough of it to show what is hoped for?"""

from __future__ import annotations

from collections.abc import Iterator

from kronos.core.gates.contest import Pairing, pair_up, slices_of
from kronos.core.gates.evidence import GateEvidence
from kronos.core.gates.model import Finding, invalid, passed, undecided
from kronos.core.gates.policy import GatePolicy
from kronos.core.reports.comparison_model import Doubt
from kronos.core.stats.matrix import Inconclusive
from kronos.core.stats.power import power_of, years_needed
from kronos.core.vocabulary import UNKNOWN


def sufficiency(evidence: GateEvidence, pairing: Pairing, policy: GatePolicy) -> Iterator[Finding]:
    """Findings are passes or INCONCLUSIVE; INVALID only when there is no pair of series."""
    if pairing.contest is None:
        yield invalid("matched dates", "NO_PAIR", "nothing to count: the integrity gate says why")
        return
    terms = policy.evidence
    count = len(pairing.contest.days)
    numbers = {"value": float(count), "threshold": float(terms.least_dates), "requires": ">=", "unit": "dates"}
    if count < terms.least_dates:
        yield undecided("matched dates", "TOO_SHORT", f"{count} dates: {terms.least_dates} needed", **numbers)
    else:
        yield passed("matched dates", "ENOUGH", f"{count} dates on which both have a value", **numbers)
    if pairing.flaw is not None and pairing.flaw.reason in (Doubt.CONCENTRATED, Doubt.TOO_FEW_BLOCKS):
        yield undecided("spread of the evidence", pairing.flaw.reason.value, pairing.flaw.detail)
    yield _slices(evidence, policy)
    yield _power(evidence, pairing.contest.years, policy)


def _slices(evidence: GateEvidence, policy: GatePolicy) -> Finding:
    slices = slices_of(evidence, evidence.rival, "regime", "market")
    named = [one for one in slices if not one.endswith(f":{UNKNOWN}")]
    least = policy.evidence.least_slice_dates
    eligible = [
        one
        for one in named
        if (found := pair_up(evidence, policy, one).contest) is not None and len(found.days) >= least
    ]
    needed = policy.evidence.least_slices
    numbers = {"value": float(len(eligible)), "threshold": float(needed), "requires": ">=", "unit": "slices"}
    said = f"{len(eligible)} of {len(named)} regimes and markets have {least} dates"
    if len(eligible) < needed:
        return undecided("eligible slices", "TOO_FEW_SLICES", said, **numbers)
    return passed("eligible slices", "ENOUGH", said, **numbers)


def _power(evidence: GateEvidence, years: float, policy: GatePolicy) -> Finding:
    terms, trials = policy.evidence, float(evidence.search.trials)
    alpha = policy.improvement.level_of(evidence.search.look)
    if alpha <= 0.0:
        return undecided("years of evidence", "NO_LOOKS_LEFT", "every look at this experiment is spent")
    needed = years_needed(terms.detectable_ratio, alpha=alpha, n_trials=trials, power=terms.power)
    assert not isinstance(needed, Inconclusive), "the policy's ratio is positive"
    power = power_of(terms.detectable_ratio, years, alpha=alpha, n_trials=trials)
    numbers = {"value": years, "threshold": needed, "requires": ">=", "unit": "years"}
    said = (
        f"a true information ratio of {terms.detectable_ratio:g} is found with probability {power:.0%} in {years:.1f} "
        f"years, {evidence.search.trials} trials counted; {needed:.1f} years for {terms.power:.0%}"
    )
    if years < needed:
        return undecided("years of evidence", "LOW_POWER", said, **numbers)
    return passed("years of evidence", "POWERFUL", said, **numbers)
