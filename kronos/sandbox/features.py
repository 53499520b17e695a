"""What an engine may know at a close: features whose row t depends on prices up to row t only.

Sums run in one fixed order from the first session, so a row's bytes do not change when later sessions arrive.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from kronos.core.conventions import DEFAULT_SESSIONS_PER_YEAR
from kronos.sandbox.markets import Floats, Indexes, Market, running_squares

REFERENCE_WINDOW = 504
MIN_REFERENCE = 126


def returns(prices: Floats) -> Floats:
    """Simple returns per session; the first row is NaN."""
    result = np.full_like(prices, np.nan)
    result[1:] = prices[1:] / prices[:-1] - 1.0
    return result


def volatility(prices: Floats, window: int, at_least: int | None = None) -> Floats:
    """Annualised root mean square return of the last `window` sessions, NaN before `at_least` returns exist."""
    total = running_squares(prices)
    counted = np.minimum(np.arange(len(prices)), window)
    earlier = np.zeros_like(total)
    earlier[window:] = total[:-window]
    mean = _rows(total - earlier, 1.0 / np.maximum(counted, 1))
    mean[counted < (at_least or window)] = np.nan
    return _annual(mean)


def volatility_at(market: Market, window: int, rows: Indexes) -> Floats:
    """The same of a market's prices at some rows, each at least `window`."""
    total = market.running_squares
    return _annual((total[rows] - total[rows - window]) * (1.0 / window))


def reference_volatility(prices: Floats) -> Floats:
    """The market's usual volatility, the yardstick of what counts as calm or unstable."""
    return volatility(prices, REFERENCE_WINDOW, MIN_REFERENCE)


def momentum(prices: Floats, lookback: int, skip: int) -> Floats:
    """Return from `lookback` to `skip` sessions ago; NaN until the lookback is covered."""
    result = np.full_like(prices, np.nan)
    recent = prices[lookback - skip : len(prices) - skip]
    result[lookback:] = recent / prices[: max(0, len(prices) - lookback)] - 1.0
    return result


def momentum_at(prices: Floats, lookback: int, skip: int, rows: Indexes) -> Floats:
    """The same at some rows, each at least `lookback`."""
    change: Floats = prices[rows - skip] / prices[rows - lookback] - 1.0
    return change


def drawdown(prices: Floats, window: int) -> Floats:
    """Distance below the highest close of the last `window` sessions, at most 0."""
    columns = pl.DataFrame(prices.reshape(len(prices), -1))
    peak = columns.select(pl.all().rolling_max(window, min_samples=1)).to_numpy().reshape(prices.shape)
    below: Floats = prices / peak - 1.0
    return below


def _annual(mean_square: Floats) -> Floats:
    # an absolute floor: a week of repeated quotations must not divide by zero
    annual: Floats = np.sqrt(np.maximum(mean_square, 1e-8) * DEFAULT_SESSIONS_PER_YEAR)
    return annual


def _rows(matrix: Floats, factor: Floats) -> Floats:
    return matrix * factor.reshape(-1, *[1] * (matrix.ndim - 1))
