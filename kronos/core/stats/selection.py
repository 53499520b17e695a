"""Is any config better than a benchmark, which ones, and which cannot be told from the best: tests over a family.

All compare means of a score that is oriented by its type: returns (higher is better) or losses (lower is better). All
share one set of stationary-bootstrap draws over the family, so correlated configs do not cost independent ones' power.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kronos.core.stats.bootstrap import (
    DEFAULT_RESAMPLES,
    Draws,
    drawing,
    planned_draws,
    resampled_means,
    stationary_variance,
    studentised_means,
)
from kronos.core.stats.long_run import standard_errors
from kronos.core.stats.matrix import (
    FloatArray,
    Inconclusive,
    LossMatrix,
    Reason,
    ReturnMatrix,
    higher_is_better,
    is_constant,
)
from kronos.errors import BadValue

Matrix = ReturnMatrix | LossMatrix


@dataclass(frozen=True, slots=True)
class PValue:
    """A bootstrap p-value in (0, 1], never zero, and its Monte-Carlo standard error."""

    value: float
    error: float

    def near(self, threshold: float) -> bool:
        """Whether other draws could put it on the other side of the threshold."""
        return abs(self.value - threshold) <= self.error


@dataclass(frozen=True, slots=True)
class SuperiorAbility:
    """Result of Hansen's SPA: is the best config better than the benchmark, given that it was searched for?

    `consistent` is the test's p-value; `lower` and `upper` bound it. `statistic` is the largest studentised mean
    difference (or plain mean difference, if not studentised) of `best`.
    """

    benchmark: str
    best: str
    statistic: float
    lower: PValue
    consistent: PValue
    upper: PValue
    studentised: bool
    block_length: float
    resamples: int


@dataclass(frozen=True, slots=True)
class Stepwise:
    """Result of Romano and Wolf's StepM: family-wise p-values, one per config but the benchmark."""

    benchmark: str
    p_values: dict[str, PValue]
    block_length: float
    resamples: int

    def superior(self, alpha: float) -> tuple[str, ...]:
        """Configs better than the benchmark, with a chance of at most alpha that any of them is named wrongly."""
        return tuple(name for name, p in self.p_values.items() if p.value <= alpha)


@dataclass(frozen=True, slots=True)
class ConfidenceSet:
    """Result of the model confidence set: each config's p-value for belonging to the best ones."""

    p_values: dict[str, PValue]
    block_length: float
    resamples: int

    def included(self, alpha: float) -> tuple[str, ...]:
        """Configs that contain the best one with a probability of at least 1 - alpha."""
        return tuple(name for name, p in self.p_values.items() if p.value > alpha)


def superior_ability(
    matrix: Matrix,
    benchmark: str,
    *,
    rng: np.random.Generator,
    resamples: int = DEFAULT_RESAMPLES,
    studentise: bool = True,
) -> SuperiorAbility | Inconclusive:
    """Test of superior predictive ability against a benchmark column.

    Studentised unless told otherwise: without it the most volatile config dominates the maximum.

    Reference: Hansen (2005), A test for superior predictive ability, J. Business & Economic Statistics 23.
    """
    family = _family(matrix, benchmark, rng, resamples)
    if isinstance(family, Inconclusive):
        return family
    draws = family.draws
    statistics, p_values = spa_p_values(family.edge, draws, studentise=studentise)
    best = int(statistics.argmax())
    return SuperiorAbility(
        benchmark,
        family.names[best],
        float(statistics[best]),
        *p_values,
        studentised=studentise,
        block_length=draws.block_length,
        resamples=draws.resamples,
    )


def stepwise(
    matrix: Matrix, benchmark: str, *, rng: np.random.Generator, resamples: int = DEFAULT_RESAMPLES
) -> Stepwise | Inconclusive:
    """Which configs are better than the benchmark column: studentised StepM, p-values adjusted for the whole family.

    References: Romano and Wolf (2005), Stepwise multiple testing as formalized data snooping, Econometrica 73;
    Romano and Wolf (2016), Efficient computation of adjusted p-values, Statistics & Probability Letters 113.
    """
    family = _family(matrix, benchmark, rng, resamples)
    if isinstance(family, Inconclusive):
        return family
    centred = family.edge - family.edge.mean(axis=0)
    statistics = family.edge.mean(axis=0) / standard_errors(centred, matrix.horizon)
    p_values = step_down(statistics, studentised_means(centred, family.draws))
    found = dict(zip(family.names, p_values, strict=True))
    return Stepwise(benchmark, found, family.draws.block_length, family.draws.resamples)


def model_confidence_set(
    matrix: Matrix, *, rng: np.random.Generator, resamples: int = DEFAULT_RESAMPLES
) -> ConfidenceSet | Inconclusive:
    """P-value of each config for belonging to the set that contains the best ones (T_max elimination).

    Being in the set is no merit by itself: with little data everybody is.

    Reference: Hansen, Lunde and Nason (2011), The model confidence set, Econometrica 79.
    """
    scores = higher_is_better(matrix)
    if matrix.n_configs < 2:
        return Inconclusive(Reason.NO_CANDIDATES, f"{matrix.names[0]} is the only config")
    draws = planned_draws(scores - scores.mean(axis=1, keepdims=True), matrix.horizon, drawing(rng, resamples))
    if isinstance(draws, Inconclusive):
        return draws
    p_values = confidence_set_p_values(-scores, draws)
    return ConfidenceSet(dict(zip(matrix.names, p_values, strict=True)), draws.block_length, draws.resamples)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number without assuming anything about dependence, in the order given, <= 1.

    Reference: Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian J. of Statistics 6.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if not ((values >= 0.0) & (values <= 1.0)).all():
        raise BadValue("p_values", list(p_values), "numbers in [0, 1]")
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(np.minimum(values[order] * np.arange(len(values), 0, -1), 1.0))
    return [float(value) for value in adjusted]


