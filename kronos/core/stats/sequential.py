"""Always-valid monitoring: has a config become worse than its own evidence, asked every day, at one total error.

The null hypothesis is that the live mean is not below the mean of the evidence (by more than a margin). Both means are
unknown. With n sessions of evidence and m live ones the statistic

    S_m = u_m (mean of evidence - mean of live) / s,        u_m = n m / (n + m),

is Brownian motion on the clock u under equality: the uncertainty of the evidence slows the clock, which never passes n.
(S is the weighted sum of the recursive residuals of Brown, Durbin & Evans, and exp(d S - d^2 u / 2) is the likelihood
ratio that is invariant to the common level, Perez-Ortiz et al.) For bets d chosen before each session

    E_m = exp(sum of d x increment of S - d^2/2 x increment of V),     increment of V = (r^2 + 2 v) / 3 x that of u,

with r the standardised deviation from the evidence and v its predicted square; because exp(x - x^2/6) <= 1 + x + x^2/3
(Delyon) this is a supermartingale for any tails and any skewness once the variance is right. A mixture over ways to
bet is an e-process: the probability that it ever reaches 1/alpha is at most alpha (Ville), however often one looks.

Two ways are mixed. The patient one aims at a horizon of two years: it bets as the Brownian martingale does that is the
chance, given S and u, of reaching a fixed level before the horizon, divided by alpha; that spends the whole error by
then and finds more than any constant bet. The quick one bets on a collapse, which is found in weeks. Restarts each
year, weighted so that the error stays within alpha (union bound), find drops that begin late.

What is assumed: the mean of the evidence is near normal (hundreds of sessions); dependence is short and its long-run
variance, estimated on the evidence, does not grow.

References
----------
Ville (1939); Robbins (1970), Ann. Math. Stat. 41; Brown, Durbin & Evans (1975), JRSS B 37;
Delyon (2009), Electronic J. Probability 14; Howard, Ramdas, McAuliffe & Sekhon (2020), Probability Surveys 17;
Ramdas, Grunwald, Vovk & Shafer (2023), Statistical Science 38; Perez-Ortiz, Lardy, de Heide & Grunwald (2024),
"E-statistics, group invariance and anytime-valid testing", Annals of Statistics 52;
Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024), Annals of Statistics 52: the asymptotic sense of "valid".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import numpy as np
from scipy import signal, special

from kronos.core.metrics.hac import long_run_sums
from kronos.core.stats.matrix import (
    DateArray,
    FloatArray,
    Inconclusive,
    LossMatrix,
    Reason,
    ReturnMatrix,
    is_constant,
    require_returns,
)
from kronos.core.stats.sharpe import sharpe_ratios
from kronos.errors import BadValue

HORIZON_YEARS: Final = 2.0
"""When the patient bets have spent their error."""
LAST_WAIT_YEARS: Final = 1.0 / 24.0
"""They never take the time left for shorter, on the clock u: at its very end they would grow without bound."""
LARGEST_BET: Final = 6.0
"""Largest patient bet, as a drop of the annual Sharpe ratio."""
COLLAPSE: Final = 5.0
COLLAPSE_SHARE: Final = 0.1
"""The drop of the annual Sharpe ratio that the quick bet is sized for, and its weight: a drop of 5 is found in half the
time for 1.5 % less power against a drop of 2."""

RESTART_SHARE: Final = 0.1
"""Part of alpha kept for yearly restarts; restart k gets 1 / (k (k + 1)) of it."""

VOLATILITY_DECAY: Final = 0.97
WARM_UP: Final = 63
"""Observations that start the volatility forecast and are then left out, and the weight of the predicted variance 1."""

LARGEST_SCORE: Final = 5.0
"""Standardised values are cut here, in evidence and live alike: no single day decides."""

SMALLEST_VOLATILITY: Final = 0.1
"""Floor of the volatility forecast as a share of the evidence's standard deviation: idle weeks divide by no zero."""

MIN_REFERENCE: Final = 250
CONSTANT_AFTER: Final = 20
"""Live observations that may be equal before the record counts as broken."""


@dataclass(frozen=True, eq=False)
class Monitoring:
    """The e-process of one config up to its last live session.

    log_e: [n_looks], natural logarithm of the e-process at `dates`; at or above log(1/alpha) it raises the alarm.
    p_value: always-valid, 1 / the largest e-value so far. reference and live are the annual Sharpe ratio (returns;
    live is None in the first weeks) or the mean loss. drop is what is tested, in annual standardised units: positive
    is worse than the evidence.
    """

    name: str
    kind: Literal["sharpe", "loss"]
    n_reference: int
    n_live: int
    alpha: float
    margin: float
    dates: DateArray
    log_e: FloatArray
    largest_e: float
    p_value: float
    alarm_date: date | None
    reference: float
    live: float | None
    drop: float


