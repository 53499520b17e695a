"""What a test could find before it is run: years needed, minimum detectable effect, power at a planned end date.

All from the normal approximation sqrt(years) x IR ~ N(sqrt(years) x true IR, 1) of an annual information ratio, and a
one-sided level alpha shared by n_trials by Sidak. Correlated trials need less, so the answers err on the long side.

References
----------
Lo (2002), Financial Analysts Journal 58(4): the standard error of an annual Sharpe ratio is about 1/sqrt(years).
Cohen (1988), "Statistical power analysis for the behavioral sciences", 2nd ed.
Grinold & Kahn (2000), "Active portfolio management", 2nd ed., ch. 5: the t-statistic is IR x sqrt(years).
"""

from __future__ import annotations

import math
from datetime import date
from typing import Final

from scipy import special

from kronos.core.stats.matrix import Inconclusive, Reason
from kronos.core.stats.trials import sidak_level
from kronos.errors import BadValue

DEFAULT_POWER: Final = 0.8
DAYS_PER_YEAR: Final = 365.25


def critical_z(alpha: float, n_trials: float = 1.0) -> float:
    """One-sided normal quantile at which the family of n_trials keeps level alpha."""
    return float(-special.ndtri(sidak_level(alpha, n_trials)))


def years_needed(
    information_ratio: float, *, alpha: float, n_trials: float = 1.0, power: float = DEFAULT_POWER
) -> float | Inconclusive:
    """Years until a true annual information ratio is found with this power: ((z_crit(N) + z_power) / IR)^2.

    `NO_POSITIVE_EDGE` when the hoped-for ratio is not positive.
    """
    if not information_ratio > 0.0:
        return Inconclusive(Reason.NO_POSITIVE_EDGE, f"information ratio {information_ratio:g} is not positive")
    return (_distance(alpha, n_trials, power) / information_ratio) ** 2


def minimum_detectable_ratio(
    years: float, *, alpha: float, n_trials: float = 1.0, power: float = DEFAULT_POWER
) -> float:
    """Smallest true annual information ratio that `years` of data find with this power."""
    return max(0.0, _distance(alpha, n_trials, power)) / math.sqrt(_positive("years", years))


def power_of(information_ratio: float, years: float, *, alpha: float, n_trials: float = 1.0) -> float:
    """Probability that `years` of data find a true annual information ratio, in (0, 1)."""
    shift = information_ratio * math.sqrt(_positive("years", years))
    return float(special.ndtr(shift - critical_z(alpha, n_trials)))


def minimum_detectable_mean(
    standard_error: float, *, alpha: float, n_trials: float = 1.0, power: float = DEFAULT_POWER
) -> float:
    """Smallest true mean difference found with this power, in the unit of its standard error (scores, returns)."""
    return max(0.0, _distance(alpha, n_trials, power)) * _positive("standard_error", standard_error)


def power_by(information_ratio: float, start: date, end: date, *, alpha: float, n_trials: float = 1.0) -> float:
    """Power at a planned end date, counting from the first session of evidence; end must follow start."""
    if end <= start:
        raise BadValue("end", end, f"a date after {start}")
    return power_of(information_ratio, (end - start).days / DAYS_PER_YEAR, alpha=alpha, n_trials=n_trials)


def _distance(alpha: float, n_trials: float, power: float) -> float:
    if not 0.0 < power < 1.0:
        raise BadValue("power", power, "a probability inside (0, 1)")
    return critical_z(alpha, n_trials) + float(special.ndtri(power))


def _positive(name: str, value: float) -> float:
    if not (value > 0.0 and math.isfinite(value)):
        raise BadValue(name, value, "a positive number")
    return value