def p_value(exceedances: int, resamples: int) -> PValue:
    """(1 + exceedances) / (resamples + 1): valid at any number of resamples (Davison and Hinkley 1997, section 4.2)."""
    value = (1 + exceedances) / (resamples + 1)
    return PValue(value, float(np.sqrt(value * (1.0 - value) / (resamples + 1))))


def step_down(statistics: FloatArray, simulated: FloatArray) -> list[PValue]:
    """Family-wise p-values [k] of statistics [k] from their joint null distribution [resamples, k].

    Each is compared with the largest of those not yet rejected before it; p-values never fall along the steps.
    """
    order = np.argsort(-statistics, kind="stable")
    remaining = np.maximum.accumulate(simulated[:, order[::-1]], axis=1)[:, ::-1]
    exceedances = np.maximum.accumulate((remaining >= statistics[order]).sum(axis=0))
    ranked = np.empty_like(exceedances)
    ranked[order] = exceedances
    return [p_value(int(count), len(simulated)) for count in ranked]


def spa_p_values(
    edge: FloatArray, draws: Draws, *, studentise: bool = True
) -> tuple[FloatArray, tuple[PValue, PValue, PValue]]:
    """Statistics [k] and the (lower, consistent, upper) p-values of the edges [n_sessions, k] over the benchmark.

    lower recentres only the better configs, consistent also those not clearly worse (by the law of the iterated
    logarithm), upper all of them. Not studentised, this is arch's SPA with losses negated.
    """
    mean, error = edge.mean(axis=0), np.sqrt(stationary_variance(edge, draws.block_length) / len(edge))
    relevant = mean >= -error * np.sqrt(2.0 * np.log(np.log(len(edge))))
    scale = error if studentise else np.ones_like(error)
    means = resampled_means(edge, draws)
    floor = 0.0 if studentise else -np.inf
    best = max(float((mean / scale).max()), floor)
    centres = (np.maximum(mean, 0.0), np.where(relevant, mean, 0.0), mean)
    simulated = [np.maximum(((means - centre) / scale).max(axis=1), floor) for centre in centres]
    lower, consistent, upper = (p_value(_exceeding(values, best, studentise), draws.resamples) for values in simulated)
    return mean / scale, (lower, consistent, upper)


def _exceeding(simulated: FloatArray, statistic: float, studentise: bool) -> int:
    """Ties count against the statistic, except in the mode that must equal arch."""
    return int((simulated >= statistic if studentise else simulated > statistic).sum())


def confidence_set_p_values(losses: FloatArray, draws: Draws) -> list[PValue]:
    """Model confidence set p-values of losses [n_sessions, k]; equal columns share theirs, as if one were absent."""
    distinct, place = np.unique(losses, axis=1, return_inverse=True)
    mean = distinct.mean(axis=0)
    deviations = resampled_means(distinct - mean, draws)
    counts = np.full(distinct.shape[1], draws.resamples)
    inside = np.ones(distinct.shape[1], dtype=np.bool_)
    highest = 0
    while inside.sum() > 1:
        worst, exceedances = _elimination(mean[inside], deviations[:, inside])
        highest = max(highest, exceedances)
        position = int(np.flatnonzero(inside)[worst])
        counts[position] = highest
        inside[position] = False
    return [p_value(int(counts[column]), draws.resamples) for column in np.ravel(place)]


def _elimination(mean: FloatArray, deviations: FloatArray) -> tuple[int, int]:
    """The worst of the models left, and how many resamples are at least as extreme if all are equally good.

    A model that differs from the rest by a constant has no sampling error: it is worse or better for certain.
    """
    gap = mean - mean.mean()
    noise = deviations - deviations.mean(axis=1, keepdims=True)
    spread = np.sqrt((noise**2).mean(axis=0))
    tiny = 1e-12 * np.abs(mean).max()
    certain = spread <= tiny
    unit = np.where(certain, 1.0, spread)
    gap[np.abs(gap) <= tiny] = 0.0
    statistics = np.where(certain, np.copysign(np.where(gap == 0.0, 0.0, np.inf), gap), gap / unit)
    worst = int(statistics.argmax())
    return worst, int(((noise / unit).max(axis=1) > statistics[worst]).sum())


@dataclass(frozen=True, eq=False)
class _Family:
    """Edges [n_sessions, k] of all configs but the benchmark over it, and draws for them."""

    names: tuple[str, ...]
    edge: FloatArray
    draws: Draws


def _family(matrix: Matrix, benchmark: str, rng: np.random.Generator, resamples: int) -> _Family | Inconclusive:
    scores, column = higher_is_better(matrix), matrix.index(benchmark)
    names = tuple(name for name in matrix.names if name != benchmark)
    if not names:
        return Inconclusive(Reason.NO_CANDIDATES, f"{benchmark} is the only config")
    edge = np.delete(scores, column, axis=1) - scores[:, [column]]
    flat = is_constant(edge)
    if flat.any():
        return Inconclusive(Reason.ZERO_VARIANCE_DIFFERENCE, f"{names[int(flat.argmax())]} and {benchmark}")
    draws = planned_draws(edge, matrix.horizon, drawing(rng, resamples))
    return draws if isinstance(draws, Inconclusive) else _Family(names, edge, draws)