def monitor_sharpe(
    returns: ReturnMatrix, name: str, live_from: date, *, alpha: float = 0.05, margin: float = 0.0
) -> Monitoring | Inconclusive:
    """Watch a config's risk-adjusted return since `live_from` against its own earlier evidence.

    Returns are divided by a volatility forecast made from past returns only, so that neither leverage nor a calm or
    wild market counts as skill; their mean is a conditional Sharpe ratio. margin is a drop of the annual Sharpe ratio
    that is tolerated (evidence that was selected is too good: leave room). Overlapping horizons use every h-th session.
    """
    split = _split(require_returns(returns), name, live_from)
    if isinstance(split, Inconclusive):
        return split
    reference, live, dates = split
    scores = _risk_scaled(np.concatenate([reference, live]), len(reference))
    found = _monitor(scores[WARM_UP : len(reference)], scores[len(reference) :], returns, alpha, margin)
    before = float(sharpe_ratios(reference)) * math.sqrt(returns.annual_factor)
    return _result(found, name, "sharpe", dates, before, _live_sharpe(live, returns.annual_factor))


def monitor_loss(
    losses: LossMatrix, name: str, live_from: date, *, alpha: float = 0.05, margin: float = 0.0
) -> Monitoring | Inconclusive:
    """Watch a forecaster's daily mean loss (Brier, log loss) since `live_from` against its own earlier evidence.

    margin: tolerated rise, in annual standardised units (standard deviations of the daily loss x sqrt(sessions)).
    """
    if not isinstance(losses, LossMatrix):
        raise BadValue("matrix", type(losses).__name__, "a LossMatrix (lower is better)")
    split = _split(losses, name, live_from)
    if isinstance(split, Inconclusive):
        return split
    reference, live, dates = split
    centre, spread = reference.mean(), reference.std()
    cut = [np.clip((centre - part) / spread, -LARGEST_SCORE, LARGEST_SCORE) for part in (reference, live)]
    found = _monitor(cut[0], cut[1], losses, alpha, margin)
    return _result(found, name, "loss", dates, float(centre), float(live.mean()))


def log_e_process(reference: FloatArray, live: FloatArray, year: float, alpha: float) -> FloatArray:
    """Logarithm of the e-process after each live observation, [n_live], for one start and no restarts.

    reference [n_reference] and live [n_live] are scores (higher is better) with a standard deviation near 1; year is
    observations a year; alpha the error the patient bets aim at: any other level is as valid, with less power. Serial
    correlation is taken from the reference.
    """
    inflation = _inflation(reference)
    deviations = (live - reference.mean()) / reference.std()
    m = np.arange(1.0, len(live) + 1.0)
    clock = len(reference) * m / (len(reference) + m)
    evidence = -np.cumsum(deviations) / m * clock / inflation
    squares = deviations**2
    predicted = (WARM_UP + np.cumsum(squares) - squares) / (WARM_UP + m - 1.0)
    variance = np.diff(clock, prepend=0.0) * (squares + 2.0 * predicted) / 3.0
    horizon = HORIZON_YEARS * year
    end = len(reference) * horizon / (len(reference) + horizon)
    seen, passed = (np.concatenate([[0.0], path[:-1]]) for path in (evidence, clock))
    patient = _patient_bets(seen, passed, end, year, alpha * (1.0 - COLLAPSE_SHARE))
    bets = np.stack([patient, np.full(len(live), COLLAPSE / math.sqrt(year))])
    log_e = np.cumsum(bets * np.diff(evidence, prepend=0.0) - bets**2 / 2.0 * variance, axis=1)
    weights = np.log([[1.0 - COLLAPSE_SHARE], [COLLAPSE_SHARE]])
    return np.asarray(np.logaddexp.reduce(weights + log_e, axis=0))


def _patient_bets(seen: FloatArray, passed: FloatArray, end: float, year: float, alpha: float) -> FloatArray:
    """Bets per observation given the evidence `seen` and the clock `passed` before it; none once the clock is at `end`.

    The chance that Brownian motion at S reaches c within a time w is 2 (1 - Phi(z)), z = (c - S) / sqrt(w); the bet is
    the slope of its logarithm in S. c is what is reached with probability alpha from the start.
    """
    level = math.sqrt(end) * float(-special.ndtri(alpha / 2.0))
    left = np.sqrt(np.maximum(end - passed, LAST_WAIT_YEARS * year))
    z = (level - seen) / left
    slope = np.exp(-(z**2) / 2.0 - special.log_ndtr(-z)) / (math.sqrt(2.0 * math.pi) * left)
    return np.where(passed < end, np.minimum(slope, LARGEST_BET / math.sqrt(year)), 0.0)


