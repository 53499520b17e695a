"""Moments and tails of a return series, as expressions, with their influence functions.

`r` is a column of returns over the horizon, null where missing. No formula here guards itself: the registry adds the
guards, so that a formula reads like the textbook. Influence functions take the observed values (no nulls).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import polars as pl
from scipy import special

from kronos.core.conventions import CONFIDENCE, STD_DDOF, TAIL_LEVEL, ZERO_TOLERANCE
from kronos.core.metrics.metric import Basis, Bounds, Composed, Floats, Number, Numbers
from kronos.core.vocabulary import Undefined


def root(value: Number) -> Number:
    """Square root of a number or an expression."""
    return value.sqrt() if isinstance(value, pl.Expr) else float(np.sqrt(value))


def avg_return(r: pl.Expr, _: Basis) -> pl.Expr:
    """Arithmetic mean: sum(r) / n."""
    return r.mean()


def contribution(r: pl.Expr, _: Basis) -> pl.Expr:
    """Sum of the parts of the book return that fall to the slice; adds up over slices."""
    return r.sum()


def volatility(r: pl.Expr, basis: Basis) -> pl.Expr:
    """std(r, ddof=1) x sqrt(factor)."""
    return r.std(ddof=STD_DDOF) * root(basis.factor)


def annual_excess(r: pl.Expr, basis: Basis) -> pl.Expr:
    """(mean(r) - rf) x factor."""
    return (r.mean() - basis.risk_free) * basis.factor


def downside(r: pl.Expr, basis: Basis) -> pl.Expr:
    """Downside deviation over all n: sqrt(sum(min(r - rf, 0)^2) / n)."""
    excess = r - basis.risk_free
    return ((excess - excess.abs()) ** 2).mean().sqrt() / 2.0  # x - |x| is 2 min(x, 0), and clip takes twice the time


def annual_downside(r: pl.Expr, basis: Basis) -> pl.Expr:
    """Downside deviation x sqrt(factor)."""
    return downside(r, basis) * root(basis.factor)


def _quotient(of: pl.Expr, by: pl.Expr) -> pl.Expr:
    return of / by


sharpe: Final = Composed((annual_excess, volatility), _quotient)
"""mean(r - rf) / std(r, ddof=1) x sqrt(factor)."""

sortino: Final = Composed((annual_excess, annual_downside), _quotient)
"""mean(r - rf) / downside deviation x sqrt(factor)."""


def observations(r: pl.Expr, _: Basis) -> pl.Expr:
    """n, without the missing ones."""
    return r.count()


def _tail_place(n: pl.Expr) -> pl.Expr:
    """Where the 5 % quantile lies among n sorted values, counted from 0; a fraction lies between two of them."""
    return TAIL_LEVEL * (n.cast(pl.Float64) - 1.0)


def worst(r: pl.Expr, _: Basis) -> pl.Expr:
    """The floor(0.05 (n - 1)) + 2 smallest returns as a list, rising; all of them where there are fewer."""
    wanted = _tail_place(r.count()).floor().cast(pl.Int64) + 2
    return r.bottom_k(pl.min_horizontal(wanted, r.count()).clip(lower_bound=0)).implode().list.sort()


def _between(worst: pl.Expr, n: pl.Expr) -> pl.Expr:
    place = _tail_place(n)
    low = worst.list.get(place.floor().clip(lower_bound=0.0).cast(pl.Int64), null_on_oob=True)
    return low + (worst.list.last() - low) * (place - place.floor())


def _mean_of_tail(worst: pl.Expr, n: pl.Expr) -> pl.Expr:
    return worst.list.head(_tail_place(n).floor().clip(lower_bound=0.0).cast(pl.Int64) + 1).list.mean()


value_at_risk: Final = Composed((worst, observations), _between)
"""Historical 5 % quantile of the series, linearly interpolated between order statistics."""

expected_shortfall: Final = Composed((worst, observations), _mean_of_tail)
"""Mean of the floor(0.05 (n - 1)) + 1 smallest returns."""


def won_days(r: pl.Expr, _: Basis) -> pl.Expr:
    """Days with r > 0."""
    return (r > 0).sum()


def played_days(r: pl.Expr, _: Basis) -> pl.Expr:
    """Days with r != 0."""
    return (r != 0).sum()


def _rest(of: pl.Expr, without: pl.Expr) -> pl.Expr:
    return of.cast(pl.Float64) - without.cast(pl.Float64)


def _none(count: pl.Expr) -> pl.Expr:
    return count == 0


day_hit_rate: Final = Composed((won_days, played_days), _quotient)
"""Days with r > 0 among days with r != 0."""

zero_days: Final = Composed((observations, played_days), _rest)
"""Days with r = 0, which the day hit rate leaves out."""

has_only_zeros: Final = Composed((played_days,), _none)
"""Every day is a zero day."""


def has_zero_variance(r: pl.Expr, _: Basis) -> pl.Expr:
    """The spread is rounding noise, or there is a single value."""
    return r.std(ddof=STD_DDOF) <= ZERO_TOLERANCE * r.abs().max()


def has_no_downside(r: pl.Expr, basis: Basis) -> pl.Expr:
    """No return below the risk-free rate."""
    return downside(r, basis) <= ZERO_TOLERANCE * r.abs().max()


def mean_influence(r: Floats, _: Numbers) -> Floats:
    """r - mean."""
    return np.asarray(r - r.mean())


def log_volatility_influence(r: Floats, _: Numbers) -> Floats:
    """((r - m)^2 - s^2) / (2 s^2): on the log scale, where the interval stays positive."""
    deviation = (r - r.mean()) ** 2
    variance = deviation.mean()
    return np.asarray((deviation - variance) / (2.0 * variance))


def sharpe_influence(r: Floats, basis: Numbers) -> Floats:
    """sqrt(F) x [(r - m)/s - (m - rf)/(2 s^3) ((r - m)^2 - s^2)]: delta method on (r, r^2)."""
    deviation = r - r.mean()
    variance = float((deviation**2).mean())
    ratio = (r.mean() - basis.risk_free) / np.sqrt(variance)
    psi = deviation / np.sqrt(variance) - 0.5 * ratio * (deviation**2 - variance) / variance
    return np.asarray(np.sqrt(basis.factor) * psi)


def sortino_influence(r: Floats, basis: Numbers) -> Floats:
    """sqrt(F) x [(e - m)/d - m/(2 d^3) (min(e, 0)^2 - d^2)] with e = r - rf and downside deviation d."""
    excess = r - basis.risk_free
    squares = np.minimum(excess, 0.0) ** 2
    deviation = np.sqrt(squares.mean())
    mean = excess.mean()
    psi = (excess - mean) / deviation - 0.5 * mean / deviation**3 * (squares - deviation**2)
    return np.asarray(np.sqrt(basis.factor) * psi)


def shortfall_influence(r: Floats, _: Numbers) -> Floats:
    """-(q - r)^+ / alpha, centred: the quantile's own error cancels to first order."""
    psi = -np.maximum(_tail_quantile(r) - r, 0.0) / TAIL_LEVEL
    return np.asarray(psi - psi.mean())


