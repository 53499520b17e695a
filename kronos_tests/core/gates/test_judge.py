"""What the judge says of evidence that is good, and of the same evidence with one thing broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import numpy as np
import pytest

from kronos.core.gates.evidence import Actions, Breach, GateEvidence, Probe, ScenarioLoss
from kronos.core.gates.model import Gate, GateVerdict, Judged, Recommendation, worst
from kronos.core.reports.comparison_gaps import Daily
from kronos.core.reports.comparison_model import OVERALL_SLICE
from kronos_tests.core.gates.packs import (
    FEW,
    deep_fall,
    finding,
    forecasts,
    good,
    holes,
    judged,
    overall,
    policy,
    with_returns,
)

FAIL, INVALID, INCONCLUSIVE = GateVerdict.FAIL, GateVerdict.INVALID, GateVerdict.INCONCLUSIVE
Change = Callable[[GateEvidence], GateEvidence]


def _probe(name: str, probe: Probe) -> Change:
    return lambda pack: replace(pack, probes={**pack.probes, name: probe})


def _hidden_losses(pack: GateEvidence) -> GateEvidence:
    """The days on which the incumbent lost most are missing: 4 % of them."""
    values, theirs = overall(pack, "c1"), overall(pack, "incumbent")
    values[np.argsort(theirs)[:100]] = np.nan
    return with_returns(pack, c1=values)


def _series(make: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Change:
    return lambda pack: with_returns(pack, c1=make(overall(pack, "c1"), overall(pack, "incumbent")))


def _short(pack: GateEvidence) -> GateEvidence:
    """The first 400 dates alone."""
    last = pack.series["incumbent"][OVERALL_SLICE].days[400]
    cut = {name: {one: _before(daily, last) for one, daily in slices.items()} for name, slices in pack.series.items()}
    return replace(pack, series=cut, wealth=cut)


def _before(daily: Daily, last: np.datetime64) -> Daily:
    kept = daily.days < last
    return Daily(daily.days[kept], daily.values[kept])


def _breach(pack: GateEvidence) -> GateEvidence:
    broken = Breach("gross weight", "US_EQ", 3, 3.0, 1.5, "2011-01-03")
    return replace(pack, actions=Actions(100, (broken,)))


def _rare_regime(pack: GateEvidence) -> GateEvidence:
    series = {
        name: {**slices, "regime:RARE": Daily(slices[OVERALL_SLICE].days[:30], slices[OVERALL_SLICE].values[:30])}
        for name, slices in pack.series.items()
    }
    return replace(pack, series=series, wealth=series)


def _markets(pack: GateEvidence, **books: dict[str, np.ndarray]) -> GateEvidence:
    """Books of A and B by config: of what is left without A there is B, and the other way round."""
    days, other, series = pack.series["incumbent"][OVERALL_SLICE].days, {"A": "B", "B": "A"}, dict(pack.series)
    for config, held in books.items():
        parts = {f"market:{name}": Daily(days, values) for name, values in held.items()}
        parts |= {f"without:{other[name]}": Daily(days, values) for name, values in held.items()}
        series[config] = {**series[config], **parts}
    return replace(pack, series=series, wealth=series)


def _two_markets(pack: GateEvidence, worse: float) -> GateEvidence:
    """All of the edge in one market; in the other the config is worse."""
    theirs = overall(pack, "incumbent")
    mine = {"A": overall(pack, "c1"), "B": 0.9 * theirs - worse}
    return _markets(pack, incumbent={"A": theirs, "B": theirs}, c1=mine)


def _all_in_another_market(pack: GateEvidence) -> GateEvidence:
    """The incumbent decides in A alone; the config is worse there and has all its edge in B."""
    theirs, mine = overall(pack, "incumbent"), overall(pack, "c1")
    here = 0.9 * theirs - 1e-4
    return _markets(pack, incumbent={"A": theirs}, c1={"A": here, "B": 2.0 * mine - here})


def _cash_but_for(pack: GateEvidence) -> GateEvidence:
    """The config leaves one of the incumbent's two markets, and is better where it stays."""
    return _markets(pack, incumbent=dict.fromkeys("AB", overall(pack, "incumbent")), c1={"A": overall(pack, "c1")})


