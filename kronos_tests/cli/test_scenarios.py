"""The table of scenarios: whose numbers it shows, and which."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from rich.console import Console

from kronos.cli.render_backtests import print_scenarios
from kronos.core.changes.model import PeriodResult
from kronos.core.vocabulary import EvidenceLabel

NEW: Mapping[str, Any] = {"metrics": {"sharpe": 1.5, "max_dd": -0.09}}
ACTIVE: Mapping[str, Any] = {"metrics": {"sharpe": 0.5, "max_dd": -0.2}}
BASE: Mapping[str, Any] = {"metrics": {"sharpe": 0.1, "max_dd": -0.3}}


def printed(beside: Mapping[str, str], **configs: Mapping[str, Any]) -> str:
    """The table of one scenario. beside: role by config."""
    scenario = {"what": "1987", "configs": configs}
    detail = {
        "beside": {name: {"metrics": {}, "role": role} for name, role in beside.items()},
        "scenarios": {"crash": scenario},
    }
    whole = PeriodResult(
        experiment_id=uuid4(),
        period_start=date(2010, 1, 4),
        period_end=date(2019, 12, 31),
        metrics={"sharpe": 1.0, "max_dd": -0.1},
        by_regime={},
        by_market={},
        by_stability_bucket={},
        detail=detail,
        evidence=EvidenceLabel.HUMAN_TRIGGERED,
        attempt=1,
        provenance={},
        recorded_at=datetime(2020, 1, 2, tzinfo=UTC),
    )
    with Console(file=StringIO(), width=200) as console, console.capture() as shown:
        print_scenarios(whole, console)
    return " ".join(shown.get().split())


def test_beside_the_proposed_config_stands_the_incumbent_not_the_base() -> None:
    shown = printed({"a-base": "base", "b-active": "incumbent"}, new=NEW, **{"a-base": BASE, "b-active": ACTIVE})
    assert "1.5 (0.5)" in shown and "in brackets b-active" in shown


def test_without_an_incumbent_it_is_the_base() -> None:
    assert "1.5 (0.1)" in printed({"a-base": "base"}, new=NEW, **{"a-base": BASE})


@pytest.mark.parametrize("found", [{"refused": "decided nothing"}, {"metrics": {}}])
def test_a_number_it_lacks_is_nobody_elses(found: Mapping[str, Any]) -> None:
    shown = printed({"a-base": "base", "b-active": "incumbent"}, new=NEW, **{"a-base": BASE, "b-active": found})
    assert "1.5 (-)" in shown and "-0.09 (-)" in shown


def test_the_drawdown_is_the_one_that_is_judged() -> None:
    """Of an engine whose horizon is of several sessions: what single sessions lost."""
    judged = {**NEW, "wealth": {"metrics": {"max_dd": -0.4, "sharpe": 9.0}}}
    lost = {**ACTIVE, "wealth": {"refused": "no outcomes of single sessions"}}
    shown = printed({"b-active": "base and incumbent"}, new=judged, **{"b-active": lost})
    assert "-0.4 (-)" in shown and "1.5 (0.5)" in shown
