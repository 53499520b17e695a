"""Gate 5, no degradation: what the config does not improve must not get worse by more than a margin."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import ndtri

from kronos.core.gates.contest import Pairing
from kronos.core.gates.evidence import GateEvidence
from kronos.core.gates.improvement import Tested, Untested
from kronos.core.gates.losses import deepest_falls
from kronos.core.gates.model import Finding, failed, invalid, passed, undecided
from kronos.core.gates.policy import DegradationTerms, GatePolicy
from kronos.core.reports.comparison_gaps import Daily, imputed, matched
from kronos.core.reports.comparison_model import OVERALL_SLICE
from kronos.core.reports.comparison_series import SHARPE
from kronos.core.stats.long_run import standard_errors


def degradation(evidence: GateEvidence, pairing: Pairing, policy: GatePolicy, tested: Tested) -> Iterator[Finding]:
    """One-sided bounds against margins; point values for drawdown and turnover, which have no sound interval."""
    terms = policy.degradation
    if pairing.contest is None or tested is None:
        yield invalid("non-inferiority", "NO_PAIR", "no difference to measure: the integrity gate says why")
    elif isinstance(tested, Untested):
        yield _certain(evidence, pairing, tested, terms)
    else:
        yield _bound(evidence, tested.difference, tested.lower_bound, terms, _level(evidence, pairing))
    if evidence.score_metric:
        yield _calibration(evidence, policy)
    if evidence.metric == SHARPE:
        yield _drawdown(evidence, policy)
        yield _turnover(evidence, terms)


def _level(evidence: GateEvidence, pairing: Pairing) -> float:
    """The incumbent's mean score, which margins of scores are shares of."""
    assert pairing.contest is not None
    return 1.0 if evidence.metric == SHARPE else abs(float(pairing.contest.incumbent.mean()))


def _margin(evidence: GateEvidence, terms: DegradationTerms, level: float) -> float:
    return terms.sharpe_margin if evidence.metric == SHARPE else terms.calibration_margin * level


def _bound(evidence: GateEvidence, difference: float, low: float, terms: DegradationTerms, level: float) -> Finding:
    margin = _margin(evidence, terms, level)
    name = "Sharpe ratio" if evidence.metric == SHARPE else evidence.metric
    numbers = {
        "value": difference, "low": low, "threshold": -margin, "requires": ">=", "unit": name,
        "confidence": terms.confidence,
    }  # fmt: skip
    said = f"{name} differs by {difference:.3g}, at worst {low:.3g} ({terms.confidence:.0%}, one-sided)"
    if low >= -margin:
        return passed("non-inferiority", "NOT_INFERIOR", said, **numbers)
    if difference < -margin:
        return failed("non-inferiority", "INFERIOR", f"{said}: below the margin of {-margin:.3g}", **numbers)
    return undecided("non-inferiority", "COULD_BE_INFERIOR", f"{said}: the margin is {-margin:.3g}", **numbers)


def _certain(evidence: GateEvidence, pairing: Pairing, tested: Untested, terms: DegradationTerms) -> Finding:
    """Without a sampling error the difference itself decides; where there is no difference at all none is lost."""
    assert pairing.contest is not None
    mean = float(pairing.contest.edge.mean())
    if tested.reason in ("IDENTICAL", "SCALED_COPY"):
        return passed("non-inferiority", "NOT_INFERIOR", f"{tested.detail}: nothing is lost", value=0.0)
    if tested.reason == "ZERO_VARIANCE_DIFFERENCE":
        return _bound(evidence, mean, mean, terms, _level(evidence, pairing))
    return undecided("non-inferiority", tested.reason, tested.detail)