def _without_lost(pack: GateEvidence) -> GateEvidence:
    """Of what is left without B nothing is known."""
    both = _markets(pack, incumbent=dict.fromkeys("AB", overall(pack, "incumbent")),
                    c1=dict.fromkeys("AB", overall(pack, "c1")))  # fmt: skip
    lost = {name: {one: daily for one, daily in slices.items() if one != "without:B"}
            for name, slices in both.series.items()}  # fmt: skip
    return replace(both, series=lost)


def _one_good_year(pack: GateEvidence) -> GateEvidence:
    theirs = overall(pack, "incumbent")
    mine = theirs - 1e-5 + 1e-3 * np.random.default_rng(1).standard_normal(theirs.size)
    mine[362:727] += 0.004  # 2011
    return with_returns(pack, c1=mine)


def _bad_neighbours(pack: GateEvidence) -> GateEvidence:
    worse = {name: overall(pack, "incumbent") - 1e-3 for name in pack.neighbours}
    return with_returns(pack, **worse)


def _cut_neighbours(count: int) -> Change:
    """Only the first dates of the neighbours are there, where the incumbent's are poor: all look better than it."""

    def change(pack: GateEvidence) -> GateEvidence:
        daily = pack.series["c1"][OVERALL_SLICE]
        cut = Daily(daily.days[:count], daily.values[:count])
        return replace(pack, series={**pack.series, **{name: {OVERALL_SLICE: cut} for name in pack.neighbours}})

    return change


def _dear_dates_unknown(pack: GateEvidence) -> GateEvidence:
    """The config pays on 120 of its 2,520 dates, and tells what for three of them."""
    days = pack.costs["c1"].days
    values = np.zeros(days.size)
    values[::21] = 0.06
    untold = (np.arange(days.size) % 21 == 0) & (np.arange(days.size) > 50)
    costs = Daily(days[~untold], values[~untold])
    return replace(pack, costs={**pack.costs, "c1": costs})


def _alone(slice_id: str, loss: float, count: int = 300) -> Change:
    """A slice that only the config has, in which it loses the same on every date."""

    def change(pack: GateEvidence) -> GateEvidence:
        daily = Daily(pack.series["c1"][OVERALL_SLICE].days[:count], np.full(count, -loss))
        series = {**pack.series, "c1": {**pack.series["c1"], slice_id: daily}}
        return replace(pack, series=series, wealth=series)

    return change


def _costs_known(share: float) -> Change:
    """The config's costs are there on the first dates alone."""

    def change(pack: GateEvidence) -> GateEvidence:
        daily = pack.costs["c1"]
        kept = slice(int(share * daily.days.size))
        return replace(pack, costs={**pack.costs, "c1": Daily(daily.days[kept], daily.values[kept])})

    return change


def _wealth(name: str, slice_id: str, known: int) -> Change:
    """Returns of one session are there on the first dates of a config's slice alone."""

    def change(pack: GateEvidence) -> GateEvidence:
        daily = pack.wealth[name][slice_id]
        values = np.where(np.arange(daily.days.size) < known, daily.values, np.nan)
        return replace(pack, wealth={**pack.wealth, name: {**pack.wealth[name], slice_id: Daily(daily.days, values)}})

    return change


