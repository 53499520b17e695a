"""What an approval is of: every difference is said, and whatever changes, the digest changes."""

from __future__ import annotations

from typing import Any

import pytest

from kronos.core.canonical import canonical_json
from kronos.core.changes.approval import ApprovalSubject, approval_content, approval_digest, config_changes

SUBJECT: dict[str, Any] = {
    "experiment_id": "e",
    "engine_name": "REGIME",
    "scope": "*",
    "proposed_config_id": "p",
    "proposed_body": {"window": 21},
    "incumbent": "i",
    "incumbent_body": {"window": 20},
    "evidence_digest": "0" * 64,
    "policy_digest": "1" * 64,
}


@pytest.mark.parametrize(
    ("base", "proposed", "expected"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": 2}, [{"path": ["a"], "base": 1, "proposed": 2}]),
        ({"a": None}, {}, [{"path": ["a"], "base": None}]),
        ({}, {"a": None}, [{"path": ["a"], "proposed": None}]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [{"path": ["a", "c"], "base": 2, "proposed": 3}]),
        ({"a": {}}, {"a": []}, [{"path": ["a"], "base": {}, "proposed": []}]),
        ({"a": {}}, {"a": {}}, []),
        ({"a.b": 1}, {"a": {"b": 1}}, [{"path": ["a"], "proposed": {"b": 1}}, {"path": ["a.b"], "base": 1}]),
        ({"a": [1, 2]}, {"a": [2, 1]}, [{"path": ["a"], "base": [1, 2], "proposed": [2, 1]}]),
    ],
)
def test_every_difference_is_said(base: Any, proposed: Any, expected: list[Any]) -> None:
    assert sorted(config_changes(base, proposed), key=canonical_json) == sorted(expected, key=canonical_json)


@pytest.mark.parametrize("name", sorted(SUBJECT))
def test_whatever_changes_the_digest_changes(name: str) -> None:
    other = {"x": 1} if name.endswith("body") else "another"
    assert approval_digest(ApprovalSubject(**SUBJECT)) != approval_digest(ApprovalSubject(**{**SUBJECT, name: other}))


def test_without_an_incumbent_every_parameter_is_a_change() -> None:
    first = ApprovalSubject(**{**SUBJECT, "incumbent": None, "incumbent_body": None, "policy_digest": None})
    assert approval_content(first)["changes"] == [{"path": ["window"], "proposed": 21}]