def _calibration(evidence: GateEvidence, policy: GatePolicy) -> Finding:
    """The score of a config that earns and forecasts: not worse than the margin, whatever it earns.

    Where the incumbent forecasts it has to as well, from its first decision on: who stops has no better score for it.
    """
    terms, least = policy.degradation, policy.integrity.least_coverage
    name = f"calibration ({evidence.score_metric})"
    mine, theirs = evidence.scores.get(evidence.proposed), evidence.scores.get(evidence.rival)
    if theirs is None or np.isnan(theirs.values).all():
        return passed(name, "NOT_APPLICABLE", "the incumbent does not forecast")
    if mine is None or np.isnan(mine.values).all():
        return failed(name, "NO_FORECASTS", "the incumbent forecasts and the config does not")
    both = matched(_due_with(mine, theirs, _began(evidence, mine)), theirs, losses=True)
    if both.coverage < least:
        numbers = {"value": both.coverage, "threshold": least, "requires": ">=", "unit": "share"}
        said = f"the config forecasts on {both.coverage:.1%} of the {both.days.size} dates on which the incumbent does"
        return invalid(name, "COVERAGE", f"{said}: the missing ones could say anything", **numbers)
    values = imputed(both, losses=True)
    edge = values[:, 0] - values[:, 1]
    difference, level = float(edge.mean()), abs(float(values[:, 1].mean()))
    error = float(standard_errors((edge - difference)[:, None], evidence.horizon)[0]) if len(edge) > 4 else np.nan
    low = difference - float(ndtri(terms.confidence)) * error
    margin = terms.calibration_margin * level
    numbers = {
        "value": -difference, "high": -low, "threshold": margin, "requires": "<=", "unit": evidence.score_metric,
        "confidence": terms.confidence,
    }  # fmt: skip
    said = f"mean score {-difference:+.3g} beside the incumbent's {level:.3g}, at worst {-low:+.3g}"
    said += f" ({terms.confidence:.0%}, one-sided)"
    if low >= -margin:
        return passed(name, "NOT_INFERIOR", said, **numbers)
    if difference < -margin:
        return failed(name, "INFERIOR", f"{said}: the margin is {margin:+.3g}", **numbers)
    return undecided(name, "COULD_BE_INFERIOR", f"{said}: the margin is {margin:+.3g}", **numbers)


def _began(evidence: GateEvidence, scores: Daily) -> np.datetime64:
    """The first date on which a decision or a forecast of the config was due."""
    book = evidence.series.get(evidence.proposed, {}).get(OVERALL_SLICE)
    firsts = [one.days[0] for one in (book, scores) if one is not None and one.days.size]
    return min(firsts)


def _due_with(daily: Daily, other: Daily, since: np.datetime64) -> Daily:
    """A series that is due, and missing where it has nothing, on every date of the other's from some date on."""
    days = np.union1d(daily.days, other.days[other.days >= since])
    values = np.full(days.size, np.nan)
    values[np.searchsorted(days, daily.days)] = daily.values
    return Daily(days, values)


def _drawdown(evidence: GateEvidence, policy: GatePolicy) -> Finding:
    terms, falls = policy.degradation, deepest_falls(evidence, "maximum drawdown", policy)
    if isinstance(falls, Finding):
        return falls
    mine, theirs = falls
    most = max(terms.drawdown_floor, terms.drawdown_ratio * theirs)
    numbers = {"value": mine, "threshold": most, "requires": "<=", "unit": "share of capital"}
    said = f"{mine:.1%} lost from the peak, the incumbent {theirs:.1%}"
    if mine <= most:
        return passed("maximum drawdown", "NOT_DEEPER", said, **numbers)
    return failed("maximum drawdown", "DEEPER", f"{said}: more than {most:.1%}", **numbers)


def _turnover(evidence: GateEvidence, terms: DegradationTerms) -> Finding:
    mine, theirs = evidence.turnovers.get(evidence.proposed), evidence.turnovers.get(evidence.rival)
    if mine is None or theirs is None or not np.isfinite([mine, theirs]).all():
        whose = "not all outcomes of the config" if mine is None else "too few outcomes of the incumbent"
        return invalid("turnover", "NO_TURNOVER", f"{whose} report turnover")
    most = max(terms.turnover_floor, terms.turnover_ratio * theirs)
    numbers = {"value": mine, "threshold": most, "requires": "<=", "unit": "share of the book a session"}
    said = f"{mine:.1%} of the book is traded a session, the incumbent {theirs:.1%}"
    if mine <= most:
        return passed("turnover", "NOT_BUSIER", said, **numbers)
    return failed("turnover", "BUSIER", f"{said}: more than {most:.1%}", **numbers)