BROKEN: dict[str, tuple[Change, Gate, GateVerdict, str]] = {
    "the same parameters": (
        lambda pack: replace(pack, duplicates=("other",)), Gate.INTEGRITY, INVALID, "DUPLICATE"),
    "old evidence": (
        lambda pack: replace(pack, data_now=pack.data_until + timedelta(days=63)), Gate.INTEGRITY, INVALID, "STALE"),
    "evidence from the future": (
        lambda pack: replace(pack, data_now=pack.data_until - timedelta(days=1)),
        Gate.INTEGRITY, INVALID, "FROM_THE_FUTURE"),
    "a config that earns beside an incumbent that only forecasts": (
        lambda _: replace(forecasts(), earns=True), Gate.INTEGRITY, INVALID, "DIFFERENT_KIND"),
    "a config that only forecasts beside an incumbent that earns": (
        lambda pack: replace(pack, earns=False), Gate.INTEGRITY, INVALID, "DIFFERENT_KIND"),
    "a tenth missing": (holes, Gate.INTEGRITY, INVALID, "COVERAGE"),
    "losses missing": (_hidden_losses, Gate.INTEGRITY, INVALID, "SELECTIVE_GAPS"),
    "an infinite return": (
        _series(lambda mine, _: np.where(np.arange(mine.size) == 9, np.inf, mine)), Gate.INTEGRITY, INVALID,
        "NOT_FINITE"),
    "nothing but NaN": (_series(lambda mine, _: np.full_like(mine, np.nan)), Gate.INTEGRITY, INVALID, "NO_RECORD"),
    "constant returns": (
        _series(lambda mine, _: np.full_like(mine, 1e-4)), Gate.INTEGRITY, INVALID, "ZERO_VARIANCE"),
    "no incumbent": (lambda pack: replace(pack, incumbent=None), Gate.INTEGRITY, INVALID, "NO_INCUMBENT"),
    "another result the second time": (
        _probe("repeat", Probe(100, 1)), Gate.INTEGRITY, INVALID, "NOT_REPRODUCED"),
    "foresight": (
        _probe("future", Probe(100, 1, "ALTERED", date(2012, 1, 3))), Gate.INTEGRITY, INVALID, "LOOK_AHEAD"),
    "old inputs": (_probe("fresh", Probe(100, 0)), Gate.INTEGRITY, INVALID, "STALE_INPUTS"),
    "old inputs in one market": (
        _probe("fresh", Probe(23, 2, markets={"US_EQ": (18, 0), "US_IDX": (3, 2), "US_FUT": (2, 0)})),
        Gate.INTEGRITY, INVALID, "STALE_INPUTS"),
    "hardly probed": (_probe("future", Probe(2, 0)), Gate.INTEGRITY, INVALID, "TOO_FEW_PROBED"),
    "not probed": (lambda pack: replace(pack, probes={}), Gate.INTEGRITY, INVALID, "NOT_PROBED"),
    "refused on two of its dates": (
        _probe("future", Probe(5, 0, "ALTERED", refused=("engine failed",) * 2)), Gate.INTEGRITY, INVALID,
        "NOT_PROBED"),
    "few dates": (_short, Gate.EVIDENCE, INCONCLUSIVE, "TOO_SHORT"),
    "low power": (_short, Gate.EVIDENCE, INCONCLUSIVE, "LOW_POWER"),
    "the whole book alone": (
        lambda pack: replace(pack, series={n: {OVERALL_SLICE: s[OVERALL_SLICE]} for n, s in pack.series.items()}),
        Gate.EVIDENCE, INCONCLUSIVE, "TOO_FEW_SLICES"),
    "one regime beside those that nobody knows": (
        lambda pack: replace(pack, series={
            n: {{"regime:STRESS": "regime:UNKNOWN"}.get(k, k): d for k, d in s.items() if k != "regime:NORMAL"}
            for n, s in pack.series.items()}),
        Gate.EVIDENCE, INCONCLUSIVE, "TOO_FEW_SLICES"),
    "no slices": (
        lambda pack: replace(pack, series={n: {k: d for k, d in s.items() if k in (OVERALL_SLICE, "regime:CALM")}
                                           for n, s in _short(pack).series.items()}),
        Gate.EVIDENCE, INCONCLUSIVE, "TOO_SHORT"),
    "looks spent": (
        lambda pack: replace(pack, search=replace(pack.search, look=9)), Gate.IMPROVEMENT, INCONCLUSIVE,
        "NO_LOOKS_LEFT"),
    "too many trials": (
        lambda pack: replace(_series(lambda mine, theirs: mine - 0.8 * (mine - theirs).mean())(pack),
                             search=replace(pack.search, trials=10_000)),
        Gate.IMPROVEMENT, INCONCLUSIVE, "NOT_SHOWN"),
    "the incumbent itself": (
        _series(lambda _, theirs: theirs), Gate.IMPROVEMENT, INCONCLUSIVE, "IDENTICAL"),
    "the incumbent levered twice": (
        _series(lambda _, theirs: 2.0 * theirs), Gate.IMPROVEMENT, INCONCLUSIVE, "SCALED_COPY"),
    "clearly worse": (_series(lambda mine, theirs: 2.0 * theirs - mine), Gate.IMPROVEMENT, FAIL, "WORSE"),
    "a yearly budget spent": (
        lambda pack: replace(pack, search=replace(pack.search, spent=0.25)), Gate.IMPROVEMENT, INCONCLUSIVE,
        "BUDGET_SPENT"),
    "a replay unlike the record": (
        lambda pack: replace(pack, live=Daily(pack.live.days, pack.live.values[::-1].copy())),  # type: ignore[union-attr]  # the pack has one
        Gate.IMPROVEMENT, INVALID, "REPLAY_DIFFERS"),
    "no record to hold it against": (
        lambda pack: replace(pack, live=None), Gate.IMPROVEMENT, INCONCLUSIVE, "NO_LIVE_RECORD"),
    "mined on these very dates": (
        lambda pack: replace(pack, search=replace(pack.search, mined_until=pack.data_until - timedelta(days=30))),
        Gate.IMPROVEMENT, INCONCLUSIVE, "NOT_YET_CONFIRMED"),
    "gone since it was mined": (
        lambda pack: replace(
            _series(lambda mine, theirs: np.where(np.arange(mine.size) > 2000, theirs - 1e-3 * (mine > 0), mine))(pack),
            search=replace(pack.search, mined_until=date(2015, 8, 1))),
        Gate.IMPROVEMENT, INCONCLUSIVE, "NOT_CONFIRMED"),
    "an own record that luck explains": (
        lambda pack: with_returns(pack, c1=overall(pack, "c1") - 1.6e-3, incumbent=overall(pack, "incumbent") - 2e-3),
        Gate.VALIDITY, INCONCLUSIVE, "COULD_BE_LUCK"),
    "an own record that loses": (
        lambda pack: with_returns(pack, c1=overall(pack, "c1") - 4e-3, incumbent=overall(pack, "incumbent") - 5e-3),
        Gate.VALIDITY, FAIL, "NO_SKILL"),
    "as good as the incumbent by turns": (
        lambda pack: replace(_series(lambda _, theirs: theirs[::-1].copy())(pack), others=()),
        Gate.VALIDITY, INCONCLUSIVE, "TRAILS_OUT_OF_SAMPLE"),
    "a crash of its own": (deep_fall, Gate.NO_DEGRADATION, FAIL, "DEEPER"),
    "hardly any daily return": (_wealth("c1", OVERALL_SLICE, 10), Gate.NO_DEGRADATION, INVALID, "COVERAGE"),
    "hardly any daily return of the incumbent": (
        _wealth("incumbent", OVERALL_SLICE, 10), Gate.NO_DEGRADATION, INVALID, "COVERAGE"),
    "hardly any daily return in a regime": (_wealth("c1", "regime:STRESS", 10), Gate.STRESS, INVALID, "COVERAGE"),
    "hardly any daily return of the incumbent in a regime": (
        _wealth("incumbent", "regime:STRESS", 10), Gate.STRESS, INVALID, "COVERAGE"),
    "busier": (
        lambda pack: replace(pack, turnovers={"incumbent": 0.2, "c1": 0.31}), Gate.NO_DEGRADATION, FAIL, "BUSIER"),
    "turnover unknown": (
        lambda pack: replace(pack, turnovers={"incumbent": 0.2}), Gate.NO_DEGRADATION, INVALID, "NO_TURNOVER"),
    "turnover of both unknown": (
        lambda pack: replace(pack, turnovers={}), Gate.NO_DEGRADATION, INVALID, "NO_TURNOVER"),
    "inferior": (
        _series(lambda mine, theirs: 2.0 * theirs - mine), Gate.NO_DEGRADATION, FAIL, "INFERIOR"),
    "a scenario too bad": (
        lambda pack: replace(pack, scenarios=(ScenarioLoss("crash", "", 0.51, 0.4),)), Gate.STRESS, FAIL, "TOO_MUCH"),
    "no scenario": (lambda pack: replace(pack, scenarios=()), Gate.STRESS, INCONCLUSIVE, "NO_SCENARIOS"),
    "a scenario not played": (
        lambda pack: replace(pack, scenarios=(ScenarioLoss("crash", "", None, 0.4, "cannot"),)),
        Gate.STRESS, INCONCLUSIVE, "NOT_PLAYED"),
    "a scenario that the incumbent cannot play": (
        lambda pack: replace(pack, scenarios=(ScenarioLoss("crash", "", 0.1, None, "cannot"),)),
        Gate.STRESS, INCONCLUSIVE, "NOT_PLAYED"),
    "a crash before the incumbent decided anything": (
        lambda pack: replace(pack, scenarios=(ScenarioLoss("crash", "", 0.41, None),)), Gate.STRESS, FAIL, "TOO_MUCH"),
    "a scenario that rests on little": (
        lambda pack: replace(pack, scenarios=(ScenarioLoss("crash", "", 0.1, 0.2, thin="2 of 299"),)),
        Gate.STRESS, INCONCLUSIVE, "THIN_SCENARIO"),
    "a rare regime": (_rare_regime, Gate.STRESS, INCONCLUSIVE, "TOO_FEW_DATES"),
    "losses in a regime of its own": (_alone("regime:CRISIS", 0.004), Gate.STRESS, FAIL, "TOO_MUCH"),
    "losses in a market of its own": (_alone("market:CRYPTO", 0.004), Gate.STRESS, FAIL, "TOO_MUCH"),
    "few dates in a regime of its own": (_alone("regime:CRISIS", 0.0, 30), Gate.STRESS, INCONCLUSIVE, "TOO_FEW_DATES"),
    "hardly any daily return in a regime of its own": (
        lambda pack: _wealth("c1", "regime:CRISIS", 10)(_alone("regime:CRISIS", 0.0)(pack)),
        Gate.STRESS, INVALID, "COVERAGE"),
    "no daily return in a regime of its own": (
        lambda pack: replace(_alone("regime:CRISIS", 0.0)(pack), wealth=pack.wealth), Gate.STRESS, INVALID,
        "NO_WEALTH"),
    "costs that eat it": (
        lambda pack: replace(pack, costs={**pack.costs, "c1": Daily(pack.costs["c1"].days,
                                                                     np.full_like(pack.costs["c1"].values, 0.01))}),
        Gate.STRESS, INCONCLUSIVE, "COSTS_EAT_IT"),
    "costs unknown": (lambda pack: replace(pack, costs={}), Gate.STRESS, INVALID, "NO_COSTS"),
    "costs of a tenth of the dates unknown": (_costs_known(0.9), Gate.STRESS, INVALID, "NO_COSTS"),
    "costs of the dates that cost unknown": (_dear_dates_unknown, Gate.STRESS, INCONCLUSIVE, "COSTS_EAT_IT"),
    "one good year": (_one_good_year, Gate.STRESS, INCONCLUSIVE, "RESTS_ON_ONE_YEAR"),
    "one good market": (
        lambda pack: _two_markets(pack, 1e-3), Gate.STRESS, INCONCLUSIVE, "RESTS_ON_ONE_MARKET"),
    "an edge in a market that the incumbent does not have": (
        _all_in_another_market, Gate.STRESS, INCONCLUSIVE, "RESTS_ON_ONE_MARKET"),
    "an edge in the only market that is kept": (_cash_but_for, Gate.STRESS, INCONCLUSIVE, "RESTS_ON_ONE_MARKET"),
    "a book without one market that nobody knows": (_without_lost, Gate.STRESS, INCONCLUSIVE, "NO_OTHER_MARKET"),
    "no neighbours": (lambda pack: replace(pack, neighbours=()), Gate.STRESS, INCONCLUSIVE, "NO_NEIGHBOURS"),
    "failed neighbours": (
        lambda pack: replace(pack, neighbours_failed={"c1~a=1": "out of memory"}),
        Gate.STRESS,
        INCONCLUSIVE,
        "NEIGHBOUR_FAILED",
    ),
    "neighbours of a few good dates": (_cut_neighbours(20), Gate.STRESS, INCONCLUSIVE, "A_SPIKE"),
    "neighbours of nine tenths of the dates": (_cut_neighbours(2268), Gate.STRESS, INCONCLUSIVE, "A_SPIKE"),
    "neighbours that decided nothing": (
        lambda pack: replace(pack, series={name: pack.series[name] for name in ("incumbent", "c1", "c2", "c3")}),
        Gate.STRESS, INCONCLUSIVE, "A_SPIKE"),
    "worse neighbours": (_bad_neighbours, Gate.STRESS, INCONCLUSIVE, "A_SPIKE"),
    "a limit broken": (_breach, Gate.HARD_CONSTRAINTS, FAIL, "VIOLATED"),
    "no decision": (lambda pack: replace(pack, actions=None), Gate.HARD_CONSTRAINTS, INVALID, "NO_DECISIONS"),
    "more violations than the incumbent": (
        lambda pack: replace(pack, actions=Actions(100, (), (0.2, 0.1))), Gate.HARD_CONSTRAINTS, FAIL,
        "MORE_THAN_INCUMBENT"),
    "violations that only the incumbent reports": (
        lambda pack: replace(pack, actions=Actions(100, (), (None, 0.2))), Gate.HARD_CONSTRAINTS, INVALID,
        "NOT_REPORTED"),
}  # fmt: skip


