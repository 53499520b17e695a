"""Simulate the backtest scheduler over real calendars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

import numpy as np

from kronos.core.policy import ObservationPolicy
from kronos.core.scheduling.policy import SchedulerPolicy
from kronos.core.scheduling.scenario import random_schedule
from kronos.core.scheduling.simulate import Outcome, simulate
from kronos.core.scheduling.windows import Windows, windows
from kronos.services.market_hours import session_closes

FIRST: Final = date(2012, 1, 1)
LAST: Final = date(2022, 12, 31)
MARKETS: Final[Mapping[str, tuple[str, ...]]] = {
    "US": ("US_EQ",),
    "US and Europe": ("US_EQ", "EU_EQ"),
    "all": ("US_EQ", "EU_EQ", "JP_EQ", "ASIA_EQ", "FX_GLOB"),
    "with one that has no calendar": ("US_EQ", "UNLISTED"),
}


def simulated(schedules: int, seed: int | tuple[int, ...], policy: SchedulerPolicy) -> Iterator[Outcome]:
    """Random schedules, each from a seed of its own: the same seed gives the same schedules, however many are run."""
    calendars = calendars_of(policy)
    for number in range(schedules):
        rng = np.random.default_rng([*(seed if isinstance(seed, tuple) else (seed,)), number])
        yield simulate(random_schedule(rng, calendars, policy), rng)


def calendars_of(policy: SchedulerPolicy) -> dict[str, Windows]:
    """Eleven years of windows for each set of markets."""
    markets = ObservationPolicy()
    named = {market for group in MARKETS.values() for market in group}
    closes = session_closes(markets, named, FIRST, LAST)
    without = [market for market in named if markets.market(market).calendar is None]
    return {name: windows(closes, group, without, policy) for name, group in MARKETS.items()}
