"""Gate 1, integrity: is this evidence about the config at all, whole, fresh, reproducible and without foresight?"""

from __future__ import annotations

from collections.abc import Iterator

from kronos.core.gates.contest import Pairing
from kronos.core.gates.evidence import GateEvidence, Probe
from kronos.core.gates.model import Finding, invalid, passed
from kronos.core.gates.policy import GatePolicy, IntegrityTerms
from kronos.core.reports.comparison_series import SHARPE


def integrity(evidence: GateEvidence, pairing: Pairing, policy: GatePolicy) -> Iterator[Finding]:
    """Every finding is a pass or INVALID: broken evidence says nothing either way."""
    terms = policy.integrity
    yield _original(evidence)
    yield _fresh_evidence(evidence, terms)
    if evidence.series.get(evidence.rival):
        yield _of_one_kind(evidence)
    yield from _coverage(pairing, terms)
    for name in ("repeat", "future", "fresh"):
        if name in terms.probes:
            yield _PROBES[name](evidence, terms)


def _original(evidence: GateEvidence) -> Finding:
    if evidence.duplicates:
        named = ", ".join(evidence.duplicates)
        return invalid("duplicate", "DUPLICATE", f"the same parameters as {named}: nothing new is tested")
    said = "neither the active config nor one that was seen within a year before has these parameters"
    return passed("duplicate", "ORIGINAL", said)


def _fresh_evidence(evidence: GateEvidence, terms: IntegrityTerms) -> Finding:
    age = (evidence.data_now - evidence.data_until).days
    numbers = {"value": float(age), "threshold": float(terms.most_stale_days), "requires": "<=", "unit": "days"}
    said = f"outcomes are judged up to {evidence.data_until}, the data reaches {evidence.data_now}"
    if age < 0:
        return invalid("evidence age", "FROM_THE_FUTURE", said, **numbers)
    if age > terms.most_stale_days:
        return invalid("evidence age", "STALE", f"{said}: continue testing up to a later end", **numbers)
    return passed("evidence age", "FRESH", said, **numbers)


def _of_one_kind(evidence: GateEvidence) -> Finding:
    """Both earn, or neither: beside scores alone nobody would look at what a book risks, loses and pays."""
    theirs = evidence.metric == SHARPE
    if evidence.earns == theirs:
        said = "both earn" if theirs else "both forecast and earn nothing"
        return passed("kind", "ONE_KIND", said)
    one, other = ("the config", "the incumbent") if evidence.earns else ("the incumbent", "the config")
    said = f"{one} earns and {other} has no return: nothing that both have says what either is worth"
    return invalid("kind", "DIFFERENT_KIND", said)


def _coverage(pairing: Pairing, terms: IntegrityTerms) -> Iterator[Finding]:
    refused = False
    if pairing.contest is not None:
        for name, share in zip(("coverage", "coverage of the incumbent"), pairing.contest.coverage, strict=True):
            numbers = {"value": share, "threshold": terms.least_coverage, "requires": ">=", "unit": "share"}
            said = f"{share:.1%} of the due dates have a value"
            if share >= terms.least_coverage:
                yield passed(name, "COVERED", said, **numbers)
            else:
                refused = True
                yield invalid(name, "COVERAGE", f"{said}: the missing ones could say anything", **numbers)
    if pairing.broken is not None and pairing.flaw is not None:
        if pairing.broken != "COVERAGE" or not refused:
            yield invalid("series", pairing.broken, pairing.flaw.detail)
    else:
        yield passed("series", "USABLE", "finite, varying, and what is missing is unrelated to the incumbent's values")


def _probe(evidence: GateEvidence, name: str, terms: IntegrityTerms) -> Probe | Finding:
    probe = evidence.probes.get(name)
    if probe is None:
        return invalid(f"probe {name}", "NOT_PROBED", "the backtest holds no such probe")
    if probe.refused:
        why = "; ".join(sorted(set(probe.refused)))
        said = f"not to be asked on {len(probe.refused)} of its dates, which may be those that matter: {why}"
        return invalid(f"probe {name}", "NOT_PROBED", said)
    if probe.rows < terms.least_probed:
        numbers = {"value": float(probe.rows), "threshold": float(terms.least_probed), "requires": ">="}
        return invalid(f"probe {name}", "TOO_FEW_PROBED", "too few decisions were compared", **numbers)
    return probe


def _reproduced(evidence: GateEvidence, terms: IntegrityTerms) -> Finding:
    probe = _probe(evidence, "repeat", terms)
    if isinstance(probe, Finding):
        return probe
    numbers = {"value": float(probe.differing), "threshold": 0.0, "requires": "=", "unit": "decisions"}
    said = f"{probe.differing} of {probe.rows} decisions differ when run again with the stored seed"
    if probe.differing:
        return invalid("probe repeat", "NOT_REPRODUCED", said, **numbers)
    return passed("probe repeat", "REPRODUCED", said, **numbers)


def _without_foresight(evidence: GateEvidence, terms: IntegrityTerms) -> Finding:
    probe = _probe(evidence, "future", terms)
    if isinstance(probe, Finding):
        return probe
    numbers = {"value": float(probe.differing), "threshold": 0.0, "requires": "=", "unit": "decisions"}
    how = "taken away" if probe.method == "TRUNCATED" else "altered or taken away"
    said = f"{probe.differing} of {probe.rows} decisions change when later data is {how}"
    if probe.differing:
        since = f", first on {probe.first}" if probe.first else ""
        return invalid("probe future", "LOOK_AHEAD", f"{said}{since}: they know what had not happened", **numbers)
    return passed("probe future", "NO_LOOK_AHEAD", said, **numbers)


def _fresh_inputs(evidence: GateEvidence, terms: IntegrityTerms) -> Finding:
    probe = _probe(evidence, "fresh", terms)
    if isinstance(probe, Finding):
        return probe
    numbers = {"value": float(probe.differing), "threshold": 0.0, "requires": ">", "unit": "decisions"}
    said = f"{probe.differing} of {probe.rows} decisions change when the data of the latest sessions is altered"
    stale = [market for market, rows in probe.markets.items() if _rests_on_old_data(*rows, terms)]
    if stale:
        said += f", none of {sum(probe.markets[market][0] for market in stale)} in {', '.join(stale)}"
        numbers |= {"value": 0.0, "slice": f"market:{stale[0]}"}
    if stale or not probe.differing:
        return invalid("probe fresh", "STALE_INPUTS", f"{said}: they rest on old data", **numbers)
    return passed("probe fresh", "FRESH_INPUTS", said, **numbers)


def _rests_on_old_data(rows: int, differing: int, terms: IntegrityTerms) -> bool:
    return rows >= terms.least_probed_market and not differing


_PROBES = {"repeat": _reproduced, "future": _without_foresight, "fresh": _fresh_inputs}