@cache
def judged_broken(name: str) -> Judged:
    return judged(BROKEN[name][0](good()))


def test_faultless_evidence_of_a_large_edge_passes_every_gate() -> None:
    found = judged(good())
    assert found.verdict is GateVerdict.PASS and found.recommendation is Recommendation.ADOPT
    assert not found.refused_by and [gate.gate for gate in found.gates] == list(Gate)


@pytest.mark.parametrize("name", BROKEN)
def test_broken_evidence_is_refused_by_its_gate_with_its_reason(name: str) -> None:
    _, gate, verdict, reason = BROKEN[name]
    found = judged_broken(name)
    assert {one.verdict for one in found.of(gate).findings if one.reason == reason} == {verdict}
    assert gate in found.refused_by and found.verdict is not GateVerdict.PASS


@pytest.mark.parametrize("name", BROKEN)
def test_every_gate_speaks_whatever_is_broken(name: str) -> None:
    """None is skipped because another refused, and none passes for want of anything to look at."""
    found = judged_broken(name)
    assert all(gate.findings for gate in found.gates) and len(found.gates) == len(Gate)


def test_forecasts_that_score_better_pass_though_they_earn_nothing() -> None:
    policy_without_record = policy({"improvement": {"resamples": 2000, "least_replay_dates": 0}})
    pack = replace(forecasts(), live=forecasts().series["incumbent"][OVERALL_SLICE])
    assert judged(pack, policy_without_record).verdict is GateVerdict.PASS


