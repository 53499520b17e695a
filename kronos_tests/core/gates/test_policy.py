"""The gate policy: strictly parsed, and its error adds up."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronos.core.conventions import IMPROVEMENT_ALPHA
from kronos.core.gates.policy import CANARY, GatePolicy, ImprovementTerms, parse_gate_policy
from kronos.errors import BadValue

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown part": ({"improvment": {}}, "improvment"),
    "an unknown key": ({"improvement": {"alfa": 0.01}}, "improvement.alfa"),
    "a word for a number": ({"improvement": {"alpha": "low"}}, "improvement.alpha"),
    "NaN": ({"degradation": {"sharpe_margin": math.nan}}, "degradation.sharpe_margin"),
    "infinity": ({"stress": {"loss_ratio": math.inf}}, "stress.loss_ratio"),
    "a share above one": ({"validity": {"least_deflated_sharpe": 1.2}}, "validity.least_deflated_sharpe"),
    "a truth value for a number": ({"degradation": {"sharpe_margin": True}}, "degradation.sharpe_margin"),
    "a number for a truth value": ({"auto_approval": {"enabled": 1}}, "auto_approval.enabled"),
    "a number in quotes": ({"validity": {"least_deflated_sharpe": "0.9"}}, "validity.least_deflated_sharpe"),
    "no bound of turnover": ({"degradation": {"turnover_floor": math.inf}}, "degradation.turnover_floor"),
    "no bound of scores": ({"stress": {"score_floor": math.inf}}, "stress.score_floor"),
    "a suite that counts for ever": ({"promotion": {"suite_days": 3_000_000}}, "promotion.suite_days"),
    "evidence that never expires": ({"evidence": {"expires_days": 10**12}}, "evidence.expires_days"),
    "evidence that is never stale": ({"integrity": {"most_stale_days": 3_651}}, "integrity.most_stale_days"),
    "a word for names": ({"constraints": {"blacklist": CANARY}}, "constraints.blacklist"),
    "half a look": ({"improvement": {"most_looks": 2.5}}, "improvement.most_looks"),
    "an unknown probe": ({"integrity": {"probes": ["repeat", "luck"]}}, "integrity"),
    "no limits for the rest": ({"constraints": {"limits": {"US_EQ": {}}}}, "constraints"),
    "liquidity that a control cannot break": ({"constraints": {"liquidity": {"X": 0.1}}}, "constraints"),
    "a canary that is liquid": ({"constraints": {"liquidity": {"KRONOS:ILLIQUID": 0.1}}}, "constraints"),
    "a blacklist that a control cannot break": ({"constraints": {"blacklist": ["X"]}}, "constraints"),
    "slices longer than the whole": (
        {"evidence": {"least_dates": 100, "least_slice_dates": 200}}, "the whole"),
    "a budget below one experiment's error": (
        {"improvement": {"alpha": 0.05, "yearly_budget": 0.01}}, "the whole"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_its_value_and_what_is_expected(name: str) -> None:
    body, where = WRONG[name]
    with pytest.raises(BadValue, match=re.escape(f"gate policy {where}")):
        parse_gate_policy(body)


@pytest.mark.parametrize("body", [[1], None, "policy", 7])
def test_what_is_no_object_is_no_policy(body: Any) -> None:
    with pytest.raises(BadValue, match=re.escape(f"gate policy has value {body!r}: expected a JSON object")):
        parse_gate_policy(body)


def test_what_is_stored_parses_to_the_same_policy() -> None:
    body = json.loads(json.dumps(GatePolicy().model_dump(mode="json")))
    assert parse_gate_policy(body) == GatePolicy()


def test_a_whole_number_may_stand_for_any_number() -> None:
    found = parse_gate_policy({"degradation": {"sharpe_margin": 1, "drawdown_ratio": 2}}).degradation
    assert (found.sharpe_margin, found.drawdown_ratio) == (1.0, 2.0)


def test_an_empty_body_is_the_default() -> None:
    assert parse_gate_policy({}) == GatePolicy() and CANARY in GatePolicy().constraints.blacklist


@given(st.integers(1, 50), st.floats(0.01, 1.0), st.floats(1e-4, 0.2))
def test_the_levels_of_all_looks_add_up_to_alpha(looks: int, share: float, alpha: float) -> None:
    terms = ImprovementTerms(alpha=alpha, most_looks=looks, first_share=share, yearly_budget=1.0)
    spent = sum(terms.level_of(look) for look in range(looks + 2))
    assert spent == pytest.approx(alpha) and terms.level_of(looks + 1) == 0.0 == terms.level_of(0)


def test_the_default_level_is_the_one_that_was_simulated() -> None:
    assert GatePolicy().improvement.alpha == IMPROVEMENT_ALPHA
