"""Helpers: judged controls and suites of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from kronos.core.controls.outcomes import ControlOutcome, Expectation, Suite
from kronos.core.gates.model import Gate, GateVerdict

FAIL, INVALID, INCONCLUSIVE, PASS = (
    GateVerdict.FAIL,
    GateVerdict.INVALID,
    GateVerdict.INCONCLUSIVE,
    GateVerdict.PASS,
)
DONE = datetime(2020, 1, 6, 12, tzinfo=UTC)

INVERTED = Expectation(
    "inverted_signal",
    "IMPROVEMENT",
    (FAIL, INCONCLUSIVE),
    Gate.IMPROVEMENT,
    "all the other way",
    ("NOT_SHOWN", "WORSE"),
)
HOLES = Expectation(
    "data_holes", "INTEGRITY", (INVALID,), Gate.INTEGRITY, "a tenth of the dates is missing", ("COVERAGE",)
)
POSITIVE = Expectation("positive_edge", "POSITIVE", (PASS,), None, "better beyond doubt")


def name(text: str) -> UUID:
    return uuid5(NAMESPACE_OID, text)


def outcome(expected: Expectation, verdict: GateVerdict, *refused_by: Gate) -> ControlOutcome:
    """Its gate says the verdict, for a reason that is expected, when it is among those that refuse."""
    said = None if expected.gate is None else verdict if expected.gate in refused_by else PASS
    return ControlOutcome(
        expected, name("experiment"), name("verdict"), verdict, said, refused_by, expected.gate_reasons[:1]
    )


RIGHT = (
    outcome(INVERTED, FAIL, Gate.IMPROVEMENT, Gate.STRESS),
    outcome(HOLES, INVALID, Gate.INTEGRITY),
    outcome(POSITIVE, PASS),
)
LET_THROUGH = outcome(INVERTED, PASS)
MISSED = outcome(POSITIVE, INCONCLUSIVE, Gate.IMPROVEMENT)


def suite(*outcomes: ControlOutcome, **changes: Any) -> Suite:
    """A suite of REGIME in the second week of 2020."""
    wrong = [one for one in outcomes if not one.as_expected]
    values: dict[str, Any] = {
        "suite_id": name(repr(changes)),
        "engine_name": "REGIME",
        "period": "2020-W02",
        "seed": 1,
        "policy_digest": "policy",
        "code_version": "test",
        "outcomes": outcomes,
        "unexpected": sum(not one.expected.positive for one in wrong),
        "missed_positives": sum(one.expected.positive for one in wrong),
        "completed_at": DONE,
    }
    return Suite(**values | changes)
