"""Rows that break the contract or the task: each is rejected under the name of its rule, and none disappears."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.backtests.command import held_to_files
from kronos.backtests.contract import held_to_sessions, held_to_task
from kronos.core.backtests.runner import Produced
from kronos.core.frames import DECISIONS, OUTCOME_VALUES, OUTCOMES
from kronos_tests.backtests.tasks import DATA_UNTIL, END, TASK, decision, outcome
from kronos_tests.frames import Row, at, frame, weekdays

NAN = float("nan")


def held(decisions: Sequence[Row], outcomes: Sequence[Row] = ()) -> Produced:
    """What a command's files come to."""
    return held_to_files(TASK, frame(DECISIONS, decisions), frame(OUTCOMES, outcomes))


def reasons(produced: Produced) -> list[tuple[str, str]]:
    """Rule and value of everything rejected."""
    return sorted(produced.rejected.select("rule", "value").iter_rows())


def test_rows_that_keep_the_contract_come_back_whole_and_ordered() -> None:
    produced = held([decision("d2", END), decision("d1")], [outcome("d2", DATA_UNTIL), outcome("d1")])
    assert produced.decisions.equals(frame(DECISIONS, [decision("d1"), decision("d2", END)]))
    assert produced.outcomes.equals(frame(OUTCOMES, [outcome("d1"), outcome("d2", DATA_UNTIL)]))
    assert reasons(produced) == []


def test_nothing_is_nothing() -> None:
    produced = held([])
    assert (produced.decisions.height, produced.outcomes.height, produced.rejected.height) == (0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "rule", "value"),
    [
        ({"mode": "LIVE"}, "OTHER_MODE", "mode=LIVE"),
        ({"mode": None}, "OTHER_MODE", "mode=null"),
        ({"experiment_id": "another"}, "OTHER_EXPERIMENT", "experiment_id=another"),
        ({"config_id": "slow"}, "OTHER_CONFIG", "config_id=slow"),
        ({"market_id": "JP_EQ"}, "OTHER_MARKET", "market_id=JP_EQ"),
        ({"engine_name": "REGIME"}, "OTHER_ENGINE", "engine_name=REGIME"),
        ({"as_of_date": date(2020, 2, 29)}, "OUTSIDE_TASK", "as_of_date=2020-02-29"),
        ({"decided_at": None}, "MISSING_FIELD", "decided_at=null"),
        ({"decided_at": at(date(2020, 3, 22))}, "AFTER_DATA_UNTIL", "decided_at=2020-03-22 21:00:00.000000+00:00"),
        ({"decided_at": at(date(2020, 2, 28))}, "DECIDED_BEFORE", "decided_at=2020-02-28 21:00:00.000000+00:00"),
        ({"weight": NAN}, "NOT_FINITE", "weight=NaN"),
        ({"weight": -0.1}, "NEGATIVE_WEIGHT", "weight=-0.1"),
        ({"score": float("inf")}, "NOT_FINITE", "score=inf"),
        ({"probability": 1.01}, "PROBABILITY_RANGE", "probability=1.01"),
        ({"classes": ["a", "b"], "class_probabilities": [0.5, 0.6]}, "PROBABILITY_SUM", "a, b 0.5, 0.6"),
        ({"classes": ["a", "b"], "class_probabilities": [1.5, -0.5]}, "PROBABILITY_RANGE", "a, b 1.5, -0.5"),
        ({"classes": ["a", "b"]}, "CLASSES_MISMATCH", "a, b null"),
    ],
)
def test_a_bad_decision_is_rejected_with_its_outcomes(changes: dict[str, Any], rule: str, value: str) -> None:
    produced = held([decision("bad") | changes, decision("good")], [outcome("bad"), outcome("good")])
    assert reasons(produced) == sorted([("DECISION_QUARANTINED", "decision_id=bad"), (rule, value)])
    assert (produced.decisions["decision_id"].to_list(), produced.outcomes["decision_id"].to_list()) == (["good"],) * 2
    assert produced.rejected["source_table"].to_list() == ["engine_decisions", "decision_outcomes"]


def test_probabilities_may_miss_one_by_a_millionth() -> None:
    assert held([decision(classes=["a", "b"], class_probabilities=[0.5, 0.5000009])]).decisions.height == 1


def test_an_id_used_twice_is_rejected_twice() -> None:
    produced = held([decision(), decision(weight=0.5)], [outcome()])
    assert produced.decisions.is_empty() and produced.outcomes.is_empty()
    assert [rule for rule, _ in reasons(produced)] == ["DECISION_QUARANTINED", *["DUPLICATE_DECISION"] * 2]


@pytest.mark.parametrize(
    ("changes", "rule", "value"),
    [
        ({"eval_date": date(2020, 3, 21)}, "AFTER_DATA_UNTIL", "eval_date=2020-03-21, horizon=1"),
        ({"eval_date": None, "horizon": 19}, "AFTER_DATA_UNTIL", "eval_date=null, horizon=19"),
        ({"decision_id": "d9"}, "ORPHAN_OUTCOME", "decision_id=d9"),
        ({"decision_id": None}, "ORPHAN_OUTCOME", "decision_id=null"),
        ({"horizon": 0}, "BAD_HORIZON", "horizon=0"),
        ({"horizon": None}, "BAD_HORIZON", "horizon=null"),
    ],
)
def test_an_outcome_that_cannot_be_is_left_out(changes: dict[str, Any], rule: str, value: str) -> None:
    produced = held([decision()], [outcome() | changes])
    assert produced.outcomes.is_empty() and (rule, value) in reasons(produced)


