"""The test that decides: is the best of N candidates better than the incumbent, on the same dates?

The statistic of a candidate is its difference to the incumbent over that difference's standard error; a family of them
is judged by its largest, whose null distribution the stationary bootstrap gives for all candidates at once. Differences
of Sharpe ratios are scale-free, so leverage buys nothing; mean scores are compared for engines that only forecast.

Real and resampled statistics are both studentised, each with the variance that is right for it: the real ones with a
long-run variance (HAC), the resampled ones with that of the bootstrap itself. The block length then only matters to the
second order, and heavy tails, skewness, unequal volatility and the candidates' dependence come from the data.

References
----------
Ledoit and Wolf (2008), Robust performance hypothesis testing with the Sharpe ratio, J. Empirical Finance 15.
Romano and Wolf (2005), Stepwise multiple testing as formalized data snooping, Econometrica 73.
Politis and Romano (1994), The stationary bootstrap, JASA 89.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import ndtr

from kronos.core.conventions import CONFIDENCE
from kronos.core.stats.bootstrap import (
    DEFAULT_RESAMPLES,
    BoolArray,
    Drawing,
    Draws,
    IntArray,
    draw,
    drawing,
    planned_draws,
    shared_block_length,
    stationary_variance,
    studentised_means,
)
from kronos.core.stats.long_run import standard_errors
from kronos.core.stats.matrix import (
    RELATIVE_TOLERANCE,
    FloatArray,
    Inconclusive,
    Reason,
    ReturnMatrix,
    higher_is_better,
    require_returns,
    too_few_blocks,
)
from kronos.core.stats.selection import Matrix, PValue, step_down
from kronos.core.stats.sharpe import SMALLEST_INFLUENCE, sharpe_influences, sharpe_ratios
from kronos.errors import BadValue


class Measure(StrEnum):
    """What is compared."""

    SHARPE = "SHARPE"
    MEAN = "MEAN"


@dataclass(frozen=True, slots=True)
class Improvement:
    """One candidate against the incumbent; positive is better.

    difference, standard_error and bounds: annual Sharpe ratio, annual mean return, or mean loss saved per date.
    p_value: one-sided and family-wise (step-down), every trial counted. low and high: two-sided bounds that hold for
    all candidates at once; lower_bound: one-sided, for this candidate alone; all at the test's confidence. `reason`
    says why there is no statistic; then p is 1 and all other numbers but `difference` are NaN.
    """

    name: str
    difference: float
    standard_error: float
    statistic: float
    p_value: PValue
    low: float
    high: float
    lower_bound: float
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class ImprovementTest:
    """All candidates against the incumbent. n_trials counts those without a series here as well."""

    measure: Measure
    incumbent: str
    candidates: tuple[Improvement, ...]
    n_trials: int
    n_sessions: int
    horizon: int
    confidence: float
    block_length: float
    resamples: int

    @property
    def best(self) -> Improvement:
        """The candidate with the largest statistic: the only one that can be accepted."""
        return max((c for c in self.candidates if c.reason is None), key=lambda c: c.statistic)

    def accepted(self, alpha: float) -> str | None:
        """The best candidate if its family-wise p-value is at most alpha, else None."""
        return self.best.name if self.best.p_value.value <= alpha else None

    def of(self, name: str) -> Improvement:
        """One candidate's row; an unknown name is a `BadValue`."""
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        raise BadValue("candidate", name, f"one of {', '.join(c.name for c in self.candidates)}")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a test draws, how many trials it counts (None: the candidates), and the confidence of its bounds."""

    draw_for: Drawing
    n_trials: int | None = None
    confidence: float = CONFIDENCE


@dataclass(frozen=True, slots=True)
class DifferenceInterval:
    """A difference, candidate minus incumbent, with a two-sided percentile interval of the bootstrap."""

    difference: float
    low: float
    high: float
    confidence: float
    block_length: float
    resamples: int


def sharpe_improvement(
    returns: ReturnMatrix,
    incumbent: str,
    *,
    rng: np.random.Generator,
    n_trials: int | None = None,
    resamples: int = DEFAULT_RESAMPLES,
    confidence: float = CONFIDENCE,
) -> ImprovementTest | Inconclusive:
    """Annual Sharpe ratios of all other columns minus the incumbent's.

    n_trials: all trials, with or without a column (default: the columns); those without enter by Sidak.
    `NO_CANDIDATES` for a lone incumbent, `TOO_FEW_BLOCKS` for strong dependence in a short sample,
    `ZERO_VARIANCE_DIFFERENCE` when no candidate differs from a multiple of the incumbent.
    """
    plan = Plan(drawing(rng, resamples), n_trials, confidence)
    return planned_improvement(require_returns(returns), incumbent, Measure.SHARPE, plan)


def mean_improvement(
    matrix: Matrix,
    incumbent: str,
    *,
    rng: np.random.Generator,
    n_trials: int | None = None,
    resamples: int = DEFAULT_RESAMPLES,
    confidence: float = CONFIDENCE,
) -> ImprovementTest | Inconclusive:
    """Mean score of all other columns over the incumbent's: loss saved per date, or return earned a year.

    For forecasts (calibration: a matrix of daily mean proper scores). For returns it is an interval, not a gate:
    leverage raises a mean. Parameters and reasons as in `sharpe_improvement`.
    """
    return planned_improvement(matrix, incumbent, Measure.MEAN, Plan(drawing(rng, resamples), n_trials, confidence))


def planned_improvement(matrix: Matrix, incumbent: str, measure: Measure, plan: Plan) -> ImprovementTest | Inconclusive:
    """The test itself, for callers who share draws between tests; see `sharpe_improvement` and `mean_improvement`."""
    names = [name for name in matrix.names if name != incumbent]
    n_trials = len(names) if plan.n_trials is None else plan.n_trials
    if n_trials < len(names):
        raise BadValue("n_trials", n_trials, f"at least the {len(names)} candidates given")
    if not names:
        return Inconclusive(Reason.NO_CANDIDATES, f"{incumbent} is the only config")
    contrast, scale = _contrast(matrix, matrix.index(incumbent), measure)
    if not contrast.varies.any():
        return Inconclusive(Reason.ZERO_VARIANCE_DIFFERENCE, f"{', '.join(names)} against {incumbent}")
    draws = planned_draws(contrast.influence[:, contrast.varies], matrix.horizon, plan.draw_for)
    if isinstance(draws, Inconclusive):
        return draws
    rows = _rows(names, contrast, draws, matrix.horizon, scale, n_trials, plan.confidence)
    return ImprovementTest(
        measure=measure,
        incumbent=incumbent,
        candidates=rows,
        n_trials=n_trials,
        n_sessions=matrix.n_sessions,
        horizon=matrix.horizon,
        confidence=plan.confidence,
        block_length=draws.block_length,
        resamples=draws.resamples,
    )


def drawdown_difference(
    returns: ReturnMatrix,
    candidate: str,
    incumbent: str,
    *,
    rng: np.random.Generator,
    resamples: int = DEFAULT_RESAMPLES,
    confidence: float = CONFIDENCE,
) -> DifferenceInterval | Inconclusive:
    """Maximum drawdown (<= 0) of the candidate minus the incumbent's over the same resampled dates; positive is better.

    Overlapping horizon returns compound as R/h. A resample has no trends longer than its blocks, so the interval is
    that of the bootstrap's world, not a forecast of the next drawdown.
    """
    growth = require_returns(returns).values / returns.horizon
    pair = growth[:, [returns.index(candidate), returns.index(incumbent)]]
    length = shared_block_length(pair, returns.horizon)
    short = too_few_blocks(len(pair), length)
    if short is not None:
        return short
    draws = draw(len(pair), length, rng=rng, resamples=resamples)
    drawn = np.concatenate([_drawdown_gap(pair, path) for path in draws.paths()])
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    seen = float(_drawdown_gap(pair, np.arange(len(pair))[None])[0])
    return DifferenceInterval(seen, float(low), float(high), confidence, length, resamples)


@dataclass(frozen=True, eq=False)
class _Contrast:
    """Differences to the incumbent [k] per observation and the influence [n, k] of each date on them.

    `volatility` [n, k] is the part of the influence that comes from estimating volatilities; `varies` [k] is False
    where the difference has no sampling error.
    """

    difference: FloatArray
    influence: FloatArray
    volatility: FloatArray | None
    varies: BoolArray


def _contrast(matrix: Matrix, column: int, measure: Measure) -> tuple[_Contrast, float]:
    """The contrast, and the factor that turns it into the unit reported."""
    if measure is Measure.SHARPE:
        returns = require_returns(matrix)
        return _sharpe_contrast(returns.values, column), float(np.sqrt(returns.annual_factor))
    scale = matrix.annual_factor if isinstance(matrix, ReturnMatrix) else 1.0
    return _mean_contrast(higher_is_better(matrix), column), scale


def _sharpe_contrast(values: FloatArray, column: int) -> _Contrast:
    ratios, influence = sharpe_ratios(values), sharpe_influences(values)
    location = (values - values.mean(axis=0)) / values.std(axis=0)
    parts = (ratios, influence, influence - location)
    difference, influence, volatility = (np.delete(p, column, axis=-1) - p[..., [column]] for p in parts)
    return _Contrast(difference, influence, volatility, np.abs(influence).max(axis=0) > SMALLEST_INFLUENCE)


def _mean_contrast(scores: FloatArray, column: int) -> _Contrast:
    edge = np.delete(scores, column, axis=1) - scores[:, [column]]
    centred = edge - edge.mean(axis=0)
    varies = np.abs(centred).max(axis=0) > RELATIVE_TOLERANCE * np.abs(scores).max()
    return _Contrast(edge.mean(axis=0), centred, None, varies)


def _rows(
    names: list[str], contrast: _Contrast, draws: Draws, horizon: int, scale: float, n_trials: int, confidence: float
) -> tuple[Improvement, ...]:
    varying = np.flatnonzero(contrast.varies)
    influence = contrast.influence[:, varying]
    volatility = None if contrast.volatility is None else contrast.volatility[:, varying]
    difference = contrast.difference * scale
    error = _errors(influence, volatility, horizon, draws.block_length) * scale
    statistics = difference[varying] / error
    simulated = studentised_means(influence, draws)
    p_values = with_unseen(step_down(statistics, simulated), statistics, simulated, n_trials - len(names))
    both = float(np.quantile(np.abs(simulated).max(axis=1), confidence)) * error
    below = difference[varying] - np.quantile(simulated, confidence, axis=0) * error
    rows = [_undefined(name, float(value)) for name, value in zip(names, difference, strict=True)]
    for position, (column, p) in enumerate(zip(varying, p_values, strict=True)):
        value, half = float(difference[column]), float(both[position])
        numbers = (value, float(error[position]), float(statistics[position]))
        rows[column] = Improvement(names[column], *numbers, p, value - half, value + half, float(below[position]))
    return tuple(rows)


def _errors(influence: FloatArray, volatility: FloatArray | None, horizon: int, block_length: float) -> FloatArray:
    """Standard errors; of means the larger of the long-run one and the bootstrap's own: scores can be persistent."""
    error = standard_errors(influence, horizon, volatility)
    if volatility is not None:
        return error
    return np.maximum(error, np.sqrt(stationary_variance(influence, block_length) / len(influence)))


