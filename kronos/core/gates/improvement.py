"""Gate 3, improvement over the incumbent: the gate that decides.

The statistic is the studentised difference of Sharpe ratios (of mean scores for engines that only forecast) on matched
dates, judged beside every trial; see `stats.paired` for the test and its sources. The error is spent over the looks at
one experiment (Bonferroni over unequal parts), and over a year of experiments of one engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from kronos.core.gates.contest import Contest, Pairing, difference_of, error_of, unit_of
from kronos.core.gates.evidence import GateEvidence
from kronos.core.gates.model import Finding, failed, invalid, passed, undecided
from kronos.core.gates.policy import GatePolicy, ImprovementTerms
from kronos.core.reports.comparison_gaps import Daily, imputed, matched
from kronos.core.reports.comparison_model import OVERALL_SLICE
from kronos.core.reports.comparison_series import SHARPE
from kronos.core.stats.bootstrap import Drawing
from kronos.core.stats.matrix import (
    RELATIVE_TOLERANCE,
    FloatArray,
    Inconclusive,
    ReturnMatrix,
    is_constant,
    return_matrix,
)
from kronos.core.stats.paired import Improvement, Measure, Plan, planned_improvement

PROPOSED, INCUMBENT = "proposed", "incumbent"


@dataclass(frozen=True, slots=True)
class Untested:
    """Why the difference has no test."""

    reason: str
    detail: str


Tested = Improvement | Untested | None
"""The proposed config's row of the improvement test; None without a pair of series."""


def improvement(evidence: GateEvidence, pairing: Pairing, policy: GatePolicy, tested: Tested) -> Iterator[Finding]:
    """tested: what `tested_improvement` gives for the same evidence."""
    terms = policy.improvement
    if tested is None or pairing.contest is None:
        yield invalid(_metric(evidence), "NO_PAIR", "no difference to measure: the integrity gate says why")
    elif never_better(pairing.contest):
        yield _never_better(evidence, pairing.contest)
    elif isinstance(tested, Untested):
        yield undecided(_metric(evidence), tested.reason, tested.detail)
    else:
        yield _difference(evidence, tested, policy)
    yield _budget(evidence, terms)
    yield _replay(evidence, terms)
    if evidence.search.mined_until is not None:
        yield _confirmation(evidence, pairing, policy)


def tested_improvement(evidence: GateEvidence, pairing: Pairing, policy: GatePolicy, draw_for: Drawing) -> Tested:
    """The improvement test over all trials with a series, the others counted by Sidak."""
    contest = pairing.contest
    if contest is None or pairing.broken is not None:
        return None
    if pairing.flaw is not None:
        return Untested(pairing.flaw.reason.value, pairing.flaw.detail)
    matrix = trial_matrix(evidence, contest, policy)
    if isinstance(matrix, Inconclusive):
        return Untested(matrix.reason.value, matrix.detail)
    measure = Measure.SHARPE if evidence.metric == SHARPE else Measure.MEAN
    trials = max(evidence.search.trials, matrix.n_configs - 1)
    result = planned_improvement(matrix, INCUMBENT, measure, Plan(draw_for, trials, policy.degradation.confidence))
    if isinstance(result, Inconclusive):
        return Untested(result.reason.value, result.detail)
    row = result.of(PROPOSED)
    return row if row.reason is None else Untested(row.reason.value, "the difference has no sampling error")


def trial_matrix(evidence: GateEvidence, contest: Contest, policy: GatePolicy) -> ReturnMatrix | Inconclusive:
    """Proposed config, incumbent and every further trial on the matched dates, higher is better.

    A trial that is constant, the same stream as another, or misses the dates counts without a series.
    """
    columns, names = [contest.proposed, contest.incumbent], [PROPOSED, INCUMBENT]
    for name in evidence.others:
        column = _on_dates(evidence, name, contest, policy.integrity.least_coverage)
        if column is not None and not any(_same(column, other) for other in columns):
            columns.append(column)
            names.append(f"trial {name}")
    # scores are higher-is-better here already: the mean difference knows no other unit
    return return_matrix(
        np.column_stack(columns),
        names,
        contest.days,
        horizon=contest.horizon,
        sessions_per_year=contest.factor * contest.horizon if evidence.metric == SHARPE else float(contest.horizon),
    )


def _on_dates(evidence: GateEvidence, name: str, contest: Contest, least: float) -> FloatArray | None:
    daily = evidence.series.get(name, {}).get(OVERALL_SLICE)
    if daily is None or np.isinf(daily.values).any() or np.isnan(daily.values).all():
        return None
    losses = evidence.metric != SHARPE
    sign = -1.0 if losses else 1.0
    both = matched(daily, Daily(contest.days, sign * contest.incumbent), losses=losses)
    if both.days.size != contest.days.size or both.coverage < least:
        return None
    column = imputed(both, losses=losses)[:, 0]
    return None if is_constant(column[:, None])[0] else column


def _same(first: FloatArray, second: FloatArray) -> bool:
    return bool(np.abs(first - second).max() <= RELATIVE_TOLERANCE * np.abs(second).max())


