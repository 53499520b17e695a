"""The controls of one engine, week and seed, and which suite is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from kronos.core.canonical import canonical_hash
from kronos.core.controls.catalogue import CATALOGUE
from kronos.core.controls.model import BestOfNoise, split_body
from kronos.core.controls.progress import (
    PATIENCE,
    Member,
    SuiteState,
    SuiteUnderWay,
    begun_anew,
    due_seed,
    key_of,
    outdated,
    ready,
    under_way,
)
from kronos.core.controls.suite import SuiteKey, SuitePlan, expectation_of, plan_suite
from kronos.core.controls.weeks import iso_week, monday_of
from kronos.core.gates.model import Gate
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import BadValue
from kronos_tests.core.controls.suites import DONE, FAIL, RIGHT, name, suite

KEY = SuiteKey("PORTFOLIO", "2017-W52", 1, "policy", "old", "code")
BODY = {"lookback": 126, "names": 6}
DAY = timedelta(days=1)


def plan(key: SuiteKey = KEY, *, earns: bool = True, **changes: Any) -> SuitePlan:
    return plan_suite(key, {**BODY, **changes}, BestOfNoise(variant=3, seed=key.draw_seed), earns=earns, alters=True)


def test_an_engine_that_earns_has_every_control_of_the_catalogue() -> None:
    assert [one.expectation.control for one in plan().controls] == [kind.name for kind in CATALOGUE]


def test_an_engine_that_forecasts_has_no_controls_of_positions_and_the_reason_is_told() -> None:
    found = plan(earns=False)
    assert {"blacklist_ignored", "liquidity_ignored", "excessive_leverage", "levered_incumbent"} == set(found.left_out)
    assert all("no positions" in why for why in found.left_out.values())
    assert len(found.controls) + len(found.left_out) == len(CATALOGUE)


def test_the_engine_gets_the_incumbents_own_body_in_every_control() -> None:
    assert all(split_body(one.config_body, BODY)[0] == BODY for one in plan().controls)


def test_only_the_exact_copy_has_the_incumbents_hash() -> None:
    same = [
        one.expectation.control
        for one in plan().controls
        if canonical_hash(dict(one.config_body)) == canonical_hash(BODY)
    ]
    assert same == ["exact_copy"]


@pytest.mark.parametrize("field", ["period", "seed", "policy_digest", "incumbent", "code_version"])
def test_another_week_seed_policy_incumbent_or_code_is_another_suite(field: str) -> None:
    """With other ids, and other draws, so that no body is that of an earlier control."""
    other = replace(KEY, **{field: 2 if field == "seed" else "2018-W01"})
    mine, theirs = plan(), plan(other)
    assert other.suite_id != KEY.suite_id
    for attribute in ("experiment_id", "config_id"):
        assert not {getattr(a, attribute) for a in mine.controls} & {getattr(b, attribute) for b in theirs.controls}
    hashes = [{canonical_hash(dict(one.config_body)) for one in found.controls} for found in (mine, theirs)]
    assert hashes[0] & hashes[1] == {canonical_hash(BODY)}


def test_the_same_key_plans_the_same_suite() -> None:
    assert plan() == plan()


def test_what_an_experiment_keeps_names_its_suite() -> None:
    found = plan()
    assert {key_of(found.about(one)) for one in found.controls} == {KEY}


def test_an_incumbent_with_the_controls_own_key_has_every_control() -> None:
    foreign = {**BODY, "control": {}}
    assert [split_body(one.config_body, foreign)[0] for one in plan(control={}).controls] == [foreign] * len(CATALOGUE)


def test_the_catalogues_expectations_are_consistent() -> None:
    found = [expectation_of(kind) for kind in CATALOGUE]
    assert [one.control for one in found if one.positive] == ["positive_edge"]
    assert {one.gate for one in found if one.gate} == {
        Gate.IMPROVEMENT,
        Gate.INTEGRITY,
        Gate.HARD_CONSTRAINTS,
        Gate.NO_DEGRADATION,
    }


@pytest.mark.parametrize("day", [date(2017, 12, 29), date(2018, 1, 1), date(2020, 12, 31), date(2021, 1, 3)])
def test_weeks_are_iso_weeks_from_monday(day: date) -> None:
    monday = monday_of(iso_week(day))
    assert monday.weekday() == 0
    assert timedelta(0) <= day - monday < timedelta(days=7)


@pytest.mark.parametrize("week", ["2017-W53", "2017-W00", "2017-52", "", "2017-W1"])
def test_what_is_no_week_is_refused(week: str) -> None:
    with pytest.raises(BadValue, match="week of a suite"):
        monday_of(week)


def members(status: ExperimentStatus, count: int = 3, *, verdicts: bool = False, **key: Any) -> list[Member]:
    planned = plan(replace(KEY, **key))
    told = {"verdict_id": name("v"), "verdict": FAIL, "gate_verdict": FAIL, "ran_by": KEY.code_version}
    judged: dict[str, Any] = told if verdicts else {}
    return [
        Member(one.experiment_id, status, {**planned.about(one), "planned": count}, DONE, "lost", **judged)
        for one in planned.controls[:count]
    ]


def of(*found: Member) -> SuiteUnderWay:
    (suite,) = under_way(found)
    return suite


REVIEW, QUEUED, REJECTED = (
    ExperimentStatus.AWAITING_REVIEW,
    ExperimentStatus.QUEUED_FOR_BACKTEST,
    ExperimentStatus.REJECTED,
)


def test_a_suite_is_judged_when_all_its_controls_are() -> None:
    assert of(*members(REVIEW, verdicts=True)).state is SuiteState.JUDGED
    assert of(*members(REVIEW, verdicts=True)[:2], *members(REVIEW)[2:]).state is SuiteState.RUNNING
    assert of(*members(REVIEW, verdicts=True)[:2], *members(QUEUED)[2:]).state is SuiteState.RUNNING


def test_a_suite_that_lost_a_control_is_broken_and_says_by_what() -> None:
    found = of(*members(REVIEW, verdicts=True)[:2], *members(REJECTED)[2:])
    assert found.state is SuiteState.BROKEN
    assert found.broken_by == "best_of_noise: lost"


def test_a_suite_with_a_control_missing_is_broken() -> None:
    assert of(*members(REVIEW, verdicts=True)[:2]).state is SuiteState.BROKEN


@pytest.mark.parametrize("ran_by", ["older", None])
def test_a_suite_with_a_control_run_by_other_code_is_broken_and_another_follows(ran_by: str | None) -> None:
    first, *others = members(REVIEW, verdicts=True)
    found = of(replace(first, ran_by=ran_by), *others)
    assert found.state is SuiteState.BROKEN
    assert found.broken_by == f"inverted_signal: its backtest ran by code {ran_by}, not code"
    assert outdated(found, KEY) == f"its suite cannot be completed: {found.broken_by}"
    assert begun_anew(KEY, [found]).seed == KEY.seed + 1


@pytest.mark.parametrize("field", ["period", "policy_digest", "incumbent", "code_version"])
def test_a_suite_of_something_else_proves_nothing_any_more(field: str) -> None:
    assert "superseded" in (outdated(of(*members(QUEUED, **{field: "2017-W51"})), KEY) or "")


def test_a_suite_with_another_seed_still_counts() -> None:
    assert outdated(of(*members(QUEUED, seed=7)), KEY) is None


def due(*recorded: Any, after: timedelta = DAY, **key: str) -> int | None:
    values = {"period": "2020-W02", "policy_digest": "policy", "code_version": "test"} | key
    return due_seed(recorded, counts_for=8 * DAY, now=DONE + after, **values)


def test_the_first_suite_of_a_week_policy_and_code_is_due() -> None:
    assert due() == 1
    assert due(suite(*RIGHT)) is None
    assert [due(suite(*RIGHT), **{field: "2020-W03"}) for field in ("period", "policy_digest", "code_version")] == [
        1,
        1,
        1,
    ]


def test_where_the_data_stands_still_the_next_seed_is_due_before_the_suite_is_stale() -> None:
    assert due(suite(*RIGHT, seed=4), after=6 * DAY - timedelta(seconds=1)) is None
    assert due(suite(*RIGHT, seed=4), after=6 * DAY) == 5


def test_a_week_is_ready_when_nothing_of_it_runs() -> None:
    done, running = members(REVIEW, verdicts=True), members(QUEUED, engine_name="REGIME")
    assert set(ready(under_way(done), DONE)) == {"2017-W52"}
    assert ready(under_way([*done, *running]), DONE) == {}


def test_a_week_waits_for_its_slowest_suite_only_so_long() -> None:
    both = under_way([*members(REVIEW, verdicts=True), *members(QUEUED, engine_name="REGIME")])
    assert ready(both, DONE + PATIENCE) == {}
    (found,) = ready(both, DONE + PATIENCE + timedelta(seconds=1)).values()
    assert [one.key.engine_name for one in found] == ["PORTFOLIO"]
