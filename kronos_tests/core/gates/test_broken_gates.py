"""Gates broken on purpose: a negative control shows each, over ten simulated years (the sandbox's: `make prove`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Final

import polars as pl
import pytest

from kronos.core.controls.catalogue import BY_NAME
from kronos.core.controls.suite import expectation_of
from kronos.core.gates.constraints import recomputed
from kronos.core.gates.evidence import Actions, GateEvidence, Probe
from kronos.core.gates.judge import judge
from kronos.core.gates.policy import GatePolicy
from kronos_tests.broken_gates import BROKEN, caught, loosened_policy
from kronos_tests.core.gates.packs import FEW, deep_fall, good, holes, overall, with_returns

Control = Callable[[GatePolicy], GateEvidence]


def _inverted(_: GatePolicy) -> GateEvidence:
    return with_returns(good(), c1=2.0 * overall(good(), "incumbent") - overall(good(), "c1"))


def _knowing(_: GatePolicy) -> GateEvidence:
    return replace(good(), probes={**good().probes, "future": Probe(100, 40, "ALTERED")})


def _levered(policy: GatePolicy) -> GateEvidence:
    """Limits are held against the decisions when the evidence is read."""
    held = {"market_id": ["SIM"], "entity_id": ["a"], "as_of_date": [date(2011, 1, 3)], "weight": [3.0]}
    return replace(
        good(), actions=Actions(1, recomputed(pl.DataFrame(held), "SIMULATED", policy.constraints, earns=True))
    )


CONTROLS: Final[dict[str, Control]] = {
    "inverted_signal": _inverted,
    "data_holes": lambda _: holes(good()),
    "look_ahead": _knowing,
    "broken_risk_aversion": lambda _: deep_fall(good()),
    "excessive_leverage": _levered,
    "positive_edge": lambda _: good(),
}


@cache
def shown_by(broken: str | None) -> dict[str, str]:
    """Controls that are not as expected under gates that are broken so; None: whole."""
    read_under = loosened_policy("limits", FEW) if broken == "threshold-loosened-limits" else FEW
    packs = [(expectation_of(BY_NAME[name]), make(read_under)) for name, make in CONTROLS.items()]
    return caught(BROKEN[broken] if broken else judge, packs, FEW)


def test_whole_gates_answer_every_control_as_expected() -> None:
    assert shown_by(None) == {}


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_gates_are_shown_by_a_negative_control(broken: str) -> None:
    assert set(shown_by(broken)) - {"positive_edge"}


@pytest.mark.parametrize(
    ("broken", "control"),
    [
        ("threshold-loosened-coverage", "data_holes"),
        ("threshold-loosened-probes", "look_ahead"),
        ("threshold-loosened-risk", "broken_risk_aversion"),
        ("threshold-loosened-limits", "excessive_leverage"),
        ("sign-flipped", "positive_edge"),
        ("metric-fed-nan", "positive_edge"),
        ("improvement-removed", "inverted_signal"),
    ],
)
def test_what_no_longer_guards_is_shown_by_the_control_it_guarded_against(broken: str, control: str) -> None:
    assert control in shown_by(broken)
