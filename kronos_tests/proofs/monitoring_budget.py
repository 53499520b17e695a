"""Two metrics share one error: how often a config that is as good as before ever alarms on either, in two years.

What `sequential_size` does not cover: the split of alpha over return and score by the shipped policy, series that move
together or not, and the path through `core.monitoring.judge`. A false-alarm case holds when the exact one-sided 95 %
upper bound of the joint rate is at most 5 %; a power case when the lower bound is at least 60 % (one metric or both
drop by 2 annual standard deviations) or 90 % (one of them by 3), whichever metric it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy import stats

from kronos.core.monitoring.judge import Metric, judge, shares
from kronos.core.monitoring.model import MonitorFinding, MonitorState, Watch
from kronos.core.monitoring.series import Daily
from kronos.core.policy import MonitoringPolicy
from kronos_tests.proofs.sequential_size import LIVE, YEAR, simulate

WORLDS = 4000
EVIDENCE = 10 * YEAR
POLICY = MonitoringPolicy()
DATES = np.datetime64("2000-01-01") + np.arange(EVIDENCE + LIVE)
START: date = DATES[EVIDENCE].item()
TODAY: date = DATES[-1].item()


@dataclass(frozen=True)
class World:
    """Shape of the shocks, their correlation between return and loss, and the drops at the live start."""

    shocks: str
    together: float
    drops: tuple[float, float] = (0.0, 0.0)
    required: float | None = None


_WORLDS = {
    **{f"false-alarm-{kind}-{r:g}": World(kind, r) for kind in ("normal", "t5", "garch-t5") for r in (0.0, 0.7)},
    **{f"both-drop-2-{kind}": World(kind, 0.0, (2.0, 2.0), 0.60) for kind in ("normal", "t5")},
    **{f"return-drops-3-{kind}": World(kind, 0.0, (3.0, 0.0), 0.90) for kind in ("normal", "t5")},
    **{f"return-drops-2-{kind}": World(kind, 0.0, (2.0, 0.0), 0.60) for kind in ("normal", "t5")},
    **{f"calibration-drops-2-{kind}": World(kind, 0.0, (0.0, 2.0), 0.60) for kind in ("normal", "t5")},
    **{f"calibration-drops-3-{kind}": World(kind, 0.0, (0.0, 3.0), 0.90) for kind in ("normal", "t5")},
}
CASES = list(_WORLDS)


def run(case: str, worlds: int = WORLDS) -> dict[str, object]:
    """Share of simulated worlds in which either metric is DEGRADING, with its exact one-sided bound."""
    world = _WORLDS[case]
    alarms = sum(_alarmed(world, np.random.default_rng([CASES.index(case), seed])) for seed in range(worlds))
    interval = stats.binomtest(alarms, worlds).proportion_ci(0.90, "exact")
    bound = interval.high if world.required is None else interval.low
    holds = bound <= POLICY.alpha if world.required is None else bound >= world.required
    return {"holds": bool(holds), "rate": alarms / worlds, "bound": round(float(bound), 4), "worlds": worlds}


def _alarmed(world: World, rng: np.random.Generator) -> bool:
    n = EVIDENCE + LIVE
    own, other = simulate(world.shocks, n, rng), simulate(world.shocks, n, rng)
    score = world.together * own + math.sqrt(1.0 - world.together**2) * other
    live = np.arange(n) >= EVIDENCE
    returns = 0.01 * (own + (1.0 - world.drops[0] * live) / math.sqrt(YEAR))
    losses = 0.25 - 0.02 * (score - world.drops[1] * live / math.sqrt(YEAR))
    budget = shares(POLICY, list(Watch))
    found = [_judged(metric, values, budget[metric]) for metric, values in zip(Watch, (returns, losses), strict=True)]
    return MonitorState.DEGRADING in found


def _judged(metric: Watch, values: np.ndarray, alpha: float) -> MonitorState:
    blank = MonitorFinding("E", "*", "c", metric, MonitorState.INCONCLUSIVE, horizon=1, monitored_from=START)
    before, since = (Daily(DATES[part], values[part]) for part in (slice(EVIDENCE), slice(EVIDENCE, None)))
    found = judge(Metric(blank, before, since, 1, float(YEAR), TODAY), POLICY, alpha, TODAY)
    assert found.cause is None, found.detail
    return found.state