def _inflation(reference: FloatArray) -> float:
    """Square root of long-run over plain variance, at least 1: reversal is not trusted to make evidence stronger."""
    centred = reference - reference.mean()
    return math.sqrt(max(1.0, float(long_run_sums(centred[None, :], 1)[0] / (centred**2).sum())))


def _risk_scaled(values: FloatArray, n_reference: int) -> FloatArray:
    """Values over an exponentially weighted volatility forecast from earlier values, cut at LARGEST_SCORE."""
    start = (values[:WARM_UP] ** 2).mean()
    decayed, _ = signal.lfilter(
        [1.0 - VOLATILITY_DECAY], [1.0, -VOLATILITY_DECAY], values**2, zi=[VOLATILITY_DECAY * start]
    )
    forecast = np.sqrt(np.concatenate([[start], decayed[:-1]]))
    floor = SMALLEST_VOLATILITY * values[:n_reference].std()
    return np.asarray(np.clip(values / np.maximum(forecast, floor), -LARGEST_SCORE, LARGEST_SCORE))


def _split(
    matrix: ReturnMatrix | LossMatrix, name: str, live_from: date
) -> tuple[FloatArray, FloatArray, DateArray] | Inconclusive:
    """Reference, live and live dates: every h-th session, counted from the first live one in both directions."""
    series, step = matrix.column(name), matrix.horizon
    first = int(np.searchsorted(matrix.dates, np.datetime64(live_from, "D")))
    reference = series[: max(first - step + 1, 0)][::-step][::-1]  # its last value ends where the live record begins
    live, dates = series[first::step], matrix.dates[first::step]
    if len(reference) < MIN_REFERENCE:
        return Inconclusive(Reason.TOO_SHORT, f"{len(reference)} observations of evidence: {MIN_REFERENCE} needed")
    if len(live) == 0:
        return Inconclusive(Reason.TOO_SHORT, f"no live session since {live_from}")
    if is_constant(reference[:, None])[0] or (len(live) >= CONSTANT_AFTER and is_constant(live[:, None])[0]):
        return Inconclusive(Reason.CONSTANT, f"evidence or live record of {name}")
    return reference, live, dates


@dataclass(frozen=True, slots=True)
class _Found:
    n_reference: int
    alpha: float
    margin: float
    log_e: FloatArray
    drop: float


def _monitor(
    reference: FloatArray, live: FloatArray, matrix: ReturnMatrix | LossMatrix, alpha: float, margin: float
) -> _Found:
    """The largest of the weighted e-processes started at the first live observation and each year after."""
    if not 0.0 < alpha < 1.0 or not margin >= 0.0:
        raise BadValue("alpha, margin", (alpha, margin), "a level inside (0, 1) and a margin of at least 0")
    annual = math.sqrt(matrix.annual_factor)
    tolerated = live + margin / annual * reference.std()

    def started(first: int, weight: float) -> FloatArray:
        return math.log(weight) + log_e_process(reference, tolerated[first:], matrix.annual_factor, alpha * weight)

    log_e = started(0, 1.0 - RESTART_SHARE)
    year = max(1, round(matrix.annual_factor))
    for k, start in enumerate(range(year, len(live), year), start=1):
        log_e[start:] = np.maximum(log_e[start:], started(start, RESTART_SHARE / (k * (k + 1))))
    drop = float((reference.mean() - live.mean()) / reference.std()) * annual
    return _Found(len(reference), alpha, margin, log_e, drop)


def _result(
    found: _Found, name: str, kind: Literal["sharpe", "loss"], dates: DateArray, reference: float, live: float | None
) -> Monitoring:
    alarms = np.flatnonzero(found.log_e >= -math.log(found.alpha))
    largest = float(np.exp(min(found.log_e.max(), 700.0)))
    return Monitoring(
        name=name,
        kind=kind,
        n_reference=found.n_reference,
        n_live=len(found.log_e),
        alpha=found.alpha,
        margin=found.margin,
        dates=dates,
        log_e=found.log_e,
        largest_e=largest,
        p_value=min(1.0, 1.0 / largest),
        alarm_date=dates[alarms[0]].item() if alarms.size else None,
        reference=reference,
        live=live,
        drop=found.drop,
    )


def _live_sharpe(values: FloatArray, annual_factor: float) -> float | None:
    """Annual Sharpe ratio of a live record, None while it is too short to have one."""
    if len(values) < CONSTANT_AFTER:
        return None
    return float(sharpe_ratios(values)) * math.sqrt(annual_factor)