def _difference(evidence: GateEvidence, tested: Improvement, policy: GatePolicy) -> Finding:
    terms = policy.improvement
    alpha = terms.level_of(evidence.search.look)
    numbers = {
        "value": tested.difference, "low": tested.low, "high": tested.high, "threshold": terms.least_difference,
        "requires": ">", "unit": unit_of(evidence), "confidence": policy.degradation.confidence,
        "p_value": tested.p_value.value, "level": alpha,
    }  # fmt: skip
    said = (
        f"differs by {tested.difference:+.3g} with p {tested.p_value.value:.3g}, {evidence.search.trials} trials "
        f"counted; p of at most {alpha:.3g} is needed at look {evidence.search.look}"
    )
    reach = terms.monte_carlo_errors * tested.p_value.error
    if tested.high < terms.least_difference:
        return failed(_metric(evidence), "WORSE", f"{said}: even the upper bound is not better", **numbers)
    if alpha <= 0.0:
        return undecided(_metric(evidence), "NO_LOOKS_LEFT", said, **numbers)
    rare = tested.p_value.value + reach <= alpha
    if rare and tested.difference > terms.least_difference:
        return passed(_metric(evidence), "BETTER", said, **numbers)
    if rare:
        return undecided(_metric(evidence), "NOT_SHOWN", f"{said}: better, and by less than is asked", **numbers)
    if tested.p_value.value - reach <= alpha:
        close = f"{said}: other draws could decide otherwise, p is known to {reach:.1g}"
        return undecided(_metric(evidence), "MONTE_CARLO_ERROR", close, **numbers)
    return undecided(_metric(evidence), "NOT_SHOWN", f"{said}: luck explains it well enough", **numbers)


def never_better(contest: Contest) -> bool:
    """Whether the config is worse on some dates and better on none: no test is needed, whatever varies or does not."""
    return bool(contest.edge.max() <= 0.0 and contest.edge.min() < 0.0)


def _never_better(evidence: GateEvidence, contest: Contest) -> Finding:
    mean, worse = float(contest.edge.mean()), int((contest.edge < 0.0).sum())
    numbers = {"value": mean, "threshold": 0.0, "requires": ">", "unit": "per date"}
    said = f"worse on {worse} of {len(contest.days)} dates and better on none"
    return failed(_metric(evidence), "WORSE_ON_EVERY_DATE", said, **numbers)


def _budget(evidence: GateEvidence, terms: ImprovementTerms) -> Finding:
    spent = evidence.search.spent + terms.level_of(evidence.search.look)
    numbers = {"value": spent, "threshold": terms.yearly_budget, "requires": "<=", "unit": "expected false promotions"}
    said = f"this engine's experiments of a year may cause {spent:.3g} false promotions"
    if spent > terms.yearly_budget:
        return undecided("yearly budget", "BUDGET_SPENT", f"{said}: wait until earlier ones leave the year", **numbers)
    return passed("yearly budget", "WITHIN_BUDGET", said, **numbers)


def _replay(evidence: GateEvidence, terms: ImprovementTerms) -> Finding:
    """The incumbent's replay beside what it really did: else the comparison is with something that never traded."""
    mine = evidence.series.get(evidence.rival, {}).get(OVERALL_SLICE)
    if mine is None:
        return invalid("replay of the incumbent", "NO_REPLAY", "the incumbent was not run beside the config")
    if evidence.live is None:
        return undecided("replay of the incumbent", "NO_LIVE_RECORD", "no LIVE record to hold the replay against")
    _, here, there = np.intersect1d(mine.days, evidence.live.days, return_indices=True)
    pair = np.column_stack([mine.values[here], evidence.live.values[there]])
    pair = pair[~np.isnan(pair).any(axis=1)]
    if len(pair) < terms.least_replay_dates:
        said = f"{len(pair)} dates in both: {terms.least_replay_dates} needed"
        return undecided("replay of the incumbent", "SHORT_LIVE_RECORD", said)
    spread = float(pair[:, 1].std())
    gap = float(np.abs(pair[:, 0] - pair[:, 1]).mean()) / spread if spread > 0.0 else float("inf")
    numbers = {"value": gap, "threshold": terms.most_replay_difference, "requires": "<=", "unit": "standard deviations"}
    said = f"replay and LIVE record differ by {gap:.2g} of its deviation on {len(pair)} dates"
    if gap > terms.most_replay_difference:
        return invalid("replay of the incumbent", "REPLAY_DIFFERS", f"{said}: the runner is not what trades", **numbers)
    return passed("replay of the incumbent", "AS_LIVE", said, **numbers)


def _confirmation(evidence: GateEvidence, pairing: Pairing, policy: GatePolicy) -> Finding:
    """What Kronos found by looking must show again on dates it had not looked at."""
    terms, mined = policy.improvement, evidence.search.mined_until
    contest = pairing.contest
    if contest is None or mined is None:
        return invalid("confirmation", "NO_PAIR", "no difference to confirm")
    unseen = contest.days > np.datetime64(mined)
    count = int(unseen.sum())
    numbers = {"value": float(count), "threshold": float(terms.confirmation_dates), "requires": ">=", "unit": "dates"}
    if count < max(terms.confirmation_dates, 2):
        said = f"{count} dates after {mined}, up to which Kronos had looked: continue testing as time passes"
        return undecided("confirmation", "NOT_YET_CONFIRMED", said, **numbers)
    pair = contest.proposed[unseen], contest.incumbent[unseen]
    difference, error = difference_of(evidence, *pair, contest.factor), error_of(evidence, *pair, contest)
    bound = difference + float(ndtri(terms.confirmation_level)) * error
    told = {
        "value": difference, "low": bound, "threshold": 0.0, "requires": ">", "unit": unit_of(evidence),
        "confidence": 1.0 - terms.confirmation_level,
    }  # fmt: skip
    said = (
        f"differs by {difference:+.3g} on {count} dates Kronos had not seen, at worst {bound:.3g} "
        f"({1.0 - terms.confirmation_level:.0%}, one-sided)"
    )
    if bound > 0.0:  # false for NaN
        return passed("confirmation", "CONFIRMED", said, **told)
    return undecided("confirmation", "NOT_CONFIRMED", said, **told)


def _metric(evidence: GateEvidence) -> str:
    return "Sharpe ratio over the incumbent" if evidence.metric == SHARPE else f"{evidence.metric} saved"
