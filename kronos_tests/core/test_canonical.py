"""One config, one text."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given

from kronos.core.canonical import canonical_hash, canonical_json
from kronos.errors import BadValue
from kronos_tests.configs import BODIES


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1}, {"a": Decimal("1.000")}),
        ({"a": 0}, {"a": -0.0}),
        ({"a": 100}, {"a": 1e2}),
        ({"a": {"x": [1, 2.50]}}, {"a": {"x": (1.0, 2.5)}}),
    ],
)
def test_ways_of_writing_one_config_share_a_hash(one: dict[str, object], other: dict[str, object]) -> None:
    assert canonical_hash(one) == canonical_hash(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": "1"}),
        ({"a": None}, {}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": 0.3}, {"a": 0.1 + 0.2}),
        ({"a": 10**40}, {"a": 10**40 + 1}),
    ],
)
def test_different_configs_differ(one: dict[str, object], other: dict[str, object]) -> None:
    assert canonical_hash(one) != canonical_hash(other)


def test_the_text_is_plain() -> None:
    body = {"b": [1.50, None, False], "a": "\n\u00e9\x7f", "c": 1e-7}
    assert canonical_json(body) == '{"a":"\\n\u00e9\x7f","b":[1.5,null,false],"c":0.0000001}'


@given(BODIES)
def test_the_text_read_back_has_the_same_text(body: dict[str, object]) -> None:
    text = canonical_json(body)
    assert canonical_json(json.loads(text)) == text


@pytest.mark.parametrize(
    "bad", [float("nan"), float("inf"), Decimal("sNaN"), object(), {1: 2}, "\0", "\ud800", {1, 2}, b"x"]
)
def test_what_json_cannot_hold_is_refused(bad: object) -> None:
    with pytest.raises(BadValue):
        canonical_hash({"a": bad})


@pytest.mark.parametrize(("base", "power", "size"), [(10, 400, "1e400"), (-10, 5001, "-1e5001"), (2, 1024, "1e308")])
def test_a_whole_number_that_no_double_holds_is_refused_by_its_size(base: int, power: int, size: str) -> None:
    """Python itself refuses to write the second one."""
    with pytest.raises(BadValue, match=f"config number has value about {size}: expected a finite number that a double"):
        canonical_json({"lookback": base**power})


def test_the_largest_double_is_held_in_full() -> None:
    largest = int(1.7976931348623157e308)
    assert canonical_json({"a": largest}) == f'{{"a":{largest}}}'
