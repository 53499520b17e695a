"""How much was lost from the peak, along a series of returns."""

from __future__ import annotations

import numpy as np

from kronos.core.reports.comparison_gaps import Daily


def deepest_fall(daily: Daily | None) -> float | None:
    """Maximum drawdown as a positive share of the peak, in [0, 1]: 1 at ruin. None without a finite value.

    Returns of one session compound in the order of their dates; the starting capital is the first peak. Missing dates
    are left out: gates on coverage come before. In a slice the series is stitched.
    """
    if daily is None:
        return None
    values = daily.values[~np.isnan(daily.values)]
    if values.size == 0 or np.isinf(values).any():
        return None
    wealth = np.cumprod(np.maximum(1.0 + values, 0.0))
    peak = np.maximum(np.maximum.accumulate(wealth), 1.0)
    return float(1.0 - (wealth / peak).min())