@pytest.mark.parametrize(("least", "verdict"), [(0.9, GateVerdict.PASS), (0.95, INVALID)])
def test_the_policys_coverage_is_the_one_that_counts(least: float, verdict: GateVerdict) -> None:
    """8 % missing are as many as the policy says; no other share stands beside it."""
    values = overall(good(), "c1")
    values[::12] = np.nan
    found = judged(with_returns(good(), c1=values), policy({"integrity": {"least_coverage": least}}))
    assert found.of(Gate.INTEGRITY).verdict is verdict
    assert ("NO_PAIR" in [one.reason for gate in found.gates for one in gate.findings]) is (verdict is INVALID)


def test_a_bearable_loss_where_the_incumbent_is_not_passes() -> None:
    found = judged(_alone("regime:CRISIS", 0.0005)(good()))
    (loss,) = [one for one in found.of(Gate.STRESS).findings if one.slice == "regime:CRISIS"]
    assert (loss.reason, loss.threshold) == ("BEARABLE", FEW.stress.loss_floor)
    assert found.verdict is GateVerdict.PASS


def test_a_further_market_passes_where_the_config_is_better_in_the_first_and_earns_in_the_second() -> None:
    mine = overall(good(), "c1")
    pack = _markets(good(), incumbent={"A": overall(good(), "incumbent")}, c1={"A": mine, "B": mine})
    assert finding(pack, Gate.STRESS, "STILL_BETTER").verdict is GateVerdict.PASS
    assert judged(pack).verdict is GateVerdict.PASS


