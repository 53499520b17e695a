"""What may be asked of an experiment: every value that cannot be is refused with name, value and expectation."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from kronos.core.changes.request import (
    DEEPEST_CONFIG,
    LONGEST_TEXT,
    CheckedRequest,
    EngineDates,
    ExperimentRequest,
    checked,
    checked_dates,
    config_body,
    person,
    text,
)
from kronos.core.vocabulary import ExpectedOutcome, ResourceClass
from kronos.errors import BadValue

DATA = (date(2000, 1, 3), date(2017, 12, 29))
LIVE = (date(2010, 1, 4), date(2016, 12, 30))


def _checked(*, auto_generated: bool = False, **changes: Any) -> CheckedRequest:
    values: dict[str, Any] = {
        "engine_name": "REGIME",
        "base_config_id": "base",
        "proposed_config": {"window": 20},
        "description": " a shorter window ",
    }
    return checked(ExperimentRequest(**values | changes), EngineDates(DATA, LIVE), 0.5, auto_generated=auto_generated)


def test_defaults_are_the_live_decisions_and_the_path() -> None:
    asked = _checked()
    assert (asked.start_date, asked.end_date, asked.priority) == (*LIVE, 5)
    assert (asked.resource_class, asked.expected_outcome) == (ResourceClass.CPU_HEAVY, ExpectedOutcome.CANDIDATE)
    assert (asked.description, asked.hoped_ratio) == ("a shorter window", 0.5)


def test_dates_asked_for_may_be_any_of_the_data() -> None:
    asked = _checked(start_date=DATA[0], end_date=DATA[1])
    assert (asked.start_date, asked.end_date) == DATA
    assert _checked(start_date=DATA[0]).end_date == LIVE[1]


def test_without_live_decisions_both_dates_have_to_be_asked_for() -> None:
    dates = EngineDates(DATA, None)
    assert checked_dates(*LIVE, dates) == LIVE
    for asked, said in (((None, LIVE[1]), "start date"), ((LIVE[0], None), "end date")):
        with pytest.raises(
            BadValue, match=f"{said} has value None: expected a date from 2000-01-03 to 2017-12-29: the"
        ):
            checked_dates(*asked, dates)


@pytest.mark.parametrize(
    ("auto_generated", "outcome", "priority"),
    [
        (False, "CANDIDATE", 5),
        (True, "CANDIDATE", 3),
        (True, "BASELINE", 3),
        (False, "NEGATIVE_CONTROL", 9),
        (True, "POSITIVE_CONTROL", 9),
    ],
)
def test_the_default_priority_is_that_of_the_path(auto_generated: bool, outcome: str, priority: int) -> None:
    assert _checked(auto_generated=auto_generated, expected_outcome=outcome).priority == priority


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("priority", 11, "priority has value 11: expected a whole number from 0"),
        ("priority", -1, "priority has value -1"),
        ("priority", True, "priority has value True"),
        ("priority", 2.0, "priority has value 2.0"),
        ("resource_class", "TPU", "resource class has value 'TPU': expected one of CPU_HEAVY, GPU_HEAVY, MIXED"),
        ("expected_outcome", "candidate", "expected outcome has value 'candidate': expected one of BASELINE"),
        ("start_date", date(1999, 12, 31), "start date has value '1999-12-31': expected a date the data covers"),
        ("end_date", date(2018, 1, 2), "2000-01-03 to 2017-12-29"),
        ("start_date", "2001-01-01", "start date has value '2001-01-01': expected a date"),
        ("end_date", datetime(2001, 1, 1), "expected a date"),  # noqa: DTZ001 - any datetime is refused
        ("proposed_config", [1], r"config body has value \[1\]: expected an object"),
        ("proposed_config", None, "config body has value None: expected an object"),
        ("proposed_config", {"x": float("nan")}, "config number has value nan"),
        ("proposed_config", {"x": {1, 2}}, "what JSON can hold"),
        ("proposed_config", {1: 2}, "config key has value 1"),
        ("proposed_config", {"x": "a\0b"}, "without NUL"),
        ("description", "  ", "description has value '  ': expected a text of 1"),
        ("description", None, "description has value None"),
        ("description", "x\0", "without NUL"),
        ("hoped_ratio", 0.0, "hoped-for information ratio has value 0.0: expected a number from 0.001 to 100"),
        ("hoped_ratio", 1e-300, "has value 1e-300"),
        ("hoped_ratio", 10**400, "has value about 1e400"),
        ("hoped_ratio", float("nan"), "has value nan"),
    ],
)
def test_what_cannot_be_is_refused_with_name_value_and_expectation(name: str, value: object, said: str) -> None:
    with pytest.raises(BadValue, match=said):
        _checked(**{name: value})


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(BadValue, match="end date has value '2005-01-03': expected a date not before the start date"):
        _checked(start_date=date(2006, 1, 3), end_date=date(2005, 1, 3))


def test_one_day_is_a_period() -> None:
    assert _checked(start_date=date(2006, 1, 3), end_date=date(2006, 1, 3)).end_date == date(2006, 1, 3)


def _nested(levels: int) -> dict[str, Any]:
    body: Any = 1
    for level in range(levels):
        body = {"a": body} if level % 2 else {"a": [body]}
    return {"a": body}


@pytest.mark.parametrize("levels", [DEEPEST_CONFIG, 100_000])
def test_a_bottomless_config_is_refused(levels: int) -> None:
    with pytest.raises(BadValue, match="depth of the config body"):
        config_body(_nested(levels))


def test_a_nested_config_is_taken() -> None:
    assert config_body(_nested(10)) == _nested(10)


def test_a_huge_config_is_refused() -> None:
    with pytest.raises(BadValue, match="length of the config body"):
        config_body({"x": "y" * 1_000_000})


@pytest.mark.parametrize("name", ["Kronos", "kronos", " KRONOS ", "", "\n", "a\nb", "x" * 201])
def test_nobody_signs_as_kronos_or_as_no_one(name: str) -> None:
    with pytest.raises(BadValue, match="author"):
        person(name)


def test_an_author_is_taken_without_blanks_around_it() -> None:
    assert person(" Zoë O'Neill ") == "Zoë O'Neill"


def test_a_long_text_is_not_repeated_in_the_error() -> None:
    with pytest.raises(BadValue) as refused:
        text("reason", "x" * (LONGEST_TEXT + 1))
    assert len(str(refused.value)) < 200