def with_unseen(p_values: list[PValue], statistics: FloatArray, simulated: FloatArray, unseen: int) -> list[PValue]:
    """P-values after `unseen` further trials without a series, taken as independent (Sidak).

    The chance that one of those reaches a statistic is the larger of the normal tail and that of the pooled resamples.
    """
    if unseen == 0:
        return p_values
    pooled = np.sort(simulated, axis=None)
    tail = 1.0 - np.searchsorted(pooled, statistics) / pooled.size
    single = np.maximum(tail, ndtr(-statistics))
    spared = (1.0 - single) ** unseen
    return [
        PValue(1.0 - (1.0 - p.value) * float(none), p.error * float(none))
        for p, none in zip(p_values, spared, strict=True)
    ]


def _undefined(name: str, difference: float) -> Improvement:
    nan = float("nan")
    reason = Reason.ZERO_VARIANCE_DIFFERENCE
    return Improvement(name, difference, nan, nan, PValue(1.0, 0.0), nan, nan, nan, reason)


def _drawdown_gap(pair: FloatArray, paths: IntArray) -> FloatArray:
    """Drawdown of the first column minus that of the second [paths] along date indices [paths, n_sessions]."""
    first, second = (_drawdowns(np.ascontiguousarray(column)[paths]) for column in pair.T)
    return np.asarray(first - second)


def _drawdowns(returns: FloatArray) -> FloatArray:
    """Maximum drawdown [paths] of returns [paths, n_sessions]; the start is the first peak, ruin is -1."""
    wealth = np.cumprod(np.maximum(1.0 + returns, 0.0), axis=1)
    peak = np.maximum(np.maximum.accumulate(wealth, axis=1), 1.0)
    return np.asarray(np.minimum((wealth / peak).min(axis=1) - 1.0, 0.0))