def test_an_outcome_that_tells_no_date_is_left_out_where_its_sessions_end_too_late() -> None:
    """Of six weekdays after Monday the 9th the sixth is the 17th; of ten the tenth is the 23rd, three days too late."""
    monday = date(2020, 3, 9)
    told = [outcome(day=None, horizon=horizon) for horizon in (6, 10)]
    made = held_to_task(TASK, frame(DECISIONS, [decision(day=monday)]), frame(OUTCOMES, told))
    produced = held_to_sessions(TASK, made, weekdays())
    assert made.outcomes.height == 2 and produced.outcomes.equals(made.outcomes.filter(horizon=6))
    assert reasons(produced) == [("AFTER_DATA_UNTIL", "due_date=2020-03-23, horizon=10")]


def test_an_outcome_that_tells_its_date_is_taken_at_its_word() -> None:
    told = Produced(frame(DECISIONS, [decision()]), frame(OUTCOMES, [outcome(day=DATA_UNTIL, horizon=40)]))
    assert held_to_sessions(TASK, told, weekdays(days=5)).outcomes.equals(told.outcomes)


@pytest.mark.parametrize(
    ("changes", "rule", "value"),
    [
        ({"eval_date": None}, "MISSING_FIELD", "eval_date=null"),
        ({"eval_date": date(2020, 3, 1)}, "EVAL_BEFORE_DECISION", "eval_date=2020-03-01"),
        ({"valid": None}, "MISSING_FIELD", "valid=null"),
        ({"return": NAN}, "NOT_FINITE", "return=NaN"),
        ({"pnl": 1e300}, "TOO_LARGE", "pnl=1e+300"),
        ({"event": 1.5}, "EVENT_RANGE", "event=1.5"),
        ({"hit": 0.3}, "HIT_VALUE", "hit=0.3"),
        ({"hard_violations": -1}, "NOT_A_COUNT", "hard_violations=-1"),
    ],
)
def test_an_outcome_with_a_bad_value_is_a_missing_one(changes: dict[str, Any], rule: str, value: str) -> None:
    produced = held([decision()], [outcome() | changes])
    row = produced.outcomes.row(0, named=True)
    assert reasons(produced) == [(rule, value)]
    assert row["valid"] is False and all(row[column] is None for column in OUTCOME_VALUES)


def test_the_same_outcome_told_twice_is_missing() -> None:
    produced = held([decision()], [outcome(), outcome(**{"return": 0.5})])
    assert produced.outcomes["valid"].to_list() == [False, False]
    assert [rule for rule, _ in reasons(produced)] == ["DUPLICATE_OUTCOME"] * 2


def test_upstreams_own_rows_may_leave_dates_to_the_calendar() -> None:
    late = decision(decided_at=at(date(2024, 1, 1)))
    produced = held_to_task(TASK, frame(DECISIONS, [late]), frame(OUTCOMES, [outcome(day=None)]))
    assert (produced.decisions.height, produced.outcomes.height, produced.rejected.height) == (1, 1, 0)


IDS = st.sampled_from(["a", "b", "c", "d", None])
DATES = st.none() | st.dates(date(2020, 2, 28), date(2020, 3, 24)) | st.dates()
MARKETS = st.sampled_from(["US_EQ", "EU_EQ", "JP_EQ", None])
FLOATS = st.none() | st.floats(0, 1) | st.floats()
HORIZONS = st.integers(1, 20) | st.integers(-(2**31), 2**31 - 1)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_every_row_is_given_or_rejected_and_what_is_given_keeps_the_task(data: st.DataObject) -> None:
    def some(values: st.SearchStrategy[Any]) -> Any:
        return data.draw(values)

    decisions = [
        decision(some(IDS), as_of_date=some(DATES), decided_at=at(END), market_id=some(MARKETS), weight=some(FLOATS))
        for _ in range(some(st.integers(0, 5)))
    ]
    outcomes = [
        outcome(some(IDS), eval_date=some(DATES), horizon=some(HORIZONS), recorded_at=None, event=some(FLOATS))
        for _ in range(some(st.integers(0, 5)))
    ]
    produced = held(decisions, outcomes)
    told = set(produced.rejected["source_key"].to_list())
    given_ids = produced.decisions["decision_id"].to_list()
    assert all(row["decision_id"] in given_ids or (row["decision_id"] or "") in told for row in decisions)
    assert len(given_ids) == len(set(given_ids)) and set(produced.outcomes["decision_id"].to_list()) <= set(given_ids)
    assert all(TASK.start <= day <= TASK.end for day in produced.decisions["as_of_date"])
    valid = produced.outcomes.filter("valid")
    assert all(day <= DATA_UNTIL for day in valid["eval_date"]) and valid["event"].is_between(0, 1).all()
    keys = {f"{row['decision_id'] or ''}/{row['horizon']}/" for row in outcomes}
    assert {key for key in told if "/" in key} <= keys
    assert len(outcomes) <= valid.height + sum("/" in key for key in produced.rejected["source_key"])
