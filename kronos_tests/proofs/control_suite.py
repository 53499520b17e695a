"""Every control of every sandbox engine gets its right verdict under the default policy, and broken gates are caught.

The whole way, without Dagster: the sandbox's full history, the active configs, the real runner in its child process,
battery, cells, judge and record; three seeds for each engine. Gates broken on purpose judge the same evidence again:
each has to be shown up by a control. A part takes the whole history anew, so that none rests on another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kronos.core.controls.catalogue import CATALOGUE
from kronos.core.controls.outcomes import Expectation, Suite
from kronos.core.gates.evidence import GateEvidence
from kronos.core.gates.policy import GatePolicy
from kronos.services.experiments import find_experiment
from kronos.services.gate_evidence import gate_evidence, observed_now, read_backtest
from kronos.services.gate_policies import gate_policy
from kronos_tests.broken_gates import BROKEN, caught, loosened_policy
from kronos_tests.suites import Sandbox, sandbox, wrong

CASES: Final = ["ASSESSMENT", "PORTFOLIO", "REGIME", "STABILITY", "UNIVERSE"]
PARTS: Final = 3
"""Seeds; the broken gates judge the evidence of the first."""
NOT_SHOWN: Final = {engine: {"threshold-loosened-limits"} for engine in ("REGIME", "STABILITY")}
"""Breaks that an engine cannot show: one that holds no positions has no control of their limits."""


def part(case: str, number: int) -> dict[str, Any]:
    """One engine's suite with a seed of its own."""
    with sandbox() as world:
        suite = world.suite(case, number + 1)
        return {
            "controls": {one.expected.control: one.why for one in suite.outcomes},
            "not_as_expected": wrong([suite]),
            "broken_gates_shown_by": _shown(world, suite) if number == 0 else {},
        }


def judge(case: str, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every control as expected with every seed, and every break shown by one that closes the latch: a negative."""
    missed = [one["not_as_expected"] for one in parts if one["not_as_expected"]]
    shown = parts[0]["broken_gates_shown_by"]
    negative = {control.name for control in CATALOGUE if not control.positive}
    closing = {name for name in BROKEN if negative & shown.get(name, {}).keys()}
    unseen = sorted(set(BROKEN) - closing - NOT_SHOWN.get(case, set()))
    return {
        "holds": not missed and not unseen and all(one["controls"] for one in parts),
        "controls": [one["controls"] for one in parts],
        "not_as_expected": missed,
        "broken_gates_shown_by": shown,
        "broken_gates_not_shown": unseen,
    }


def _shown(world: Sandbox, suite: Suite) -> dict[str, dict[str, str]]:
    """By broken gate the controls that show it."""
    policy = gate_policy(world.bench.workplace.database, suite.engine_name).policy
    packs, of_no_limits = _packs(world, suite, policy), _packs(world, suite, loosened_policy("limits", policy))
    return {
        name: caught(broken, of_no_limits if name == "threshold-loosened-limits" else packs, policy)
        for name, broken in BROKEN.items()
    }


def _packs(world: Sandbox, suite: Suite, policy: GatePolicy) -> list[tuple[Expectation, GateEvidence]]:
    """Each control with its evidence, as it is read under a policy."""
    database, pipeline, found = world.bench.workplace.database, world.bench.pipeline, []
    for one in suite.outcomes:
        backtest = read_backtest(database, find_experiment(database, str(one.experiment_id)))
        observed = observed_now(pipeline.lake)
        found.append((one.expected, gate_evidence(pipeline, backtest, policy, world.now.date(), observed)))
    return found
