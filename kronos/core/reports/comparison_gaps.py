"""What a config's missing dates may cost it: they are imputed against it, and must not be chosen by returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from kronos.core.stats.bootstrap import BoolArray
from kronos.core.stats.matrix import DateArray, FloatArray

GAP_QUANTILE: Final = 0.01
"""A date that only the config misses counts as this quantile of the paired difference: gaps must not pay."""

_ROUNDING: Final = 1e-9


@dataclass(frozen=True, eq=False)
class Daily:
    """A series: dates strictly rising, NaN where due but missing."""

    days: DateArray
    values: FloatArray


@dataclass(frozen=True, eq=False)
class Matched:
    """Dates of both series on which the incumbent is known; `gap` marks those that the config misses."""

    days: DateArray
    config: FloatArray
    incumbent: FloatArray
    gap: BoolArray
    coverage: float
    incumbent_coverage: float


def matched(config: Daily, incumbent: Daily, *, losses: bool) -> Matched:
    """Both series over the incumbent's dates from the config's first to its last.

    A date without a decision earned nothing and is no gap of returns (in a slice it is no date of the config's). A date
    without a forecast is a gap: who only forecasts must not pick the dates.
    """
    span = (incumbent.days >= config.days[0]) & (incumbent.days <= config.days[-1])
    if not losses:
        span &= np.isin(incumbent.days, config.days, assume_unique=True)
    days, theirs = incumbent.days[span], incumbent.values[span]
    mine = np.full(days.size, np.nan)
    _, here, there = np.intersect1d(days, config.days, assume_unique=True, return_indices=True)
    mine[here] = config.values[there]
    known = ~np.isnan(theirs)
    gap = np.isnan(mine)[known]
    return Matched(
        days[known],
        mine[known],
        theirs[known],
        gap,
        float(1.0 - gap.mean()) if gap.size else 0.0,
        float(known.mean()) if known.size else 0.0,
    )


def imputed(pair: Matched, *, losses: bool) -> FloatArray:
    """Values [n, 2] of config and incumbent, higher is better; in a gap the incumbent's and a bad difference.

    The worst twentieth left out then does not pay while tails are no fatter than Student's with 5 degrees of freedom,
    and what follows the incumbent's returns is caught by `chance_of_gaps`; a few crashes unlike anything shown could
    still be hidden.
    """
    sign = -1.0 if losses else 1.0
    values = sign * np.column_stack([pair.config, pair.incumbent])
    if pair.gap.any():
        seen = values[~pair.gap]
        values[pair.gap, 0] = values[pair.gap, 1] + bad_value(seen[:, 0] - seen[:, 1])
    return np.asarray(values)


def bad_value(seen: FloatArray) -> float:
    """What a gap counts as: the 1st percentile, or the 99th mirrored at the median if that is worse.

    Who hides the worst dates still shows how far the best ones lie.
    """
    low, middle, high = np.quantile(seen, [GAP_QUANTILE, 0.5, 1.0 - GAP_QUANTILE])
    return float(min(low, 2.0 * middle - high))


def chance_of_gaps(gap: BoolArray, values: FloatArray) -> float:
    """P-value of the gaps lying anywhere among the incumbent's values [n], in [1/n, 1]; 1 without gaps.

    A permutation test over all n circular shifts of the gaps, which keeps outages and volatility clusters in one piece.
    The statistic is the larger, in standard deviations over the shifts, of two sums over the gaps: of the values' ranks
    (missing when the market falls or rises) and of their distance from the middle rank (missing when it moves a lot),
    the pair of Lepage's test. Assumes a stationary series; it cannot reject at a level below 1/n.

    References: Lepage (1971), A combination of Wilcoxon's and Ansari-Bradley's statistics, Biometrika 58; Lancaster,
    Iatsenko, Pidde, Ticcinelli & Stefanovska (2018), Surrogate data for hypothesis testing, Physics Reports 748.
    """
    if not gap.any():
        return 1.0
    ranks = pl.Series(values).rank("average").to_numpy()
    ranks = ranks - ranks.mean()
    largest = np.maximum(_shifted_sums(gap, ranks), _shifted_sums(gap, np.abs(ranks)))
    return float((largest >= largest[0] * (1.0 - _ROUNDING)).mean())


def _shifted_sums(gap: BoolArray, scores: FloatArray) -> FloatArray:
    """Absolute standardised sums [n] of the scores over the gaps, by circular shift; the first is the one observed."""
    spectrum = np.conj(np.fft.rfft(gap.astype(np.float64))) * np.fft.rfft(scores - scores.mean())
    sums = np.fft.irfft(spectrum, gap.size)
    spread = float(sums.std())
    return np.asarray(np.abs(sums) / spread) if spread > _ROUNDING * gap.size else np.zeros(gap.size)
