"""Gate 6, stress slices: what is lost where it hurts, and whether the edge rests on one year, market or parameter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from kronos.core.gates.contest import (
    Contest,
    Pairing,
    contest_of,
    difference_of,
    factor_of,
    pair_up,
    slices_of,
    unit_of,
)
from kronos.core.gates.evidence import GateEvidence, ScenarioLoss
from kronos.core.gates.losses import deepest_falls, own_fall
from kronos.core.gates.model import Finding, failed, invalid, passed, undecided
from kronos.core.gates.policy import GatePolicy
from kronos.core.reports.comparison_gaps import Daily
from kronos.core.reports.comparison_model import OVERALL_SLICE
from kronos.core.reports.comparison_series import SHARPE, WITHOUT
from kronos.core.stats.matrix import FloatArray, is_constant
from kronos.core.stats.sharpe import sharpe_ratios
from kronos.core.vocabulary import UNKNOWN


def stress(evidence: GateEvidence, pairing: Pairing, policy: GatePolicy) -> Iterator[Finding]:
    """Losses beyond the limit FAIL; an edge that is gone under stress is INCONCLUSIVE: it may be there or not."""
    contest = pairing.contest
    if contest is None:
        yield invalid("stress", "NO_PAIR", "no series to stress: the integrity gate says why")
    else:
        theirs, mine = (slices_of(evidence, one, "regime", "market") for one in (evidence.rival, evidence.proposed))
        for name in sorted({*theirs, *mine}):
            if not name.endswith(f":{UNKNOWN}"):
                yield _slice(evidence, name, policy) if name in theirs else _own_slice(evidence, name, policy)
        if evidence.metric == SHARPE:
            yield _costs(evidence, contest, policy)
        yield _one_year_out(evidence, contest)
        yield from _one_market_out(evidence, policy)
        yield _neighbourhood(evidence, contest, policy)
    if len(evidence.scenarios) < policy.stress.least_scenarios:
        said = f"{len(evidence.scenarios)} scenarios are in the battery: {policy.stress.least_scenarios} needed"
        yield undecided("loss", "NO_SCENARIOS", said, value=float(len(evidence.scenarios)), unit="scenarios")
    for scenario in evidence.scenarios:
        yield _scenario(evidence, scenario, policy)


def _slice(evidence: GateEvidence, name: str, policy: GatePolicy) -> Finding:
    least = policy.evidence.least_slice_dates
    found = pair_up(evidence, policy, name).contest
    if found is None or len(found.days) < least:
        return _too_few(name, 0 if found is None else len(found.days), least, f"dates in {name}")
    if evidence.metric != SHARPE:
        return _loss(evidence, name, -float(found.proposed.mean()), -float(found.incumbent.mean()), policy)
    falls = deepest_falls(evidence, "loss", policy, name)
    return falls if isinstance(falls, Finding) else _loss(evidence, name, *falls, policy)


def _own_slice(evidence: GateEvidence, name: str, policy: GatePolicy) -> Finding:
    """A slice that only the config has: the absolute limit alone holds; a score cannot be judged without another."""
    if evidence.metric != SHARPE:
        return _too_few(name, 0, policy.evidence.least_slice_dates, f"dates of the incumbent in {name}")
    count = int(np.isfinite(evidence.series[evidence.proposed][name].values).sum())
    if count < policy.evidence.least_slice_dates:
        return _too_few(name, count, policy.evidence.least_slice_dates, f"dates in {name}")
    fall = own_fall(evidence, "loss", policy, name)
    return fall if isinstance(fall, Finding) else _loss(evidence, name, fall, None, policy)


def _too_few(name: str, count: int, least: int, what: str) -> Finding:
    numbers = {"value": float(count), "threshold": float(least), "requires": ">=", "unit": "dates", "slice": name}
    return undecided("loss", "TOO_FEW_DATES", f"{count} {what}: {least} needed", **numbers)


def _loss(evidence: GateEvidence, where: str, mine: float, theirs: float | None, policy: GatePolicy) -> Finding:
    """theirs: None where the incumbent takes no risk at all."""
    terms, earns = policy.stress, evidence.metric == SHARPE
    most = max(terms.loss_floor if earns else terms.score_floor, terms.loss_ratio * (theirs or 0.0))
    unit = "share lost from the peak" if earns else evidence.metric
    numbers = {"value": mine, "threshold": most, "requires": "<=", "unit": unit, "slice": where}
    said = f"{mine:.3g}, the incumbent " + ("is not there" if theirs is None else f"{theirs:.3g}")
    if mine <= most:
        return passed("loss", "BEARABLE", said, **numbers)
    return failed("loss", "TOO_MUCH", f"{said}: more than {most:.3g}", **numbers)


def _scenario(evidence: GateEvidence, scenario: ScenarioLoss, policy: GatePolicy) -> Finding:
    where = f"scenario:{scenario.name}"
    alone = scenario.incumbent is None and not scenario.refused and evidence.metric == SHARPE
    if scenario.proposed is None or (scenario.incumbent is None and not alone):
        return undecided("loss", "NOT_PLAYED", scenario.refused or "no number for it", slice=where)
    if scenario.thin:
        return undecided("loss", "THIN_SCENARIO", scenario.thin, value=scenario.proposed, slice=where)
    return _loss(evidence, where, scenario.proposed, scenario.incumbent, policy)


def _still_better(metric: str, reason: str, value: float, said: str, unit: str) -> Finding:
    numbers = {"value": value, "threshold": 0.0, "requires": ">", "unit": unit}
    if value > 0.0:  # false for NaN
        return passed(metric, "STILL_BETTER", said, **numbers)
    return undecided(metric, reason, f"{said}: the edge is gone", **numbers)


def _costs(evidence: GateEvidence, contest: Contest, policy: GatePolicy) -> Finding:
    multiple = policy.stress.cost_multiple
    metric = f"{multiple:g} times the costs"
    least = policy.integrity.least_coverage
    mine = _aligned(evidence.costs.get(evidence.proposed), contest, least, dear=True)
    theirs = _aligned(evidence.costs.get(evidence.rival), contest, least, dear=False)
    if mine is None or theirs is None:
        said = "not all outcomes of the config" if mine is None else "too few outcomes of the incumbent"
        return invalid(metric, "NO_COSTS", f"{said} report what they cost")
    series = contest.proposed - (multiple - 1.0) * mine, contest.incumbent - (multiple - 1.0) * theirs
    value = difference_of(evidence, *series, contest.factor)
    said = f"better by {value:.3g} at {multiple:g} times the costs of both"
    return _still_better(metric, "COSTS_EAT_IT", value, said, unit_of(evidence))


def _aligned(costs: Daily | None, contest: Contest, least: float, *, dear: bool) -> FloatArray | None:
    """Costs on the contest's dates; None where fewer than the least share of them have one.

    dear: a date without costs is as dear as the dearest, else it is free.
    """
    if costs is None:
        return None
    found = np.full(len(contest.days), np.nan)
    _, here, there = np.intersect1d(contest.days, costs.days, assume_unique=True, return_indices=True)
    found[here] = costs.values[there]
    known = np.isfinite(found)
    if known.mean() < least:
        return None
    return np.where(known, found, found[known].max() if dear else 0.0)


def _one_year_out(evidence: GateEvidence, contest: Contest) -> Finding:
    years = contest.days.astype("datetime64[Y]").astype(np.int64) + 1970
    found = {
        int(year): difference_of(evidence, contest.proposed[kept], contest.incumbent[kept], contest.factor)
        for year in np.unique(years)
        if (kept := years != year).any()
    }
    if not found:
        return undecided("one year left out", "ONE_YEAR_ONLY", "all evidence lies within one calendar year")
    year = min(found, key=lambda one: _or_worst(found[one]))
    said = f"better by {found[year]:.3g} without {year}, the worst to lose"
    return _still_better("one year left out", "RESTS_ON_ONE_YEAR", found[year], said, unit_of(evidence))


def _or_worst(value: float) -> float:
    """A difference that does not exist is no better than any other."""
    return value if np.isfinite(value) else -np.inf


def _one_market_out(evidence: GateEvidence, policy: GatePolicy) -> Iterator[Finding]:
    """Both books without each market in turn that either decides in; nothing to say where that is one market."""
    held = {one: set(slices_of(evidence, one, "market")) for one in (evidence.proposed, evidence.rival)}
    markets = sorted(set().union(*held.values()))
    if len(markets) < 2:
        yield passed("one market left out", "ONE_MARKET", "decides in one market: there is none to leave out")
        return
    found = {name: _without(evidence, name, held, policy) for name in markets}
    told = {name: value for name, value in found.items() if value is not None}
    for name in markets:
        if name not in told:
            said = f"without it there are not {policy.evidence.least_slice_dates} dates of both to compare"
            yield undecided("one market left out", "NO_OTHER_MARKET", said, slice=name)
    if told:
        name = min(told, key=lambda one: _or_worst(told[one]))
        said = f"the books differ by {told[name]:.3g} without {name.partition(':')[2]}, the worst to lose"
        yield _still_better("one market left out", "RESTS_ON_ONE_MARKET", told[name], said, unit_of(evidence))


def _without(evidence: GateEvidence, market: str, held: Mapping[str, set[str]], policy: GatePolicy) -> float | None:
    """Difference of the two books without a market; None where it cannot be told.

    Who decides nowhere else is left with cash, of which the Sharpe ratio is 0 and a score is nothing.
    """
    name, least = f"{WITHOUT}:{market.partition(':')[2]}", policy.evidence.least_slice_dates
    mine, theirs = (evidence.series.get(one, {}).get(name) for one in (evidence.proposed, evidence.rival))
    if mine is not None and theirs is not None:
        both = contest_of(evidence, mine, theirs, name)
        if both is None or len(both.days) < least:
            return None
        return difference_of(evidence, both.proposed, both.incumbent, both.factor)
    left, idle = (mine, evidence.rival) if theirs is None else (theirs, evidence.proposed)
    values = np.zeros(0) if left is None else left.values[np.isfinite(left.values)]
    if evidence.metric != SHARPE or held[idle] != {market} or values.size < least:
        return None
    if is_constant(values[:, None])[0]:
        return float("nan")
    ratio = float(sharpe_ratios(values[:, None])[0]) * float(np.sqrt(factor_of(evidence, name)))
    return ratio if theirs is None else -ratio


def _neighbourhood(evidence: GateEvidence, contest: Contest, policy: GatePolicy) -> Finding:
    """One neighbour that was run counts as one, whatever there is of it."""
    terms, metric = policy.stress, "neighbourhood of the parameters"
    if evidence.neighbours_failed:
        # those that were run cannot speak for one that nobody refused: it may be missing because it is bad
        name, why = min(evidence.neighbours_failed.items())
        said = f"{len(evidence.neighbours_failed)} neighbours could not be run, {name}: {why}"
        return undecided(metric, "NEIGHBOUR_FAILED", said)
    run = len(evidence.neighbours)
    if run < terms.least_neighbours:
        said = f"{run} neighbours were run, {len(evidence.neighbours_refused)} refused"
        said += f": {terms.least_neighbours} needed"
        return undecided(metric, "NO_NEIGHBOURS", said, value=float(run))
    differences = [_of_neighbour(evidence, name, contest, policy) for name in evidence.neighbours]
    better = sum(value is not None and value > 0.0 for value in differences)
    share = better / run
    numbers = {"value": share, "threshold": terms.neighbour_share, "requires": ">=", "unit": "share of neighbours"}
    said = f"{better} of {run} configs with slightly other parameters are better than the incumbent"
    if short := differences.count(None):
        said += f", {short} of them not there on as many dates and so no witness"
    if share >= terms.neighbour_share:
        return passed(metric, "NOT_A_SPIKE", said, **numbers)
    return undecided(metric, "A_SPIKE", f"{said}: the edge hangs on exact parameters", **numbers)


def _of_neighbour(evidence: GateEvidence, name: str, contest: Contest, policy: GatePolicy) -> float | None:
    """Difference of a neighbour to the incumbent; None where it has not nearly as many dates as the config itself."""
    mine, theirs = (evidence.series.get(one, {}).get(OVERALL_SLICE) for one in (name, evidence.rival))
    found = None if mine is None or theirs is None else contest_of(evidence, mine, theirs)
    least = policy.integrity.least_coverage
    if found is None or found.coverage[0] < least or len(found.days) < least * len(contest.days):
        return None
    return difference_of(evidence, found.proposed, found.incumbent, found.factor)
