"""The class of one config from its statistics: conditions with three answers, met in a fixed order of precedence.

A condition whose p-value lies within its Monte-Carlo error of the level has no answer (None). The first class whose
conditions all hold applies; one that has no answer stops the search, because other draws could have made it apply.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kronos.core.policy import ComparisonPolicy
from kronos.core.reports.comparison_model import OVERALL_SLICE, Cell, ConfigClass, Doubt, Finding, Verdict
from kronos.core.reports.comparison_statistics import Statistics
from kronos.core.stats.selection import PValue, holm

Answer = bool | None

_BEST: Final = "best in a pre-declared slice"
_STEPM: Final = "one-sided, StepM over configs and declared slices; and inside the slice's confidence set"


@dataclass(frozen=True, eq=False)
class Bench:
    """What every config of a comparison is judged by.

    margin in the unit of the differences; niches: StepM p-values of every config in every pre-declared slice.
    """

    statistics: Statistics
    policy: ComparisonPolicy
    metric: str
    margin: float
    niches: Mapping[tuple[str, str], PValue]


@dataclass(frozen=True)
class _Judged:
    """A class, whether its conditions hold, and what they were."""

    label: ConfigClass
    answer: Answer
    findings: tuple[Finding, ...]
    niches: tuple[str, ...] = ()


def judge(config_id: str, cells: Sequence[Cell], bench: Bench) -> Verdict:
    """DOMINATED, ROBUST, NICHE or UNDECIDED, with every condition looked at on the way.

    cells: the config's, all slices; the overall one must have statistics.
    """
    by_slice = {cell.slice: cell for cell in cells if cell.reason is None}
    findings: list[Finding] = []
    for conditions in (_dominated, _robust, _niche):
        judged = conditions(by_slice, bench)
        findings += judged.findings
        if judged.answer is None:
            detail = f"{judged.label} within Monte-Carlo error"
            return Verdict(config_id, ConfigClass.UNDECIDED, Doubt.MONTE_CARLO_ERROR, detail, (), tuple(findings))
        if judged.answer:
            return Verdict(config_id, judged.label, None, "", judged.niches, tuple(findings))
    return Verdict(config_id, ConfigClass.UNDECIDED, Doubt.NO_CLASS_APPLIES, "", (), tuple(findings))


def _dominated(cells: Mapping[str, Cell], bench: Bench) -> _Judged:
    """Worse overall, and better in no slice."""
    overall = cells[OVERALL_SLICE]
    difference, error = _estimate(overall, bench)
    worse = _significant(bench.statistics.corrected(difference / error), bench.policy)
    below = worse if difference < 0.0 else False
    condition = "upper bound of the overall difference < 0"
    bound = _about(overall, bench, condition, overall.high, 0.0, below, "simultaneous interval", overall.p_value)
    if below is False:
        return _Judged(ConfigClass.DOMINATED, False, (bound,))
    better = _better_somewhere([cell for name, cell in cells.items() if name != OVERALL_SLICE], bench)
    return _Judged(ConfigClass.DOMINATED, _all([below, *(_not(one.met) for one in better)]), (bound, *better))


def _better_somewhere(slices: Sequence[Cell], bench: Bench) -> list[Finding]:
    """Whether the config is significantly better than the incumbent in each slice, Holm over its slices."""
    single = [bench.statistics.better(bench.statistics.at((cell.config_id, cell.slice))) for cell in slices]
    adjusted = holm([p.value for p in single])
    found = []
    for cell, p, value in zip(slices, single, adjusted, strict=True):
        met = _significant(PValue(value, p.error * value / p.value), bench.policy)
        reason = "one-sided, Holm over the config's slices"
        found.append(_about(cell, bench, "better in the slice", cell.difference, 0.0, met, reason, value))
    return found


def _robust(cells: Mapping[str, Cell], bench: Bench) -> _Judged:
    """Not worse overall by more than the margin, and among the best in most slices that could tell."""
    overall = cells[OVERALL_SLICE]
    difference, error = _estimate(overall, bench)
    above = (difference + bench.margin) / error
    p = bench.statistics.corrected(above)
    held = _significant(p, bench.policy) if above > 0.0 else False
    condition = "lower bound of the overall difference > -margin"
    bound = _about(overall, bench, condition, overall.low, -bench.margin, held, "simultaneous interval", p.value)
    eligible = [cell for name, cell in cells.items() if cell.eligible and name != OVERALL_SLICE]
    enough = _enough(eligible, bench)
    share = _share(eligible, bench)
    return _Judged(ConfigClass.ROBUST, _all([held, enough.met, share.met]), (bound, enough, share))


def _enough(eligible: Sequence[Cell], bench: Bench) -> Finding:
    least, names = bench.policy.least_eligible_slices, ", ".join(cell.slice for cell in eligible)
    reason = f"minimum detectable effect meets the policy in: {names or 'none'}"
    return Finding(
        condition="eligible slices",
        slice=OVERALL_SLICE,
        metric="count",
        value=float(len(eligible)),
        threshold=float(least),
        met=len(eligible) >= least,
        reason=reason,
    )


def _share(eligible: Sequence[Cell], bench: Bench) -> Finding:
    """Share of the eligible slices in whose model confidence set the config is."""
    inside = [_inside(cell, bench) for cell in eligible]
    sure, possible = inside.count(True), len(inside) - inside.count(False)
    needed = bench.policy.robust_share * len(inside)
    met = False if not inside or possible < needed else True if sure >= needed else None
    outside = ", ".join(cell.slice for cell, one in zip(eligible, inside, strict=True) if one is not True)
    return Finding(
        condition="share of eligible slices inside the confidence set",
        slice=OVERALL_SLICE,
        metric="share",
        value=sure / len(inside) if inside else None,
        threshold=bench.policy.robust_share,
        met=met,
        reason=f"not surely inside: {outside or 'none'}",
    )


def _niche(cells: Mapping[str, Cell], bench: Bench) -> _Judged:
    """Better than the incumbent in a pre-declared slice (StepM over configs x declared slices), and among its best."""
    findings: list[Finding] = []
    for name in bench.policy.niche_slices:
        cell = cells.get(name)
        if cell is None:
            findings.append(Finding(_BEST, name, bench.metric, None, 0.0, False, "no statistics in this slice"))
            continue
        p = bench.niches[(cell.config_id, name)]
        met = _all([_significant(p, bench.policy), _inside(cell, bench)])
        findings.append(_about(cell, bench, _BEST, cell.difference, 0.0, met, _STEPM, p.value))
    niches = tuple(found.slice for found in findings if found.met)
    return _Judged(ConfigClass.NICHE, _any(found.met for found in findings), tuple(findings), niches)


def _about(
    cell: Cell,
    bench: Bench,
    condition: str,
    value: float | None,
    threshold: float,
    met: Answer,
    reason: str,
    p_value: float | None,
) -> Finding:
    return Finding(condition, cell.slice, bench.metric, value, threshold, met, reason, cell.low, cell.high, p_value)


def _estimate(cell: Cell, bench: Bench) -> tuple[float, float]:
    column = bench.statistics.at((cell.config_id, cell.slice))
    return float(bench.statistics.difference[column]), float(bench.statistics.error[column])


def _inside(cell: Cell, bench: Bench) -> Answer:
    """Whether the config belongs to the best of the slice."""
    if cell.confidence_p is None:
        return False
    p = PValue(cell.confidence_p, (cell.confidence_p * (1.0 - cell.confidence_p) / bench.statistics.resamples) ** 0.5)
    return _not(_significant(p, bench.policy))


def _significant(p: PValue, policy: ComparisonPolicy) -> Answer:
    """p <= level; None when other draws could put it on the other side."""
    if abs(p.value - policy.level) <= policy.monte_carlo_errors * p.error:
        return None
    return p.value <= policy.level


def _all(answers: Iterable[Answer]) -> Answer:
    """False if any is False, else None if any is None, else True."""
    found = list(answers)
    return False if False in found else None if None in found else True


def _any(answers: Iterable[Answer]) -> Answer:
    """True if any is True, else None if any is None, else False."""
    found = list(answers)
    return True if True in found else None if None in found else False


def _not(answer: Answer) -> Answer:
    return None if answer is None else not answer