def test_forecasts_in_a_market_without_the_incumbents_cannot_be_told_without_the_other() -> None:
    pack = _markets(
        forecasts(),
        incumbent={"A": overall(forecasts(), "incumbent")},
        c1=dict.fromkeys("AB", overall(forecasts(), "c1")),
    )
    assert finding(pack, Gate.STRESS, "NO_OTHER_MARKET").slice == "market:A"


def test_forecasts_where_the_incumbent_makes_none_cannot_be_judged() -> None:
    daily = Daily(good().series["c1"][OVERALL_SLICE].days[:300], np.full(300, 0.1))
    series = forecasts().series
    alone = replace(forecasts(), series={**series, "c1": {**series["c1"], "regime:CRISIS": daily}})
    assert finding(alone, Gate.STRESS, "TOO_FEW_DATES").slice == "regime:CRISIS"


def test_forecasts_that_are_worse_by_a_constant_on_every_date_fail() -> None:
    pack = forecasts()
    worse = with_returns(pack, c1=overall(pack, "incumbent") + 0.001)
    assert finding(worse, Gate.IMPROVEMENT, "WORSE_ON_EVERY_DATE").verdict is FAIL


def test_calibration_of_a_config_that_earns_may_not_get_worse() -> None:
    days = good().series["incumbent"][OVERALL_SLICE].days
    theirs = 0.2 + 0.02 * np.random.default_rng(2).standard_normal(days.size)
    pack = replace(
        good(), score_metric="brier", scores={"incumbent": Daily(days, theirs), "c1": Daily(days, 1.1 * theirs)}
    )
    assert finding(pack, Gate.NO_DEGRADATION, "INFERIOR").metric == "calibration (brier)"
    same = replace(pack, scores={"incumbent": Daily(days, theirs), "c1": Daily(days, 1.001 * theirs)})
    assert judged(same).of(Gate.NO_DEGRADATION).verdict is GateVerdict.PASS


