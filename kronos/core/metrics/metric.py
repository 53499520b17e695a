"""What a registered metric is: one definition that carries its unit, direction, limits and source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kronos.core.conventions import DEFAULT_SESSIONS_PER_YEAR
from kronos.core.vocabulary import Undefined

Floats = NDArray[np.float64]
Number = float | pl.Expr
Bounds = tuple[float, float]


class Unit(StrEnum):
    """What one unit of a metric is."""

    RETURN = "fraction of capital"
    RETURN_PER_YEAR = "fraction of capital per year"
    RATIO = "ratio"
    SHARE = "share in [0, 1]"
    SCORE = "score"
    MONEY = "currency of the market"
    COUNT = "count"
    PER_THOUSAND = "per 1000 decisions"


class Better(StrEnum):
    """Which direction of a metric is good."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


class Column(StrEnum):
    """Columns of a book series that series metrics read."""

    RETURN = "return"  # over the horizon, dated by decision
    GROWTH = "growth"  # return / horizon, dated by evaluation: what wealth compounds
    CONTRIBUTION = "contribution"  # the slice's part of the book return


@dataclass(frozen=True)
class Basis:
    """How a series is annualised: observations per year and risk-free return per observation.

    For returns over h sessions the factor is A/h; with A itself a 21-session Sharpe would be overstated by sqrt(21).
    Either field may be an expression (a column's value within a group).
    """

    factor: Number = float(DEFAULT_SESSIONS_PER_YEAR)
    risk_free: Number = 0.0
    horizon: int = 1


@dataclass(frozen=True)
class Numbers:
    """The basis of one group, as plain numbers, for interval formulas."""

    factor: float
    risk_free: float
    horizon: int


def identity(value: float) -> float:
    """The scale on which most intervals are symmetric."""
    return value


@dataclass(frozen=True)
class Analytic:
    """Interval by influence function: value +- t x sqrt(long-run variance / n) on a scale of `forward`."""

    influence: Callable[[Floats, Numbers], Floats]
    """Observations -> their influence on `forward(metric)`, mean zero."""
    forward: Callable[[float], float] = identity
    back: Callable[[float], float] = identity
    total: bool = False
    """The metric is a sum, not a mean: its error is n times the mean's."""


@dataclass(frozen=True)
class Direct:
    """Interval straight from the observations."""

    bounds: Callable[[Floats, Numbers], Bounds | Undefined]


IntervalRule = Analytic | Direct | Undefined


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Header shared by all kinds of metrics."""

    id: str
    meaning: str
    unit: Unit
    better: Better
    reference: str
    least: int = 1
    """Fewest observations for a number."""
    annualised: bool = False


Formula = Callable[[pl.Expr, Basis], pl.Expr]


@dataclass(frozen=True)
class Composed:
    """A formula of the values of other formulas, which a plan may compute once for several metrics."""

    parts: tuple[Formula, ...]
    of: Callable[..., pl.Expr]
    """The parts' values -> the formula's value."""

    def __call__(self, series: pl.Expr, basis: Basis) -> pl.Expr:
        """The formula of a series."""
        return self.of(*(part(series, basis) for part in self.parts))


def _word(condition: pl.Expr, word: Undefined) -> pl.Expr:
    return pl.when(condition).then(pl.lit(word.value))


@dataclass(frozen=True, kw_only=True)
class SeriesMetric(Metric):
    """A number of one series; null observations are skipped, order matters only to wealth metrics."""

    column: Column
    formula: Formula
    guards: tuple[tuple[Undefined, Formula], ...] = ()
    """Conditions, in order of precedence, under which there is a reason instead of a number."""
    interval: IntervalRule
    independent: int = 0
    """Fewest observations divided by the horizon."""

    def least_for(self, horizon: int) -> int:
        """Fewest observations at a horizon: overlapping ones count for 1/h."""
        return max(self.least, self.independent * horizon)

    def reason(self, series: pl.Expr, basis: Basis) -> pl.Expr:
        """Why there is no number (a word of `Undefined`), null where there is one."""
        guards = [guard(series, basis) for _, guard in self.guards]
        # sorting and counting formulas would step over a NaN and look fine
        value = pl.when(~series.is_nan().any()).then(self.formula(series, basis))
        return self.settle(series.count(), value, guards, basis.horizon)

    def settle(self, n: pl.Expr, value: pl.Expr, guards: Sequence[pl.Expr], horizon: int) -> pl.Expr:
        """`reason` from what was computed before: observations, the formula's value, and each guard in order."""
        return pl.coalesce(
            _word(n == 0, Undefined.NO_OBSERVATIONS),
            _word(n < self.least_for(horizon), Undefined.TOO_FEW_OBSERVATIONS),
            *(_word(found.fill_null(False), word) for found, (word, _) in zip(guards, self.guards, strict=True)),
            _word(~value.is_finite().fill_null(False), Undefined.OUT_OF_RANGE),
        )

    def expression(self, series: pl.Expr, basis: Basis | None = None) -> pl.Expr:
        """The metric of a series, null where `reason` has a word. For select, group_by().agg and lazy plans."""
        basis = basis or Basis()
        return pl.when(self.reason(series, basis).is_null()).then(self.formula(series, basis))


@dataclass(frozen=True, kw_only=True)
class RatioMetric(Metric):
    """scale x sum(numerator) / sum(denominator) of the daily cell measures; the interval is clustered by date."""

    numerator: str
    denominator: str
    scale: float = 1.0
    absent: Undefined = Undefined.NO_OBSERVATIONS
    """The reason where the denominator is zero."""
    floor: float = float("-inf")
    ceiling: float = float("inf")
    """Where intervals are cut: a share does not leave [0, 1]."""

    def expression(self) -> pl.Expr:
        """The ratio over the measures' columns, null where the denominator is zero."""
        denominator = pl.col(self.denominator).sum()
        return pl.when(denominator > 0).then(self.scale * pl.col(self.numerator).sum() / denominator)


@dataclass(frozen=True, kw_only=True)
class CountMetric(Metric):
    """An exact sum of a daily measure; defined when `carrier` counted anything."""

    measure: str
    carrier: str
    """The measure that counts what could have carried a value; zero means the sum says nothing."""
    share: bool = False
    """Divided by the carrier."""
    absent: Undefined = Undefined.NO_OBSERVATIONS

    def expression(self) -> pl.Expr:
        """The sum over the measures' columns, null where nothing was carried."""
        total, carried = pl.col(self.measure).sum(), pl.col(self.carrier).sum()
        return pl.when(carried > 0).then(total / carried if self.share else total)


@dataclass(frozen=True, kw_only=True)
class CalibrationMetric(Metric):
    """A number of the reliability bins of one or several targets, and of the raw score over them."""

    targets: str
    """Prefix of the calibration targets it reads: `event` or `class:`."""
    part: str
    """Field of `CalibrationParts`."""


@dataclass(frozen=True)
class CalibrationParts:
    """CORP decomposition: score = miscalibration - discrimination + uncertainty, exactly; and the ECE."""

    miscalibration: float
    discrimination: float
    uncertainty: float
    ece: float
    n: int
