"""Evidence packs to judge: ten years of a config with a true edge, faultless until a test breaks something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from kronos.core.gates.calibration import world_evidence
from kronos.core.gates.evidence import GateEvidence, ScenarioLoss
from kronos.core.gates.judge import judge
from kronos.core.gates.model import Finding, Gate, Judged
from kronos.core.gates.policy import GatePolicy
from kronos.core.gates.worlds import Truth, worlds
from kronos.core.reports.comparison_gaps import Daily
from kronos.core.reports.comparison_model import OVERALL_SLICE
from kronos.core.stats.bootstrap import Drawing, draw

FEW = GatePolicy.model_validate({"improvement": {"resamples": 1000}})
"""Enough resamples for verdicts that are not close."""


@cache
def good() -> GateEvidence:
    """A config with an active information ratio of 4 over ten years: every gate lets it through."""
    values = next(worlds(Truth(candidates=3, active_ratio=4.0), 1, np.random.default_rng(7)))
    found = world_evidence(values, "c1", np.random.default_rng(8))
    calm = ScenarioLoss("calm", "a scenario", 0.1, 0.2)
    return replace(found, scenarios=(calm,))


@cache
def forecasts() -> GateEvidence:
    """The same of an engine that only forecasts: daily scores, the config's a tenth lower."""
    rng = np.random.default_rng(9)
    theirs = 0.2 + 0.02 * rng.standard_normal(2520)
    pack = good()
    mine = 0.9 * theirs + 0.004 * rng.standard_normal(2520)
    series = {name: _scored(pack, name, mine) for name in ("c1", *pack.neighbours)}
    series["incumbent"] = _scored(pack, "incumbent", theirs)
    return replace(
        pack, metric="brier", series=series, wealth={}, costs={}, turnovers={}, others=(), live=None,
        scenarios=(ScenarioLoss("calm", "a scenario", 0.18, 0.2),), earns=False,
    )  # fmt: skip


def _scored(pack: GateEvidence, name: str, values: np.ndarray[Any, Any]) -> dict[str, Daily]:
    days = pack.series["incumbent"][OVERALL_SLICE].days
    regimes = {
        one: Daily(daily.days, values[np.isin(days, daily.days)])
        for one, daily in pack.series["incumbent"].items()
        if one != OVERALL_SLICE
    }
    return {OVERALL_SLICE: Daily(days, values), **regimes}


def judged(pack: GateEvidence, policy: GatePolicy = FEW) -> Judged:
    """The verdict with resamples that do not depend on what is drawn elsewhere."""
    return judge(pack, policy, drawn(policy.improvement.resamples))


@cache
def drawn(resamples: int) -> Drawing:
    """A drawing that remembers: the same dates and blocks give the same resamples."""
    return cache(lambda n, length: draw(n, length, rng=np.random.default_rng(3), resamples=resamples))


def finding(pack: GateEvidence, gate: Gate, reason: str, policy: GatePolicy = FEW) -> Finding:
    """The finding of a gate with that reason; an assertion that there is one."""
    found = judged(pack, policy).of(gate).findings
    named = [one for one in found if one.reason == reason]
    assert named, [one.reason for one in found]
    return named[0]


def with_returns(pack: GateEvidence, **changed: np.ndarray[Any, Any]) -> GateEvidence:
    """The pack with other overall series of some configs; returns and wealth alike."""
    days = pack.series["incumbent"][OVERALL_SLICE].days
    series = dict(pack.series)
    for name, values in changed.items():
        series[name] = {**series[name], OVERALL_SLICE: Daily(days, values)}
    return replace(pack, series=series, wealth=series if pack.wealth else {})


def overall(pack: GateEvidence, name: str) -> np.ndarray[Any, Any]:
    """A copy of a config's overall series."""
    return pack.series[name][OVERALL_SLICE].values.copy()


def policy(changes: Mapping[str, Any]) -> GatePolicy:
    """The default policy, with few resamples, changed."""
    body = FEW.model_dump(mode="json")
    for part, terms in changes.items():
        body[part] = {**body[part], **terms}
    return GatePolicy.model_validate(body)


def holes(pack: GateEvidence) -> GateEvidence:
    """A tenth of the config's outcomes is missing."""
    values = overall(pack, "c1")
    values[::10] = np.nan
    return with_returns(pack, c1=values)


def deep_fall(pack: GateEvidence) -> GateEvidence:
    """A crash of the config alone: half of its capital within a fortnight."""
    values = overall(pack, "c1")
    values[1000:1010] = -0.07
    return with_returns(pack, c1=values)