def _scores(mine: Daily, every: int = 1) -> GateEvidence:
    """Forecasts of a config that earns; the incumbent's score on some of the dates is 0.2."""
    days = good().series["incumbent"][OVERALL_SLICE].days
    theirs = 0.2 + 0.02 * np.random.default_rng(2).standard_normal(days.size)
    theirs[np.arange(days.size) % every > 0] = np.nan
    return replace(good(), score_metric="brier", scores={"incumbent": Daily(days, theirs), "c1": mine})


def _forecasting(dates: slice, *, due: bool = True) -> Daily:
    """A score of 0.1 on some of the dates; on the others a forecast is due, or nothing at all."""
    days = good().series["incumbent"][OVERALL_SLICE].days
    values = np.full(days.size, np.nan)
    values[dates] = 0.1
    return Daily(days, values) if due else Daily(days[dates], values[dates])


@pytest.mark.parametrize("due", [True, False])
@pytest.mark.parametrize("dates", [slice(6), slice(None, None, 20), slice(2000, None)])
def test_a_config_that_hardly_forecasts_has_no_score_to_compare(dates: slice, due: bool) -> None:
    found = finding(_scores(_forecasting(dates, due=due)), Gate.NO_DEGRADATION, "COVERAGE")
    assert (found.metric, found.verdict) == ("calibration (brier)", INVALID) and found.value < 0.95  # type: ignore[operator]  # a number


