"""Every control of every sandbox engine gets its right verdict under the default policy, and broken gates are caught.

The whole way, without Dagster: the sandbox's full history, the active configs, the real runner in its child process,
battery, cells, judge and record; three seeds for each engine. Gates broken on purpose judge the same evidence again:
each has to be shown up by a control. A part takes the whole history anew, so that none rests on another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kronos.core.controls.outcomes import Suite
from kronos.core.gates.evidence import GateEvidence
from kronos.services.experiments import find_experiment
from kronos.services.gate_evidence import gate_evidence, read_backtest
from kronos.services.gate_policies import gate_policy
from kronos_tests.broken_gates import BROKEN, caught
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
    """Every control as expected with every seed, and every break shown by one."""
    missed = [one["not_as_expected"] for one in parts if one["not_as_expected"]]
    shown = parts[0]["broken_gates_shown_by"]
    unseen = sorted(name for name in BROKEN if not shown.get(name) and name not in NOT_SHOWN.get(case, ()))
    return {
        "holds": not missed and not unseen and all(one["controls"] for one in parts),
        "controls": [one["controls"] for one in parts],
        "not_as_expected": missed,
        "broken_gates_shown_by": shown,
        "broken_gates_not_shown": unseen,
    }


def _shown(world: Sandbox, suite: Suite) -> dict[str, dict[str, str]]:
    """By broken gate the controls that show it."""
    database = world.bench.workplace.database
    policy = gate_policy(database, suite.engine_name).policy
    packs = [(one.expected, _evidence(world, one.experiment_id)) for one in suite.outcomes]
    return {name: caught(broken, packs, policy) for name, broken in BROKEN.items()}


def _evidence(world: Sandbox, experiment_id: object) -> GateEvidence:
    database = world.bench.workplace.database
    experiment = find_experiment(database, str(experiment_id))
    policy = gate_policy(database, experiment.engine_name).policy
    return gate_evidence(world.bench.pipeline, read_backtest(database, experiment), policy, world.now.date())
