"""Inference on one Sharpe ratio, and on the difference of two.

Every Sharpe ratio in a formula is per observation (a session, or an overlapping horizon return) unless its name says
annual. Kurtosis is the plain fourth standardised moment: 3 for a normal distribution.

References
----------
Lo (2002), "The statistics of Sharpe ratios", Financial Analysts Journal 58(4): asymptotic error, normal returns.
Mertens (2002), "Comments on variance of the IID estimator in Lo (2002)", Univ. of Basel; Opdyke (2007), J. Asset
    Management 8: the same for any independent returns with four moments.
Bailey & Lopez de Prado (2012), "The Sharpe ratio efficient frontier", J. Risk 15(2): PSR, minimum track record length.
Bailey & Lopez de Prado (2014), "The deflated Sharpe ratio", J. Portfolio Management 40(5).
Bailey, Borwein, Lopez de Prado & Zhu (2014), "Pseudo-mathematics and financial charlatanism", Notices of the AMS 61(5):
    expected maximum, minimum backtest length.
Ledoit & Wolf (2008), "Robust performance hypothesis testing with the Sharpe ratio", J. Empirical Finance 15.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from kronos.core.conventions import CONFIDENCE, STD_DDOF
from kronos.core.metrics.hac import long_run_sums
from kronos.core.stats.matrix import (
    FloatArray,
    Inconclusive,
    Reason,
    ReturnMatrix,
    require_returns,
    too_few_blocks,
)
from kronos.errors import BadValue

SMALLEST_INFLUENCE: Final = 1e-10
"""Standardised influences that differ by less than this are equal up to rounding."""


@dataclass(frozen=True, slots=True)
class SharpeEvidence:
    """What one series says about its Sharpe ratio.

    sharpe, standard_error and benchmark are per observation; annual values are these times sqrt(annual_factor).
    standard_error is the larger of `error_independent` (Mertens) and `error_hac`; at overlapping horizons it is
    `error_hac`, because the other assumes independence. psr and dsr are probabilities in [0, 1].
    """

    name: str
    n_sessions: int
    horizon: int
    annual_factor: float
    sharpe: float
    skew: float
    kurtosis: float
    error_independent: float
    error_hac: float
    standard_error: float
    benchmark: float
    psr: float
    n_trials: float
    dispersion: float
    expected_maximum: float
    dsr: float

    @property
    def annual_sharpe(self) -> float:
        """Sharpe ratio a year."""
        return self.sharpe * math.sqrt(self.annual_factor)


@dataclass(frozen=True, slots=True)
class SharpeDifference:
    """Sharpe ratio of the candidate minus that of the incumbent, both annual, over the same sessions.

    p_value is one-sided: small when the candidate is better. low and high bound the difference at `confidence`.
    """

    candidate: str
    incumbent: str
    n_sessions: int
    horizon: int
    difference: float
    standard_error: float
    statistic: float
    p_value: float
    low: float
    high: float
    confidence: float


def sharpe_ratios(values: FloatArray) -> FloatArray:
    """Mean over standard deviation (ddof 1) of each column of [n_sessions, n_configs], per observation."""
    return np.asarray(values.mean(axis=0) / values.std(axis=0, ddof=STD_DDOF))


def sharpe_influences(values: FloatArray) -> FloatArray:
    """Influence of each session on each column's Sharpe ratio: z - SR/2 (z^2 - 1), shape [n_sessions, n_configs].

    Its mean is zero, and sqrt(long-run variance / n) is the standard error: the delta method of Lo (2002) and of
    Ledoit & Wolf (2008) in one series, without assuming normal or independent returns.
    """
    mean, spread = values.mean(axis=0), values.std(axis=0)
    scores = (values - mean) / spread
    return np.asarray(scores - 0.5 * (mean / spread) * (scores**2 - 1.0))


def hac_errors(influences: FloatArray, horizon: int) -> FloatArray:
    """Standard error of the mean of each column of influences [n_sessions, n_series] under serial correlation.

    Rectangular lag h-1 for overlapping horizons with a Bartlett fallback, automatic Bartlett for h = 1; with Ledoit &
    Wolf's small-sample factor n / (n - 4).
    """
    n = len(influences)
    sums = long_run_sums(np.ascontiguousarray(influences.T), horizon)
    return np.asarray(np.sqrt(sums * n / (n - 4.0)) / n)


def sharpe_error(sharpe: float, n: int, skew: float = 0.0, kurtosis: float = 3.0) -> float:
    """Standard error of a Sharpe ratio of n independent observations: sqrt((1 - g3 SR + (g4-1)/4 SR^2) / (n-1)).

    Mertens (2002) with the n - 1 of Bailey & Lopez de Prado (2012); skew 0 and kurtosis 3 give Lo (2002). Raises
    `BadValue` for moments no distribution has (kurtosis < 1 + skew^2) or n < 2.
    """
    if n < 2 or not all(map(math.isfinite, (sharpe, skew, kurtosis))):
        raise BadValue("n, sharpe, skew, kurtosis", (n, sharpe, skew, kurtosis), "finite numbers and n >= 2")
    if kurtosis < 1.0 + skew * skew - 1e-9:
        raise BadValue("kurtosis", kurtosis, f"at least 1 + skew^2 = {1.0 + skew * skew:g}")
    return math.sqrt(max(1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2, 0.0) / (n - 1.0))


def probabilistic_sharpe(
    sharpe: float, benchmark: float, n: int, skew: float = 0.0, kurtosis: float = 3.0
) -> float | Inconclusive:
    """Probability that the true Sharpe ratio exceeds the benchmark (PSR), independent returns, in [0, 1].

    Parameters are per observation. `ZERO_VARIANCE_DIFFERENCE` when the moments leave no sampling error.
    """
    error = sharpe_error(sharpe, n, skew, kurtosis)
    if not error > 0.0:
        return Inconclusive(Reason.ZERO_VARIANCE_DIFFERENCE, "the Sharpe ratio has no sampling error")
    return float(special.ndtr((sharpe - benchmark) / error))


def expected_maximum(n_trials: float) -> float:
    """Expected largest of n_trials independent standard normal Sharpe estimates (false-strategy theorem), >= 0.

    (1-g) Z(1 - 1/N) + g Z(1 - 1/(N e)) with Euler's g; 0 for a single trial. n_trials may be fractional (effective).
    """
    if not (n_trials >= 1.0 and math.isfinite(n_trials)):
        raise BadValue("n_trials", n_trials, "a number of at least 1")
    if n_trials == 1.0:
        return 0.0
    near, far = special.ndtri(1.0 - 1.0 / n_trials), special.ndtri(1.0 - 1.0 / (n_trials * math.e))
    return max(0.0, float((1.0 - np.euler_gamma) * near + np.euler_gamma * far))


def deflated_sharpe(
    sharpe: float, n: int, n_trials: float, dispersion: float, skew: float = 0.0, kurtosis: float = 3.0
) -> float | Inconclusive:
    """PSR against the Sharpe ratio the best of n_trials worthless trials is expected to show, in [0, 1].

    dispersion is the standard deviation across trials of the Sharpe ratio per observation, without the winner and not
    below its floor: see `trials.sharpe_dispersion`.
    """
    return probabilistic_sharpe(sharpe, _deflated_benchmark(n_trials, dispersion), n, skew, kurtosis)


def _deflated_benchmark(n_trials: float, dispersion: float) -> float:
    if not (dispersion > 0.0 and math.isfinite(dispersion)):
        raise BadValue("dispersion", dispersion, "a positive number")
    return dispersion * expected_maximum(n_trials)


def minimum_track_record(
    sharpe: float, benchmark: float, skew: float = 0.0, kurtosis: float = 3.0, confidence: float = CONFIDENCE
) -> float | Inconclusive:
    """Observations needed before the PSR against the benchmark reaches `confidence` (MinTRL).

    `NO_POSITIVE_EDGE` when the Sharpe ratio does not exceed the benchmark: then no length suffices.
    """
    if sharpe <= benchmark:
        return Inconclusive(Reason.NO_POSITIVE_EDGE, f"Sharpe ratio {sharpe:g} does not exceed {benchmark:g}")
    spread = sharpe_error(sharpe, 2, skew, kurtosis)
    return 1.0 + (spread * float(special.ndtri(confidence)) / (sharpe - benchmark)) ** 2


def minimum_backtest_years(n_trials: float, annual_sharpe: float = 1.0) -> float:
    """Years below which the best of n_trials worthless trials is expected to show this annual Sharpe ratio (MinBTL)."""
    if not annual_sharpe > 0.0:
        raise BadValue("annual_sharpe", annual_sharpe, "a positive number")
    return (expected_maximum(n_trials) / annual_sharpe) ** 2


def sharpe_evidence(
    returns: ReturnMatrix, name: str, *, n_trials: float = 1.0, dispersion: float, annual_benchmark: float = 0.0
) -> SharpeEvidence | Inconclusive:
    """Sharpe ratio of one config with errors, PSR against an annual benchmark, and DSR over n_trials.

    dispersion is per observation (`trials.sharpe_dispersion`). Both probabilities use the larger standard error, so
    that they never exceed the published formulas' values. `TOO_FEW_BLOCKS` below 20 non-overlapping observations.
    """
    series = require_returns(returns).column(name)
    short = too_few_blocks(len(series), returns.horizon)
    if short is not None:
        return short
    sharpe = float(sharpe_ratios(series))
    skew, kurtosis = _moments(series)
    independent = sharpe_error(sharpe, len(series), skew, kurtosis)
    hac = float(hac_errors(sharpe_influences(series[:, None]), returns.horizon)[0])
    error = max(independent, hac) if returns.horizon == 1 else hac
    if not error > 0.0:
        return Inconclusive(Reason.ZERO_VARIANCE_DIFFERENCE, f"the Sharpe ratio of {name} has no sampling error")
    benchmark = annual_benchmark / math.sqrt(returns.annual_factor)
    deflated = _deflated_benchmark(n_trials, dispersion)
    return SharpeEvidence(
        name=name,
        n_sessions=len(series),
        horizon=returns.horizon,
        annual_factor=returns.annual_factor,
        sharpe=sharpe,
        skew=skew,
        kurtosis=kurtosis,
        error_independent=independent,
        error_hac=hac,
        standard_error=error,
        benchmark=benchmark,
        psr=float(special.ndtr((sharpe - benchmark) / error)),
        n_trials=n_trials,
        dispersion=dispersion,
        expected_maximum=deflated,
        dsr=float(special.ndtr((sharpe - deflated) / error)),
    )


def _moments(series: FloatArray) -> tuple[float, float]:
    """Skewness and kurtosis (3 for a normal distribution), population moments."""
    scores = (series - series.mean()) / series.std()
    return float((scores**3).mean()), float((scores**4).mean())


def sharpe_difference(
    returns: ReturnMatrix, candidate: str, incumbent: str, *, confidence: float = CONFIDENCE
) -> SharpeDifference | Inconclusive:
    """Ledoit-Wolf test of a Sharpe difference with HAC errors; Student's t with n/h - 1 degrees of freedom.

    Scale-free: leverage changes nothing, and a levered copy is `SCALED_COPY`. Assumes stationary returns with four
    moments; liberal in small samples, which is why gates use the studentised bootstrap of the same statistic.
    """
    pair = require_returns(returns).values[:, [returns.index(candidate), returns.index(incumbent)]]
    short = too_few_blocks(len(pair), returns.horizon)
    if short is not None:
        return short
    influences = sharpe_influences(pair)
    contrast = influences[:, 0] - influences[:, 1]
    if np.abs(contrast).max() < SMALLEST_INFLUENCE:
        return Inconclusive(Reason.SCALED_COPY, f"{candidate} is {incumbent} times a constant")
    error = float(hac_errors(contrast[:, None], returns.horizon)[0])
    if not error > 0.0:
        return Inconclusive(Reason.ZERO_VARIANCE_DIFFERENCE, f"{candidate} and {incumbent}")
    ratios = sharpe_ratios(pair)
    annual = math.sqrt(returns.annual_factor)
    freedom = max(len(pair) / returns.horizon - 1.0, 1.0)
    difference, error = float(ratios[0] - ratios[1]) * annual, error * annual
    half = float(special.stdtrit(freedom, 0.5 + confidence / 2.0)) * error
    return SharpeDifference(
        candidate=candidate,
        incumbent=incumbent,
        n_sessions=len(pair),
        horizon=returns.horizon,
        difference=difference,
        standard_error=error,
        statistic=difference / error,
        p_value=float(special.stdtr(freedom, -difference / error)),
        low=difference - half,
        high=difference + half,
        confidence=confidence,
    )
