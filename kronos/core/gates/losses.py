"""How much was lost from the peak, along a series of returns."""

from __future__ import annotations

import numpy as np

from kronos.core.gates.evidence import GateEvidence
from kronos.core.gates.model import Finding, invalid
from kronos.core.gates.policy import GatePolicy
from kronos.core.reports.comparison_gaps import Daily, matched
from kronos.core.reports.comparison_model import OVERALL_SLICE


def deepest_falls(
    evidence: GateEvidence, metric: str, policy: GatePolicy, slice_id: str = OVERALL_SLICE
) -> tuple[float, float] | Finding:
    """Maximum drawdowns of the config and the incumbent in a slice; INVALID where one of them cannot be told.

    A fall is read from the values that are there, so either's missing ones have to be as few as integrity allows, also
    among the dates on which the two are compared at the engine's own horizon.
    Of the config every loss counts; of the incumbent those from the config's first date in the slice to its last: what
    it lost while the config could not lose anything allows the config nothing.
    """
    mine, theirs = (evidence.wealth.get(name, {}).get(slice_id) for name in (evidence.proposed, evidence.rival))
    falls = deepest_fall(mine), deepest_fall(_within_span(theirs, mine))
    if mine is None or theirs is None or falls[0] is None or falls[1] is None:
        return invalid(metric, "NO_WEALTH", f"no series of returns of one session in {slice_id}", slice=slice_id)
    both = matched(mine, theirs, losses=False)
    shares = [_seen(evidence, name, slice_id, mine) for name in (evidence.proposed, evidence.rival)]
    return (
        _gaps(metric, "the config", min(both.coverage, shares[0]), policy, slice_id)
        or _gaps(metric, "the incumbent", min(both.incumbent_coverage, shares[1]), policy, slice_id)
        or (falls[0], falls[1])
    )


def _seen(evidence: GateEvidence, name: str, slice_id: str, mine: Daily | None = None) -> float:
    """Share of the dates on which a config's book is compared that have a return of one session too; 1 without any.

    mine: of the incumbent the dates from the first to the last of this series alone.
    """
    compared = evidence.series.get(name, {}).get(slice_id)
    if name != evidence.proposed:
        compared = _within_span(compared, mine)
    if compared is None:
        return 1.0
    one, other = (daily.days[np.isfinite(daily.values)] for daily in (compared, evidence.wealth[name][slice_id]))
    return float(np.isin(one, other).mean()) if one.size else 1.0


def _within_span(daily: Daily | None, other: Daily | None) -> Daily | None:
    """A series from the other's first date to its last."""
    if daily is None or other is None or other.days.size == 0:
        return None
    kept = (daily.days >= other.days[0]) & (daily.days <= other.days[-1])
    return Daily(daily.days[kept], daily.values[kept])


def own_fall(evidence: GateEvidence, metric: str, policy: GatePolicy, slice_id: str) -> float | Finding:
    """Maximum drawdown of the config alone, in a slice that the incumbent does not have."""
    mine = evidence.wealth.get(evidence.proposed, {}).get(slice_id)
    fall = deepest_fall(mine)
    if mine is None or fall is None:
        return invalid(metric, "NO_WEALTH", f"no series of returns of one session in {slice_id}", slice=slice_id)
    share = min(float(np.isfinite(mine.values).mean()), _seen(evidence, evidence.proposed, slice_id))
    gaps = _gaps(metric, "the config", share, policy, slice_id)
    return fall if gaps is None else gaps


def _gaps(metric: str, whose: str, share: float, policy: GatePolicy, slice_id: str) -> Finding | None:
    least = policy.integrity.least_coverage
    if share >= least:
        return None
    numbers = {"value": share, "threshold": least, "requires": ">=", "unit": "share", "slice": slice_id}
    said = f"{whose} has {share:.1%} of its due returns of one session: the missing ones could be the fall"
    return invalid(metric, "COVERAGE", said, **numbers)


def deepest_fall(daily: Daily | None) -> float | None:
    """Maximum drawdown as a positive share of the peak, in [0, 1]: 1 at ruin. None without a finite value.

    Returns of one session compound in the order of their dates; the starting capital is the first peak. Missing dates
    are left out: how many may be is for `deepest_falls` to say. In a slice the series is stitched.
    """
    if daily is None:
        return None
    values = daily.values[~np.isnan(daily.values)]
    if values.size == 0 or np.isinf(values).any():
        return None
    wealth = np.cumprod(np.maximum(1.0 + values, 0.0))
    peak = np.maximum(np.maximum.accumulate(wealth), 1.0)
    return float(1.0 - (wealth / peak).min())
