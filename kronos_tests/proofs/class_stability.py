"""Rerunning the config comparison with other seeds changes no class, for every engine of the configured home.

The home is the one that KRONOS_HOME names (default .kronos); a home without cells is filled by `kronos up --once`.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

from kronos.lake.tables import Lake
from kronos.orchestrator import MetaOrchestrator
from kronos.services.comparison import recorded_background
from kronos.services.performance import Performance
from kronos.services.policy import load_policy
from kronos.settings import Settings, load

CASES = ["ASSESSMENT", "PORTFOLIO", "REGIME", "STABILITY", "UNIVERSE"]
OTHER_SEEDS = (1, 2, 3)


def run(case: str) -> dict[str, object]:
    """Classes and reasons of all configs under the policy's seed, and those of other seeds that differ."""
    settings = load()
    if not Lake(settings.lake).months("cells"):
        subprocess.run([sys.executable, "-m", "kronos.cli", "up", "--once"], check=True)
    usual = _classes(settings, case, load_policy(settings.policy).comparison.seed)
    others = {seed: _classes(settings, case, seed) for seed in OTHER_SEEDS}
    changed = [
        f"seed {seed}: {name} was {was[0]}, is {found[name][0]}"
        for seed, found in others.items()
        for name, was in usual.items()
        if found[name][0] != was[0]
    ]
    return {
        "holds": not changed and len(usual) > 1,
        "configs": len(usual),
        "classes": dict(Counter(label for label, *_ in usual.values())),
        "undecided_within_monte_carlo_error": [name for name, found in usual.items() if "MONTE_CARLO_ERROR" in found],
        "changed": changed,
    }


def _classes(settings: Settings, engine_name: str, seed: int) -> dict[str, tuple[str, str]]:
    """Class and reason by config."""
    policy = load_policy(settings.policy)
    seeded = policy.model_copy(update={"comparison": policy.comparison.model_copy(update={"seed": seed})})
    performance = Performance(Lake(settings.lake), seeded, settings.recorded_by)
    found = MetaOrchestrator(performance, recorded_background(settings)).comparison(engine_name)
    return {verdict.config_id: (verdict.label.value, str(verdict.reason or "")) for verdict in found.verdicts}
