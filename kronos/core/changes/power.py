"""What an experiment can find, told before compute is spent on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from kronos.core.stats.matrix import Inconclusive
from kronos.core.stats.power import DAYS_PER_YEAR, DEFAULT_POWER, minimum_detectable_ratio, power_of, years_needed


@dataclass(frozen=True)
class PowerPlan:
    """Years of evidence needed to find an improvement of `hoped_ratio`, and what the planned dates can find.

    hoped_ratio: true annual information ratio against the incumbent. n_trials: distinct configs the level is shared by.
    power: chance to find the hoped-for improvement within the planned dates. detectable_ratio: the smallest one found
    with `wanted_power`.
    """

    hoped_ratio: float
    n_trials: int
    level: float
    wanted_power: float
    years_needed: float
    years_planned: float
    power: float
    detectable_ratio: float

    @property
    def sufficient(self) -> bool:
        """Whether the planned dates are long enough."""
        return self.years_planned >= self.years_needed

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"sufficient": self.sufficient}


def plan_power(
    hoped_ratio: float, start: date, end: date, *, n_trials: int, level: float, wanted_power: float = DEFAULT_POWER
) -> PowerPlan:
    """Power of an experiment over [start, end], dates inclusive, hoped_ratio > 0, n_trials >= 1."""
    years = ((end - start).days + 1) / DAYS_PER_YEAR
    needed = years_needed(hoped_ratio, alpha=level, n_trials=n_trials, power=wanted_power)
    return PowerPlan(
        hoped_ratio=hoped_ratio,
        n_trials=n_trials,
        level=level,
        wanted_power=wanted_power,
        # a ratio that is not positive is never found
        years_needed=float("inf") if isinstance(needed, Inconclusive) else needed,
        years_planned=years,
        power=power_of(hoped_ratio, years, alpha=level, n_trials=n_trials),
        detectable_ratio=minimum_detectable_ratio(years, alpha=level, n_trials=n_trials, power=wanted_power),
    )
