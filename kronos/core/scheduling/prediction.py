"""How long backtests take: conservative P95 runtimes per engine and class from the runtimes of completed runs.

The bound is the conformal order statistic: of n past runtimes the ceil((n + 1) q)-th. A new run of the same kind ends
by it with probability at least q and, without ties, below q + 1/(n + 1), whatever the distribution (Vovk, Gammerman
and Shafer, Algorithmic Learning in a Random World, 2005, section 2). Below n = q / (1 - q) runs no order statistic
has that property, and the policy's prior takes part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kronos.core.scheduling.policy import CLASSES, SchedulerPolicy, seconds
from kronos.core.vocabulary import ResourceClass
from kronos.errors import BadValue

Ints: TypeAlias = npt.NDArray[np.int64]
Kind: TypeAlias = tuple[str, ResourceClass]
"""Engine and class: runs of one kind need the same and are predicted from each other."""


@dataclass(frozen=True, eq=False)
class Profiles:
    """What runs of each kind need and how long they take; a kind's code is engine index x classes + class index.

    needs: rows of `Need.units`, one per different need; need_of: kind code -> row. samples: kind code -> ascending
    runtimes in seconds. p50, p95: kind code -> predicted seconds of a whole run.
    """

    engines: tuple[str, ...]
    needs: Ints
    need_of: Ints
    samples: tuple[Ints, ...]
    p50: Ints
    p95: Ints
    prior_p95: Ints
    quantile: float
    growth: float

    def p95_given(self, kinds: Ints, ran: Ints) -> Ints:
        """P95 of the whole runtime of runs known to take longer than `ran` seconds; same length as both.

        The same bound among the past runs that took longer; where those are too few, no less than any of them, than
        `overrun_growth` times what was run, and than the prior.
        """
        bounds: Ints = self.p95[kinds]
        started = np.flatnonzero(ran > 0)
        for kind in np.unique(kinds[started]).tolist():
            rows = started[kinds[started] == kind]
            bounds[rows] = self._bound_given(kind, ran[rows])
        return bounds

    def _bound_given(self, kind: int, ran: Ints) -> Ints:
        sample = self.samples[kind]
        longer = len(sample) - np.searchsorted(sample, ran, side="right")
        rank = np.ceil((longer + 1) * self.quantile - 1e-9).astype(np.int64)
        guess: Ints = np.maximum(np.ceil(ran * self.growth).astype(np.int64), self.prior_p95[kind])
        if not len(sample):
            return guess
        enough = rank <= longer
        place = np.where(enough, len(sample) - longer + rank - 1, len(sample) - 1)
        bound: Ints = np.where(enough, sample[place], np.maximum(guess, sample[-1]))
        return bound


def profiles(engines: Sequence[str], history: Mapping[Kind, Sequence[float]], policy: SchedulerPolicy) -> Profiles:
    """Needs and predictions of every engine and class.

    engines: any order, each once. history: completed runtimes in seconds from admission to end, oldest first, of whole
    runs (a resumed run's attempts added up). Raises `BadValue` for a runtime that is not a positive finite number.
    """
    names = tuple(sorted(set(engines)))
    kinds = [(engine, resource_class) for engine in names for resource_class in CLASSES]
    samples = tuple(_sample(kind, history.get(kind, ()), policy) for kind in kinds)
    priors = [policy.engine_priors.get(engine, policy.prior) for engine, _ in kinds]
    needs = [policy.need(*kind).units for kind in kinds]
    distinct = sorted(set(needs))
    return Profiles(
        names,
        np.array(distinct, dtype=np.int64).reshape(len(distinct), 4),
        np.array([distinct.index(need) for need in needs], dtype=np.int64),
        samples,
        _column(_middle(sample, seconds(prior.median)) for sample, prior in zip(samples, priors, strict=True)),
        _column(
            _bound(sample, seconds(prior.p95), policy.quantile, policy.overrun_growth)
            for sample, prior in zip(samples, priors, strict=True)
        ),
        _column(seconds(prior.p95) for prior in priors),
        policy.quantile,
        policy.overrun_growth,
    )


def _bound(sample: Ints, prior: int, quantile: float, growth: float) -> int:
    rank = math.ceil((len(sample) + 1) * quantile - 1e-9)
    if rank <= len(sample):
        return int(sample[rank - 1])
    return max(prior, math.ceil(int(sample[-1]) * growth)) if len(sample) else prior


def _middle(sample: Ints, prior: int) -> int:
    return int(sample[len(sample) // 2]) if len(sample) else prior


def _sample(kind: Kind, runtimes: Sequence[float], policy: SchedulerPolicy) -> Ints:
    newest = np.asarray(runtimes[-policy.history_length :], dtype=np.float64)
    if not (np.isfinite(newest) & (newest > 0.0)).all():
        raise BadValue(f"runtimes of {kind[0]} {kind[1]}", newest.tolist(), "positive seconds")
    return np.sort(np.ceil(newest).astype(np.int64))


def _column(values: object) -> Ints:
    return np.fromiter(values, dtype=np.int64)  # type: ignore[call-overload, no-any-return]