def test_forecasts_on_none_of_the_incumbents_dates_are_no_comparison() -> None:
    pack = _scores(_forecasting(slice(1, None, 2)), every=2)
    assert finding(pack, Gate.NO_DEGRADATION, "COVERAGE").value == 0.0


def test_forecasts_on_more_dates_than_the_incumbents_are_compared_on_its_own() -> None:
    pack = _scores(_forecasting(slice(None)), every=2)
    assert judged(pack).of(Gate.NO_DEGRADATION).verdict is GateVerdict.PASS


def test_a_config_that_begins_later_has_no_forecasts_to_miss_before() -> None:
    """Its book and its forecasts begin after 300 dates, as with a longer lookback."""
    pack = _scores(_forecasting(slice(300, None), due=False))
    book = pack.series["c1"][OVERALL_SLICE]
    later = {**pack.series["c1"], OVERALL_SLICE: Daily(book.days[300:], book.values[300:])}
    found = judged(replace(pack, series={**pack.series, "c1": later})).of(Gate.NO_DEGRADATION).findings
    assert [one.reason for one in found if one.metric == "calibration (brier)"] == ["NOT_INFERIOR"]


def test_the_same_evidence_gives_the_same_findings_and_digest() -> None:
    first, second = (judged(good()) for _ in range(2))
    assert first == second and good().digest == replace(good()).digest


def test_another_number_anywhere_gives_another_digest() -> None:
    values = overall(good(), "c1")
    values[17] += 1e-12
    assert with_returns(good(), c1=values).digest != with_returns(good(), c1=overall(good(), "c1")).digest


def test_fail_outweighs_invalid_outweighs_inconclusive_outweighs_pass() -> None:
    order = [GateVerdict.FAIL, GateVerdict.INVALID, GateVerdict.INCONCLUSIVE, GateVerdict.PASS]
    assert [worst(order[place:]) for place in range(4)] == order and worst([]) is GateVerdict.INVALID


def test_an_inconclusive_verdict_is_tested_on_only_while_there_are_looks() -> None:
    first = replace(good(), neighbours=())
    last = replace(first, search=replace(first.search, look=FEW.improvement.most_looks))
    assert judged(first).recommendation is Recommendation.CONTINUE_TESTING
    assert judged(last).recommendation is Recommendation.REJECT


def test_a_difference_below_the_one_that_is_asked_is_not_shown_however_rare_luck_like_it_is() -> None:
    seen = finding(good(), Gate.IMPROVEMENT, "BETTER")
    assert seen.value is not None
    asked = policy({"improvement": {"least_difference": seen.value + 0.05}})
    assert "less than is asked" in finding(good(), Gate.IMPROVEMENT, "NOT_SHOWN", asked).detail
