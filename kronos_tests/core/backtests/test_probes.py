"""Probes: their dates, their tasks, and what counts as a decision that differs."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.core.backtests.probes import (
    NOTHING_COMPARED,
    Method,
    added,
    differing,
    last_decisions,
    probe_dates,
    probe_runs,
    report,
)
from kronos.core.backtests.spec import is_probe, tasks
from kronos.core.frames import DECISIONS
from kronos_tests.core.backtests.specs import END, EXPERIMENT, START, spec

DAY = date(2012, 5, 4)
PROBED = spec(probes=(DAY,))
TASK = list(tasks(PROBED))[-1]


def decisions(*rows: dict[str, Any]) -> pl.DataFrame:
    usual = {"config_id": "new", "market_id": "US_EQ", "entity_id": "A", "as_of_date": DAY, "weight": 0.5}
    return pl.DataFrame([{**usual, **row} for row in rows], schema=DECISIONS)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.dates(date(1990, 1, 1), date(2020, 1, 1)), st.integers(1, 9000), st.integers(0, 9), st.integers(0, 99))
def test_dates_rise_inside_the_backtest_one_in_each_part(start: date, days: int, count: int, seed: int) -> None:
    end = start + timedelta(days=days)
    found = probe_dates(start, end, count, seed)
    assert list(found) == sorted(set(found)) and all(start <= day < end for day in found)
    assert len(found) == count or days < 4 * count


def test_another_seed_probes_other_dates() -> None:
    assert probe_dates(START, END, 3, 1) != probe_dates(START, END, 3, 2)


def test_a_probe_is_a_piece_after_all_others_that_leaves_neighbours_out() -> None:
    pieces = [task.piece for task in tasks(PROBED)]
    assert pieces[-1] == "probe-001" and [is_probe(piece) for piece in pieces].count(True) == 1
    assert TASK.start == TASK.end == DAY and TASK.train_until < DAY and TASK.subjects == PROBED.subjects


def test_every_run_of_a_probe_has_a_stream_of_its_own() -> None:
    runs = probe_runs(TASK, 42)
    made = [runs.real, runs.another_future, runs.another_present, runs.longer, runs.cut]
    streams = {one.experiment_id for one in made}
    assert len(streams) == len(made) and all(one.startswith(f"{EXPERIMENT}/probe-001.") for one in streams)


def test_what_is_altered_is_after_the_date_or_up_to_it() -> None:
    runs = probe_runs(TASK, 42)
    future, present = runs.another_future.altered, runs.another_present.altered
    assert future is not None and present is not None and runs.real.altered is None
    assert future.start == DAY + timedelta(days=1) and future.end > TASK.data_until
    assert present.end == DAY and (DAY - present.start).days == 58


def test_a_cut_run_ends_with_its_data_and_is_compared_with_one_that_goes_on() -> None:
    runs = probe_runs(TASK, 42)
    assert runs.cut.end == runs.cut.data_until == DAY and runs.cut.start == runs.longer.start
    assert runs.longer.end > DAY and runs.longer.data_until == TASK.data_until


@pytest.mark.parametrize(
    "change",
    [{"weight": 0.6}, {"score": 1.0}, {"probability": 0.5}, {"class_probabilities": [0.5, 0.5]}],
)
def test_whatever_is_decided_otherwise_differs(change: dict[str, Any]) -> None:
    found = differing(decisions({}), decisions(change), DAY)["new"]
    assert (found["rows"], found["differing"], found["first"]) == (1, 1, "2012-05-04")


def test_comparisons_add_up_whole_and_by_market() -> None:
    one = {"rows": 3, "differing": 1, "first": "2012-05-04", "markets": {"US_EQ": [2, 0], "US_FUT": [1, 1]}}
    other = {"rows": 2, "differing": 1, "first": "2012-05-01", "markets": {"US_EQ": [2, 1]}}
    assert added(NOTHING_COMPARED, one) == one == added(one, NOTHING_COMPARED)
    both = {"rows": 5, "differing": 2, "first": "2012-05-01", "markets": {"US_EQ": [4, 1], "US_FUT": [1, 1]}}
    assert added(one, other) == added(other, one) == both


def test_ids_and_times_are_no_decision() -> None:
    found = differing(decisions({"decision_id": "1"}), decisions({"decision_id": "2", "experiment_id": "x"}), DAY)
    assert found["new"] == {"rows": 1, "differing": 0, "first": None, "markets": {"US_EQ": [1, 0]}}


def test_a_decision_that_only_one_run_made_differs() -> None:
    found = differing(decisions({}, {"entity_id": "B"}), decisions({}), DAY)["new"]
    assert (found["rows"], found["differing"]) == (2, 1)
    found = differing(decisions({}), decisions({"entity_id": "B"}), DAY)["new"]
    assert (found["rows"], found["differing"]) == (2, 2)


def test_what_differs_is_counted_by_market() -> None:
    there = decisions({}, {"market_id": "US_FUT"}, {"market_id": "US_FUT", "entity_id": "B"})
    other = decisions({}, {"market_id": "US_FUT", "weight": 0.1}, {"market_id": "US_IDX"})
    assert differing(there, other, DAY)["new"]["markets"] == {"US_EQ": [1, 0], "US_FUT": [2, 2], "US_IDX": [1, 1]}


def test_what_comes_after_the_date_does_not_count() -> None:
    later = {"as_of_date": DAY + timedelta(days=1)}
    found = differing(decisions({}, later), decisions({}, {**later, "weight": 0.1}), DAY)["new"]
    assert (found["rows"], found["differing"]) == (1, 0)


def test_the_last_decision_is_each_markets_own() -> None:
    before = DAY - timedelta(days=3)
    found = last_decisions(decisions({}, {"as_of_date": before}, {"market_id": "US_FUT", "as_of_date": before}), DAY)
    assert sorted(found.select("market_id", "as_of_date").rows()) == [("US_EQ", DAY), ("US_FUT", before)]


def test_what_is_kept_tells_counts_method_or_why_there_is_no_answer() -> None:
    counted = {"new": {"rows": 4, "differing": 1, "first": "2012-05-01", "markets": {"US_EQ": [4, 1]}}}
    answers = {
        "repeat": {"refused": "no"},
        "future": {"configs": counted, "method": Method.TRUNCATED.value},
    }
    assert report(["new", "idle"], DAY, answers) == {
        "new": {
            "day": "2012-05-04",
            "repeat": {"refused": "no"},
            "future": {**counted["new"], "method": "TRUNCATED"},
        },
        "idle": {
            "day": "2012-05-04",
            "repeat": {"refused": "no"},
            "future": {"rows": 0, "differing": 0, "first": None, "markets": {}, "method": "TRUNCATED"},
        },
    }
