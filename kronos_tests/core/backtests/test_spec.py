"""What a backtest is: folds that cover its dates, digests of all it says, and pieces in one order."""

from __future__ import annotations

import json
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kronos.core.backtests.spec import (
    REPLAY,
    BacktestSpec,
    Fold,
    Subject,
    SubjectRole,
    Task,
    count_folds,
    count_pieces,
    experiment_of,
    scenario_of,
    stream_of,
    tasks,
    walk_forward,
)
from kronos.core.canonical import canonical_hash, canonical_json
from kronos.core.controls.model import ExcessiveLeverage, IdenticalStream
from kronos.core.scenarios.battery import Battery
from kronos.errors import BadValue
from kronos_tests.core.backtests.specs import BATTERY, CRISIS, END, EXPERIMENT, GRIND, START, spec

many = settings(max_examples=200, deadline=None, derandomize=True)
few = settings(max_examples=60, deadline=None, derandomize=True)

DAY = timedelta(days=1)
MONTHS = st.integers(1, 60)
DATES = st.lists(st.dates(date(1960, 1, 1), date(2060, 12, 31)), min_size=2, max_size=2).map(sorted)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    LEAVES | st.text("abé ", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", max_size=3), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(st.text("abc_", min_size=1, max_size=4), JSON, max_size=4)


def month_number(day: date) -> int:
    return day.year * 12 + day.month


@many
@given(DATES, MONTHS, st.integers(0, 400))
def test_folds_cover_every_date_once_and_in_order(dates: list[date], months: int, embargo: int) -> None:
    start, end = dates
    folds = walk_forward(start, end, months, embargo)
    assert (folds[0].start, folds[-1].end) == (start, end)
    assert all(after.start == before.end + DAY for before, after in pairwise(folds))
    assert all(fold.start <= fold.end for fold in folds)


@many
@given(DATES, MONTHS)
def test_folds_are_whole_calendar_months_but_at_the_two_ends(dates: list[date], months: int) -> None:
    folds = walk_forward(*dates, months, 0)
    lengths = [month_number(fold.end) - month_number(fold.start) + 1 for fold in folds]
    assert lengths[:-1] == [months] * (len(folds) - 1) and 1 <= lengths[-1] <= months
    assert all(fold.start.day == 1 for fold in folds[1:])


@many
@given(DATES, MONTHS)
def test_folds_can_be_counted_without_making_them(dates: list[date], months: int) -> None:
    assert count_folds(*dates, months) == len(walk_forward(*dates, months, 31))


@many
@given(DATES, MONTHS, st.integers(0, 400))
def test_whatever_is_fitted_for_a_fold_has_the_whole_embargo_before_it(
    dates: list[date], months: int, embargo: int
) -> None:
    for fold in walk_forward(*dates, months, embargo):
        assert fold.start - fold.train_until == (embargo + 1) * DAY


@many
@given(DATES, MONTHS, st.integers(0, 2000))
def test_a_later_end_changes_no_fold_but_the_last(dates: list[date], months: int, more: int) -> None:
    start, end = dates
    folds = walk_forward(start, end, months, 31)
    longer = walk_forward(start, end + more * DAY, months, 31)
    assert longer[: len(folds) - 1] == folds[:-1] and longer[len(folds) - 1].start == folds[-1].start


def test_a_single_day_is_one_fold() -> None:
    assert walk_forward(START, START, 24, 31) == (Fold(start=START, end=START, train_until=date(2010, 2, 11)),)


def test_two_years_a_fold_from_the_middle_of_a_month() -> None:
    folds = walk_forward(START, END, 24, 31)
    assert [(fold.start, fold.end) for fold in folds] == [
        (date(2010, 3, 15), date(2012, 2, 29)),
        (date(2012, 3, 1), date(2014, 2, 28)),
        (date(2014, 3, 1), date(2014, 9, 30)),
    ]


@pytest.mark.parametrize(
    ("start", "end", "months", "embargo", "named"),
    [
        (END, START, 24, 31, "end of a backtest has value '2010-03-15': expected a date not before its start"),
        (START, END, 0, 31, "months and embargo of a fold has value \\(0, 31\\): expected at least 1 month"),
        (START, END, 24, -1, "months and embargo of a fold has value \\(24, -1\\)"),
    ],
)  # fmt: skip
def test_folds_that_cannot_be_are_refused(start: date, end: date, months: int, embargo: int, named: str) -> None:
    with pytest.raises(BadValue, match=named):
        walk_forward(start, end, months, embargo)


@few
@given(DATES, BODIES, st.integers(0, 2**63))
def test_a_spec_survives_json_with_its_digest(dates: list[date], body: dict[str, Any], seed: int) -> None:
    folds = walk_forward(*dates, 24, 31)
    one = spec(
        start=dates[0], end=dates[1], folds=folds, seed=seed, subjects=(Subject(config_id="a", config_body=body),)
    )
    as_text = BacktestSpec.model_validate_json(one.model_dump_json())
    as_stored = BacktestSpec.model_validate(json.loads(json.dumps(one.model_dump(mode="json"), sort_keys=True)))
    assert as_text == as_stored == one
    assert as_text.digest == as_stored.digest == one.digest


def test_the_digest_of_a_spec_is_fixed() -> None:
    """Also of those kept before a spec said how rows are observed and what its runner is."""
    assert spec().digest == "b676ff45d55e0564261c3f433471017980dcd8fce657a37c7aa445bd98571e9d"


def test_a_spec_that_was_kept_before_it_had_its_newest_fields_is_read_as_what_it_was() -> None:
    kept = spec().model_dump(mode="json", exclude={"observed_as", "runner_is"})
    assert BacktestSpec.model_validate(kept).digest == spec().digest == canonical_hash(kept)


OTHER: dict[str, Any] = {
    "experiment_id": "another",
    "engine_name": "REGIME",
    "runner": "prometheus_api",
    "markets": ("US_ETF", "US_EQ"),
    "start": START - DAY,
    "end": END + DAY,
    "subjects": spec().subjects[::-1],
    "incumbent": None,
    "folds": walk_forward(START, END, 24, 30),
    "battery": Battery(scenarios=BATTERY.scenarios, seed=12),
    "seed": 8,
    "probes": (START,),
    "freshness_sessions": 21,
    "left_out": {"new~lookback=0": "too short"},
    "observed_as": "a" * 64,
    "runner_is": "b" * 64,
}
"""Every field of a spec with another value."""


def test_every_field_of_a_spec_has_another_value_below() -> None:
    assert set(OTHER) == set(BacktestSpec.model_fields)


@pytest.mark.parametrize("field", OTHER)
def test_every_field_is_in_the_digest(field: str) -> None:
    assert spec(**{field: OTHER[field]}).digest != spec().digest


@pytest.mark.parametrize(
    "changed",
    [
        {"config_id": "x"},
        {"config_body": {"lookback": 21, "gross": 0.5}},
        {"roles": (SubjectRole.PROPOSED,)},
        {"control": IdenticalStream()},
    ],
)
def test_so_is_what_a_config_is(changed: dict[str, Any]) -> None:
    first, *others = spec().subjects
    assert spec(subjects=(first.model_copy(update=changed), *others)).digest != spec().digest


def test_how_a_config_is_written_makes_no_other_backtest() -> None:
    _, *others = spec().subjects
    same = Subject(config_id="new", config_body={"gross": 0.50, "lookback": 20.0})
    assert spec(subjects=(same, *others)).digest == spec().digest


def test_the_replay_comes_fold_by_fold_and_then_every_scenario_that_is_played() -> None:
    assert [task.piece for task in tasks(spec())] == [
        "fold-001", "fold-002", "fold-003", "scenario-slow-grind", "scenario-crisis",
    ]  # fmt: skip


def test_a_fold_is_played_as_it_happened() -> None:
    for task, fold in zip(tasks(spec()), spec().folds, strict=False):
        assert (task.start, task.end, task.train_until) == (fold.start, fold.end, fold.train_until)
        assert (task.scenario, task.scenario_seed, task.experiment_id) == (None, 0, EXPERIMENT)


def test_a_scenario_is_played_over_all_dates_with_the_batterys_seed() -> None:
    grind, crisis = list(tasks(spec()))[3:]
    assert (grind.scenario, crisis.scenario) == (GRIND, CRISIS)
    for task in (grind, crisis):
        assert (task.start, task.end, task.scenario_seed) == (START, END, 11)
        assert task.train_until == START - 32 * DAY
    assert crisis.experiment_id == f"{EXPERIMENT}/crisis"


def test_every_piece_has_the_specs_configs_markets_seed_and_end_of_data() -> None:
    one = spec()
    for task in tasks(one):
        assert (task.subjects, task.markets, task.engine_name) == (one.subjects, one.markets, "PORTFOLIO")
        assert (task.seed, task.data_until) == (7, END)


def test_neighbours_are_run_in_the_replay_alone() -> None:
    near = Subject(config_id="new~lookback=22", config_body={"lookback": 22}, roles=(SubjectRole.NEIGHBOUR,))
    one = spec(subjects=(*spec().subjects, near), probes=(START,))
    assert [task.piece for task in tasks(one) if near in task.subjects] == ["fold-001", "fold-002", "fold-003"]


def test_pieces_can_be_counted_before_there_is_a_spec() -> None:
    one = spec(probes=(START, END))
    assert count_pieces(START, END, 24, BATTERY, 2) == len(list(tasks(one)))


def test_a_config_may_be_base_and_incumbent() -> None:
    one = Subject(config_id="a", config_body={}, roles=(SubjectRole.BASE, SubjectRole.INCUMBENT))
    assert one.role == "base and incumbent" and not one.is_neighbour


def test_a_control_survives_how_the_database_writes_numbers() -> None:
    one = Subject(config_id="a", config_body={}, control=ExcessiveLeverage(factor=3.0))
    assert Subject.model_validate(json.loads(canonical_json(one.model_dump(mode="json")))) == one


@few
@given(DATES, MONTHS, st.sets(st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True), max_size=4))
def test_no_two_pieces_share_a_name_and_no_scenario_a_stream(dates: list[date], months: int, names: set[str]) -> None:
    played = tuple(CRISIS.model_copy(update={"name": name}) for name in sorted(names))
    folds = walk_forward(*dates, months, 31)
    found = list(tasks(spec(start=dates[0], end=dates[1], folds=folds, battery=Battery(scenarios=played))))
    assert len({task.piece for task in found}) == len(found) == len(folds) + len(names)
    assert {scenario_of(task.piece) for task in found} == {None, *names}
    assert len({task.experiment_id for task in found}) == 1 + len(names)


@pytest.mark.parametrize("number", [0, 4])
def test_a_task_survives_json(number: int) -> None:
    task = list(tasks(spec()))[number]
    assert Task.model_validate_json(task.model_dump_json()) == task
    assert Task.model_validate(json.loads(json.dumps(task.model_dump(mode="json")))) == task


@few
@given(st.uuids().map(str), st.just(REPLAY) | st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True))
def test_an_experiment_is_found_again_in_its_stream(experiment_id: str, scenario: str) -> None:
    stream = stream_of(experiment_id, scenario)
    assert experiment_of(stream) == experiment_id
    assert (stream == experiment_id) == (scenario == REPLAY)


@pytest.mark.parametrize("changes", [{"subjects": ()}, {"folds": ()}, {"seed": -1}, {"market": "US_EQ"}])
def test_a_spec_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec(**changes)