def _tail_quantile(r: Floats) -> float:
    """np.quantile(r, TAIL_LEVEL), at a fifth of its price: sorting is quicker than partitioning."""
    at = TAIL_LEVEL * (r.size - 1)
    below = int(at)
    low, high = np.sort(r)[[below, min(below + 1, r.size - 1)]]
    part = at - below
    # from the nearer end, as numpy does
    return float(low + (high - low) * part if part < 0.5 else high - (high - low) * (1.0 - part))


def quantile_bounds(r: Floats, basis: Numbers) -> Bounds | Undefined:
    """Order statistics whose ranks are the binomial(n/h, 5 %) quantiles; overlapping returns count for 1/h."""
    effective = r.size // basis.horizon
    tail = (1.0 - CONFIDENCE) / 2.0
    below = _binomial_quantile(tail, effective)
    above = _binomial_quantile(1.0 - tail, effective) + 1
    if below < 1 or above > effective:
        return Undefined.TOO_FEW_OBSERVATIONS
    ordered = np.sort(r)
    low = ordered[max(below * basis.horizon, 1) - 1]
    high = ordered[min(above * basis.horizon, r.size) - 1]
    return float(low), float(high)


def _binomial_quantile(probability: float, trials: int) -> int:
    """Smallest k with P(X <= k) >= probability for X ~ binomial(trials, tail level)."""
    k: int = math.ceil(special.bdtrik(probability, trials, TAIL_LEVEL))
    reached_before = k > 0 and bool(special.bdtr(k - 1, trials, TAIL_LEVEL) >= probability)
    return k - 1 if reached_before else k


def day_hit_bounds(r: Floats, basis: Numbers) -> Bounds | Undefined:
    """Wilson (1927) score interval of the days won; overlapping days count for 1/h."""
    won, played = float((r > 0).sum()), float((r != 0).sum())
    return wilson(won / played, played / basis.horizon) if played else Undefined.NO_OBSERVATIONS


def wilson(share: float, trials: float) -> Bounds:
    """Wilson score interval of a share in so many independent trials."""
    z = float(special.ndtri(0.5 + CONFIDENCE / 2.0))
    middle = share + z * z / (2.0 * trials)
    half = z * np.sqrt(share * (1.0 - share) / trials + z * z / (4.0 * trials * trials))
    scale = 1.0 + z * z / trials
    return max(0.0, float((middle - half) / scale)), min(1.0, float((middle + half) / scale))
