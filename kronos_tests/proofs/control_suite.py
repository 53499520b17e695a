"""Every control of every sandbox engine gets its right verdict under the default policy, and broken gates are caught.

The whole way, without Dagster: the sandbox's full history, the active configs, the real runner in its child process,
battery, cells, judge and record; three seeds for each engine. Gates broken on purpose judge the same evidence again:
each has to be shown up by a control. A case takes the whole history anew, so that none rests on another.
"""

from __future__ import annotations

from typing import Any, Final

from kronos.core.controls.outcomes import Suite
from kronos.core.gates.evidence import GateEvidence
from kronos.services.experiments import find_experiment
from kronos.services.gate_evidence import gate_evidence, read_backtest
from kronos.services.gate_policies import gate_policy
from kronos_tests.broken_gates import BROKEN, caught
from kronos_tests.suites import Sandbox, sandbox, wrong

ENGINES: Final = ("ASSESSMENT", "PORTFOLIO", "REGIME", "STABILITY", "UNIVERSE")
SEEDS: Final = (1, 2, 3)
CASES = [f"{engine}-seed-{seed}" for engine in ENGINES for seed in SEEDS]
BROKEN_UNDER: Final = 1
"""Seed of the suites whose evidence the broken gates judge too."""
NOT_SHOWN: Final = {engine: {"threshold-loosened-limits"} for engine in ("REGIME", "STABILITY")}
"""Breaks that an engine cannot show: one that holds no positions has no control of their limits."""


def run(case: str) -> dict[str, Any]:
    """One engine's suite with one seed."""
    engine, _, seed = case.rpartition("-seed-")
    with sandbox() as world:
        suite = world.suite(engine, int(seed))
        shown = _shown(world, suite) if int(seed) == BROKEN_UNDER else {}
    missed = [name for name, by in shown.items() if not by and name not in NOT_SHOWN.get(engine, ())]
    return {
        "holds": not wrong([suite]) and not missed,
        "controls": {one.expected.control: one.why for one in suite.outcomes},
        "not_as_expected": wrong([suite]),
        "broken_gates_shown_by": shown,
        "broken_gates_not_shown": missed,
        "suite": str(suite.suite_id),
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
