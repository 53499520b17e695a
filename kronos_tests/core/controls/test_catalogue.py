"""The catalogue: closed, complete, and every name in it a control that can be made."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from kronos.core.canonical import canonical_hash
from kronos.core.controls.catalogue import BY_NAME, CATALOGUE, ControlFamily
from kronos.core.controls.model import (
    CONTROL_KEY,
    ControlTransform,
    IdenticalStream,
    StaleData,
    control_body,
    parsed_control,
    split_body,
)
from kronos.core.gates.advice import ADVICE
from kronos.core.gates.model import Gate, GateVerdict
from kronos.errors import BadValue
from kronos_tests.core.controls.engines import control

BODY = {"lookback": 20, "style": "momentum"}


def test_every_transform_is_in_the_catalogue_under_its_own_name() -> None:
    union, _ = get_args(ControlTransform)
    kinds = {one.model_fields["kind"].default for one in get_args(union)}
    assert kinds == {one.transform for one in CATALOGUE if one.transform is not None}
    assert all(one.transform in (None, one.name) for one in CATALOGUE) and len(BY_NAME) == len(CATALOGUE)


def test_every_family_has_a_control() -> None:
    assert {one.family for one in CATALOGUE} == set(ControlFamily)


def test_only_a_positive_control_may_pass() -> None:
    for one in CATALOGUE:
        assert (GateVerdict.PASS in one.expected) == one.positive == (one.family is ControlFamily.POSITIVE)


def test_every_negative_says_for_which_reasons_its_gate_has_to_refuse_it() -> None:
    for one in CATALOGUE:
        assert bool(one.gate_reasons) != one.positive and set(one.gate_reasons) <= set(ADVICE)


def test_integrity_controls_are_invalid_by_integrity() -> None:
    found = [one for one in CATALOGUE if one.family is ControlFamily.INTEGRITY]
    assert {(one.gate, one.expected) for one in found} == {(Gate.INTEGRITY, frozenset({GateVerdict.INVALID}))}


def test_an_engine_without_positions_is_told_why_a_control_is_not_its() -> None:
    lacking = {one.name for one in CATALOGUE if one.not_for(earns=False, alters=True)}
    assert lacking == {"levered_incumbent", "blacklist_ignored", "liquidity_ignored", "excessive_leverage"}
    assert not any(one.not_for(earns=True, alters=True) for one in CATALOGUE)


def test_stale_data_is_no_control_where_no_probe_could_show_it() -> None:
    assert [one.name for one in CATALOGUE if one.not_for(earns=True, alters=False)] == ["stale_data"]


@pytest.mark.parametrize("name", [one.name for one in CATALOGUE if one.transform is not None])
def test_a_body_gives_back_the_incumbents_and_the_transform(name: str) -> None:
    made = control_body(BODY, control(name))
    assert split_body(made, BODY) == (BODY, control(name)) and canonical_hash(made) != canonical_hash(BODY)


def test_an_exact_copy_is_the_incumbents_body() -> None:
    assert control_body(BODY, None) == BODY and split_body(BODY, BODY) == (BODY, None)


@pytest.mark.parametrize("own", [1, {"kind": "inverted_signal"}, {"kind": "nonsense"}])
@pytest.mark.parametrize("transform", [None, IdenticalStream()])
def test_what_the_incumbent_calls_control_is_its_engines(own: Any, transform: IdenticalStream | None) -> None:
    foreign = {**BODY, CONTROL_KEY: own, f"{CONTROL_KEY}_": 2}
    assert split_body(control_body(foreign, transform), foreign) == (foreign, transform)


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ({"kind": "stale_data", "lagg": 3}, "control.stale_data.lagg has value 3"),
        ({"kind": "stale_data", "lag": 0}, "control.stale_data.lag has value 0"),
        ({"kind": "upside_down"}, "control has value"),
        ("inverted_signal", "control has value 'inverted_signal'"),
    ],
)
def test_what_no_control_has_is_refused_by_name(raw: object, named: str) -> None:
    with pytest.raises(BadValue, match=named):
        parsed_control(raw)


def test_only_what_looks_back_needs_earlier_sessions() -> None:
    needing = {name for name in (one.transform for one in CATALOGUE) if name and control(name).lead_sessions}
    assert needing == {"stale_data", "broken_risk_aversion"} and StaleData(lag=5).lead_sessions == 5
