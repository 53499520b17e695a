"""Two years of daily looks on simulated truth: how often the monitor alarms without a drop, and finds one.

A false-alarm case holds when the exact one-sided 95 % upper bound of the rate is at most 5 %; a power case when the
lower bound is at least 60 % (a Sharpe drop of 2) or 90 % (of 3). Ten years of evidence unless the case says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import signal, stats

from kronos.core.stats.matrix import LossMatrix, ReturnMatrix
from kronos.core.stats.sequential import Monitoring, monitor_loss, monitor_sharpe

WORLDS = 4000
YEAR = 252
LIVE = 2 * YEAR
SHARPE = 1.0
DAILY_RISK = 0.01
REQUIRED_POWER = {2.0: 0.60, 3.0: 0.90}


@dataclass(frozen=True)
class World:
    """One kind of truth: shape of the shocks, evidence in years, drop of the annual Sharpe ratio at the live start."""

    shocks: str
    drop: float = 0.0
    years: int = 10


_SHOCKS = ("normal", "t5", "garch-t5", "skew-left", "skew-right", "autocorrelated", "volatility-doubles", "loss")
_WORLDS = {
    **{f"false-alarm-{kind}": World(kind) for kind in _SHOCKS},
    **{f"false-alarm-{kind}-2-years": World(kind, years=2) for kind in ("t5", "garch-t5")},
    **{f"drop-{drop}-{kind}": World(kind, float(drop)) for drop in (2, 3) for kind in ("normal", "t5", "garch-t5")},
}
CASES = list(_WORLDS)


def run(case: str, worlds: int = WORLDS) -> dict[str, object]:
    """Share of simulated worlds in which the monitor alarms within two years, with its exact one-sided bound."""
    world = _WORLDS[case]
    alarms = sum(_watch(world, np.random.default_rng([CASES.index(case), seed])) for seed in range(worlds))
    interval = stats.binomtest(alarms, worlds)
    if world.drop == 0.0:
        bound = interval.proportion_ci(0.90, "exact").high
        holds = bool(bound <= 0.05)
    else:
        bound = interval.proportion_ci(0.90, "exact").low
        holds = bool(bound >= REQUIRED_POWER[world.drop])
    return {"holds": holds, "rate": alarms / worlds, "bound": round(float(bound), 4), "worlds": worlds}


def _watch(world: World, rng: np.random.Generator) -> bool:
    n = world.years * YEAR
    shocks = simulate(world.shocks, n + LIVE, rng)
    drift = np.full(n + LIVE, SHARPE / math.sqrt(YEAR))
    drift[n:] -= world.drop / math.sqrt(YEAR)
    dates = np.datetime64("2000-01-01") + np.arange(n + LIVE)
    risk = np.where((np.arange(n + LIVE) >= n) & (world.shocks == "volatility-doubles"), 2.0, 1.0) * DAILY_RISK
    values = (risk * (drift + shocks))[:, None]
    if world.shocks == "loss":
        found = monitor_loss(LossMatrix(0.2 - values, ("a",), dates), "a", dates[n].item())
    else:
        found = monitor_sharpe(ReturnMatrix(values, ("a",), dates), "a", dates[n].item())
    assert isinstance(found, Monitoring)
    return found.alarm_date is not None


def simulate(kind: str, length: int, rng: np.random.Generator) -> np.ndarray:
    """Shocks [length] with mean 0 and unconditional variance near 1."""
    student = rng.standard_t(5, length) / math.sqrt(5.0 / 3.0)
    match kind:
        case "normal":
            return rng.standard_normal(length)
        case "t5" | "volatility-doubles":
            return student
        case "garch-t5":
            return _garch(student)
        case "skew-left" | "skew-right":
            gamma = (rng.gamma(2.0, 1.0, length) - 2.0) / math.sqrt(2.0)
            return -gamma if kind == "skew-left" else gamma
        case "autocorrelated":
            return signal.lfilter([1.0], [1.0, -0.1], student)
        case "loss":
            return signal.lfilter([1.0], [1.0, -0.3], student)
    raise ValueError(kind)


def _garch(shocks: np.ndarray, alpha: float = 0.08, beta: float = 0.90) -> np.ndarray:
    """GARCH(1,1) with persistence 0.98 and variance 1."""
    variance, made = 1.0, np.empty_like(shocks)
    for t, shock in enumerate(shocks):
        made[t] = math.sqrt(variance) * shock
        variance = 1.0 - alpha - beta + alpha * made[t] ** 2 + beta * variance
    return made
