"""The proposed config against the incumbent on their matched dates, or why there is nothing to be matched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from kronos.core.conventions import DEFAULT_SESSIONS_PER_YEAR
from kronos.core.frames import empty
from kronos.core.gates.evidence import GateEvidence
from kronos.core.gates.policy import GatePolicy
from kronos.core.policy import ComparisonPolicy
from kronos.core.reports.comparison_gaps import Daily, imputed, matched
from kronos.core.reports.comparison_model import OVERALL_SLICE, Doubt
from kronos.core.reports.comparison_pairs import Slices, Unpaired, paired
from kronos.core.reports.comparison_series import COMPARED, SHARPE, ComparedSeries
from kronos.core.stats.long_run import standard_errors
from kronos.core.stats.matrix import DateArray, FloatArray, is_constant
from kronos.core.stats.sharpe import sharpe_influences, sharpe_ratios

LEAST_DIFFERENCE_DATES: Final = 5
"""A difference of fewer dates is none: its error would be a division by next to nothing."""

BROKEN: Final = {
    Doubt.NO_INCUMBENT: "NO_INCUMBENT",
    Doubt.NO_RECORD: "NO_RECORD",
    Doubt.NOT_FINITE: "NOT_FINITE",
    Doubt.LOW_COVERAGE: "COVERAGE",
    Doubt.SELECTIVE_GAPS: "SELECTIVE_GAPS",
    Doubt.CONSTANT: "ZERO_VARIANCE",
}
"""Doubts that make the evidence itself invalid, in the words of the findings."""


@dataclass(frozen=True, eq=False)
class Contest:
    """Values of the proposed config and the incumbent on their matched dates; higher is better (losses negated).

    Gaps of the proposed config are imputed against it. coverage: of the two. factor: observations a year without
    overlap (A/h), of `horizon` sessions each.
    """

    days: DateArray
    proposed: FloatArray
    incumbent: FloatArray
    coverage: tuple[float, float]
    factor: float
    horizon: int = 1

    @property
    def edge(self) -> FloatArray:
        """Proposed minus incumbent [n]."""
        return self.proposed - self.incumbent

    @property
    def years(self) -> float:
        """Length of the evidence in years of sessions."""
        return len(self.days) / (self.factor * self.horizon)


@dataclass(frozen=True, eq=False)
class Pairing:
    """The contest, and the flaw that leaves it without a test, if any; both None-able, never both None."""

    contest: Contest | None
    flaw: Unpaired | None

    @property
    def broken(self) -> str | None:
        """The word for evidence that cannot be judged; None when it can."""
        return None if self.flaw is None else BROKEN.get(self.flaw.reason)


def pair_up(evidence: GateEvidence, policy: GatePolicy, slice_id: str = OVERALL_SLICE) -> Pairing:
    """The proposed config and the incumbent in one slice."""
    if evidence.incumbent is None:
        return Pairing(None, Unpaired(Doubt.NO_INCUMBENT, "no config is active for this engine"))
    theirs = evidence.series.get(evidence.incumbent, {}).get(slice_id)
    mine = evidence.series.get(evidence.proposed, {}).get(slice_id)
    if theirs is None or mine is None or np.isnan(theirs.values).all() or np.isnan(mine.values).all():
        whose = "the incumbent" if theirs is None or np.isnan(theirs.values).all() else "the config"
        return Pairing(None, Unpaired(Doubt.NO_RECORD, f"{whose} has no {evidence.metric} in {slice_id}"))
    if np.isinf(mine.values).any() or np.isinf(theirs.values).any():
        return Pairing(None, Unpaired(Doubt.NOT_FINITE, "a value is infinite"))
    least = policy.integrity.least_coverage
    found = paired(mine, theirs, _compared(evidence, slice_id), slice_id, _terms(policy), least_coverage=least)
    flaw = found if isinstance(found, Unpaired) else None
    return Pairing(contest_of(evidence, mine, theirs, slice_id), flaw)


def contest_of(evidence: GateEvidence, mine: Daily, theirs: Daily, slice_id: str = OVERALL_SLICE) -> Contest | None:
    """Two series on their matched dates; None without a date on which both have a value."""
    losses = evidence.metric != SHARPE
    both = matched(mine, theirs, losses=losses)
    if both.days.size == 0 or both.gap.all():
        return None
    values = imputed(both, losses=losses)
    coverage, factor = (both.coverage, both.incumbent_coverage), factor_of(evidence, slice_id)
    return Contest(both.days, values[:, 0], values[:, 1], coverage, factor, evidence.horizon)


def difference_of(evidence: GateEvidence, proposed: FloatArray, incumbent: FloatArray, factor: float) -> float:
    """Annual Sharpe ratio, or mean score turned so that more is better, of the first minus the second; NaN if none."""
    pair = np.column_stack([proposed, incumbent])
    if len(pair) < LEAST_DIFFERENCE_DATES:
        return float("nan")
    if evidence.metric != SHARPE:
        return float(pair[:, 0].mean() - pair[:, 1].mean())
    if is_constant(pair).any():
        return float("nan")
    ratios = sharpe_ratios(pair)
    return float(ratios[0] - ratios[1]) * float(np.sqrt(factor))


def unit_of(evidence: GateEvidence) -> str:
    """What `difference_of` is measured in."""
    return "annual Sharpe ratio" if evidence.metric == SHARPE else "mean score a date"


def error_of(evidence: GateEvidence, proposed: FloatArray, incumbent: FloatArray, contest: Contest) -> float:
    """Standard error (HAC) of `difference_of` on some of a contest's dates; NaN where there is none."""
    pair = np.column_stack([proposed, incumbent])
    if len(pair) < LEAST_DIFFERENCE_DATES or is_constant(pair).any():
        return float("nan")
    if evidence.metric == SHARPE:
        influences, scale = sharpe_influences(pair), float(np.sqrt(contest.factor))
    else:
        influences, scale = pair - pair.mean(axis=0), 1.0
    contrast = influences[:, :1] - influences[:, 1:]
    return float(standard_errors(contrast - contrast.mean(), contest.horizon)[0]) * scale


def factor_of(evidence: GateEvidence, slice_id: str = OVERALL_SLICE) -> float:
    """Observations a year without overlap in a slice."""
    return evidence.factors.get(slice_id, evidence.factors.get(OVERALL_SLICE, float(DEFAULT_SESSIONS_PER_YEAR)))


def slices_of(evidence: GateEvidence, config_id: str, *dimensions: str) -> list[str]:
    """A config's slices of some dimensions (`regime`, `market`), sorted."""
    found: Slices = evidence.series.get(config_id, {})
    return sorted(name for name in found if name.partition(":")[0] in dimensions)


def _compared(evidence: GateEvidence, slice_id: str) -> ComparedSeries:
    factors = {slice_id: factor_of(evidence, slice_id)}
    return ComparedSeries(evidence.metric, evidence.horizon, empty(COMPARED), factors)


def _terms(policy: GatePolicy) -> ComparisonPolicy:
    """The comparison's rules of pairing at the gates' thresholds."""
    return ComparisonPolicy(gap_level=policy.integrity.gap_level, least_dates=policy.evidence.least_slice_dates)
