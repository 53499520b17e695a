"""Statistics of all configs x slices at once: joint resamples, simultaneous intervals, confidence sets.

Every slice is a subset of the incumbent's dates. The influence of a date on a slice's difference, put on the whole
timeline with zeros outside the slice, makes the estimators of all slices means over the same dates: one set of
stationary-bootstrap draws then gives their joint distribution, whatever slices share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from kronos.core.policy import ComparisonPolicy
from kronos.core.reports.comparison_pairs import Paired
from kronos.core.stats.bootstrap import Draws, drawing, planned_draws, resampled_means, studentised_means
from kronos.core.stats.long_run import standard_errors
from kronos.core.stats.matrix import DateArray, FloatArray, Inconclusive
from kronos.core.stats.selection import PValue, p_value, step_down

COLUMNS_AT_ONCE: Final = 256
"""Bounds memory: 10,000 resamples of so many statistics and their squares are 40 MB."""

Key = tuple[str, str]
"""(config, slice)."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """Differences [k] in the unit reported, their errors, and the joint null distribution of their t statistics.

    simulated: float64 [resamples, k], studentised. deviations: float32 [resamples, k], in the unit of the differences.
    widest: [resamples] rising, largest absolute t statistic of each resample.
    """

    keys: tuple[Key, ...]
    difference: FloatArray
    error: FloatArray
    simulated: FloatArray
    deviations: FloatArray
    widest: FloatArray
    block_length: float
    resamples: int

    def at(self, key: Key) -> int:
        """The column of a config and slice."""
        return self.keys.index(key)

    def critical(self, level: float) -> float:
        """Standard errors that simultaneous two-sided intervals of coverage 1 - level reach."""
        return float(np.quantile(self.widest, 1.0 - level))

    def corrected(self, statistic: float) -> PValue:
        """Two-sided p-value of a t statistic, corrected for all columns (single-step max-t)."""
        below = int(np.searchsorted(self.widest, abs(statistic), side="left"))
        return p_value(self.resamples - below, self.resamples)

    def better(self, column: int) -> PValue:
        """One-sided p-value of one column, not corrected."""
        statistic = self.difference[column] / self.error[column]
        return p_value(int((self.simulated[:, column] >= statistic).sum()), self.resamples)

    def stepwise(self, columns: Sequence[int]) -> list[PValue]:
        """One-sided step-down (StepM) p-values of these columns, corrected for their number."""
        chosen = list(columns)
        return step_down(self.difference[chosen] / self.error[chosen], self.simulated[:, chosen])

    def confidence_set(self, columns: Sequence[int]) -> list[PValue]:
        """P-values of the incumbent and these columns (of one slice) for belonging to the slice's best configs."""
        chosen = list(columns)
        difference = np.concatenate([[0.0], self.difference[chosen]])
        deviations = np.column_stack([np.zeros(self.resamples), self.deviations[:, chosen]])
        return eliminated(difference, deviations)


def plan_draws(
    overall: Sequence[Paired], timeline: DateArray, horizon: int, policy: ComparisonPolicy
) -> Draws | Inconclusive:
    """Draws of the timeline's dates; `TOO_FEW_BLOCKS` for strong dependence in a short sample.

    The block length is the median optimum of the overall differences. The draws depend on the policy's seed alone.
    """
    influence = np.column_stack([_laid_out(pair.days, pair.influence, timeline) for pair in overall])
    rng = np.random.default_rng(policy.seed)
    return planned_draws(influence, horizon, drawing(rng, policy.resamples))


def joint_statistics(pairs: Mapping[Key, Paired], timeline: DateArray, horizon: int, draws: Draws) -> Statistics:
    """Statistics of all pairs over the same draws of the timeline, which holds all their dates.

    The standard error is the larger of the long-run one and the bootstrap's own: the first is too small for forecast
    losses that stay alike for months, the second for volatility clusters longer than a block.
    """
    keys = tuple(sorted(pairs))
    influence = np.column_stack([_laid_out(pairs[key].days, pairs[key].influence, timeline) for key in keys])
    scale = np.array([pairs[key].scale for key in keys])
    simulated, deviations = _drawn(influence, draws)
    error = np.maximum(_errors(pairs, keys, influence, timeline, horizon), deviations.std(axis=0, dtype=np.float64))
    return Statistics(
        keys=keys,
        difference=np.array([pairs[key].difference for key in keys]),
        error=error * scale,
        simulated=simulated,
        deviations=deviations * scale.astype(np.float32),
        widest=np.sort(np.abs(simulated).max(axis=1)),
        block_length=draws.block_length,
        resamples=draws.resamples,
    )


def eliminated(difference: FloatArray, deviations: FloatArray) -> list[PValue]:
    """Model confidence set (T_max elimination) of estimates [k], higher is better, and their resampled errors [b, k].

    Equal columns share their fate, as if one were absent.

    Reference: Hansen, Lunde and Nason (2011), The model confidence set, Econometrica 79.
    """
    resamples = len(deviations)
    counts = np.full(difference.size, resamples)
    inside = np.ones(difference.size, dtype=np.bool_)
    highest = 0
    while inside.sum() > 1:
        gap = difference[inside].mean() - difference[inside]
        noise = deviations[:, inside].mean(axis=1, keepdims=True) - deviations[:, inside]
        spread = np.sqrt((noise**2).mean(axis=0))
        unit = np.where(spread > 0.0, spread, 1.0)
        statistics = np.where(spread > 0.0, gap / unit, 0.0)
        worst = float(statistics.max())
        highest = max(highest, int(((noise / unit).max(axis=1) > worst).sum()))
        leaving = np.flatnonzero(inside)[statistics == worst]
        counts[leaving] = highest
        inside[leaving] = False
    counts[inside] = resamples
    return [p_value(int(count), resamples) for count in counts]


def _laid_out(days: DateArray, influence: FloatArray, timeline: DateArray) -> FloatArray:
    """The influence on the mean over all dates of the timeline: zero outside the slice."""
    column = np.zeros(timeline.size)
    column[np.searchsorted(timeline, days)] = influence * (timeline.size / days.size)
    return column


def _drawn(influence: FloatArray, draws: Draws) -> tuple[FloatArray, FloatArray]:
    """Studentised means and plain means [resamples, k], some columns at a time over the same draws."""
    parts = [influence[:, at : at + COLUMNS_AT_ONCE] for at in range(0, influence.shape[1], COLUMNS_AT_ONCE)]
    simulated = np.hstack([studentised_means(part, draws) for part in parts])
    return simulated, np.hstack([resampled_means(part.astype(np.float32), draws) for part in parts])


def _errors(
    pairs: Mapping[Key, Paired], keys: tuple[Key, ...], influence: FloatArray, timeline: DateArray, horizon: int
) -> FloatArray:
    """Standard errors [k] per observation, with the small-sample factor of each slice's own number of dates."""
    parts = [pairs[key].volatility for key in keys]
    volatility = None
    if all(part is not None for part in parts):
        laid = [
            _laid_out(pairs[key].days, part, timeline)
            for key, part in zip(keys, parts, strict=True)
            if part is not None
        ]
        volatility = np.column_stack(laid)
    n = np.array([pairs[key].days.size for key in keys], dtype=np.float64)
    whole = float(timeline.size)
    return standard_errors(influence, horizon, volatility) * np.sqrt(n / (n - 4.0) * (whole - 4.0) / whole)
