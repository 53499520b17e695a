"""The gate report: how often the gates are wrong on controls, with exact intervals, and which gate refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from scipy.stats import beta, binom

from kronos.core.controls.outcomes import ControlOutcome, Suite
from kronos.core.gates.model import Gate, stored

CONFIDENCE: Final = 0.95
EVERY_ENGINE: Final = "*"
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` of `of`, with its exact interval at `CONFIDENCE`, and the one-sided upper bound at the same confidence.

    All three are None of nothing. The interval takes controls as independent draws; those of one week share their data.
    """

    count: int
    of: int
    low: float | None
    high: float | None
    upper: float | None

    @property
    def share(self) -> float | None:
        """The observed share, None of nothing."""
        return self.count / self.of if self.of else None

    def to_json_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "count": self.count,
            "of": self.of,
            "share": stored(self.share),
            "low": stored(self.low),
            "high": stored(self.high),
            "upper": stored(self.upper),
        }


def exact_rate(count: int, of: int) -> Rate:
    """The rate with the interval of Clopper and Pearson, 0 <= count <= of.

    References
    ----------
    Clopper, C., Pearson, E. S. (1934). The use of confidence or fiducial limits illustrated in the case of the
    binomial. Biometrika 26, 404-413.
    """
    if of == 0:
        return Rate(0, 0, None, None, None)
    return Rate(
        count, of, _lower(count, of, (1.0 - CONFIDENCE) / 2.0), _upper(count, of, (1.0 - CONFIDENCE) / 2.0),
        _upper(count, of, 1.0 - CONFIDENCE),
    )  # fmt: skip


def _lower(count: int, of: int, tail: float) -> float:
    return 0.0 if count == 0 else float(beta.ppf(tail, count, of - count + 1))


def _upper(count: int, of: int, tail: float) -> float:
    return 1.0 if count == of else float(beta.ppf(1.0 - tail, count + 1, of - count))


@dataclass(frozen=True, slots=True)
class PositivePower:
    """Whether the newest positives pass as often as promised: a one-sided exact binomial test of that share.

    p_value: chance of so few passes, or fewer, at the promised power; 1 without any positive.
    """

    passed: int
    of: int
    promised: float
    level: float
    p_value: float

    @property
    def kept(self) -> bool:
        """False when so many misses are not bad luck. At the level itself the promise counts as broken."""
        return self.p_value > self.level * (1.0 + _ROUNDING)

    def to_json_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {name: getattr(self, name) for name in ("passed", "of", "promised", "level")} | {
            "p_value": stored(self.p_value),
            "kept": self.kept,
        }


def positive_power(suites: Sequence[Suite], promised: float, level: float, newest: int) -> PositivePower:
    """The test over the newest positives. suites: by completion, oldest first; 0 < promised, level < 1."""
    passes = [one.as_expected for suite in suites for one in suite.outcomes if one.expected.positive][-newest:]
    p_value = float(binom.cdf(sum(passes), len(passes), promised)) if passes else 1.0
    return PositivePower(sum(passes), len(passes), promised, level, p_value)


@dataclass(frozen=True, slots=True)
class GateCount:
    """Of the negatives how many a gate refused, and how many it alone refused: without it they would pass."""

    gate: Gate
    refused: int
    alone: int


@dataclass(frozen=True, slots=True)
class WeekCount:
    """One week's controls. unexpected: negatives without the right answer, those let through among them."""

    period: str
    negatives: int
    false_accepts: int
    unexpected: int
    positives: int
    missed: int


@dataclass(frozen=True, slots=True)
class EngineGates:
    """How the gates did on the controls of one engine, or (`*`) of all.

    false_accepts: negatives that passed. unexpected: negatives without the right answer, by verdict or by gate.
    false_rejects: positives that did not pass. trend: by week, oldest first.
    """

    engine_name: str
    suites: int
    false_accepts: Rate
    unexpected: Rate
    false_rejects: Rate
    gates: tuple[GateCount, ...]
    trend: tuple[WeekCount, ...]

    def to_json_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "engine_name": self.engine_name,
            "suites": self.suites,
            "false_accepts": self.false_accepts.to_json_dict(),
            "unexpected": self.unexpected.to_json_dict(),
            "false_rejects": self.false_rejects.to_json_dict(),
            "gates": [{"gate": one.gate.value, "refused": one.refused, "alone": one.alone} for one in self.gates],
            "trend": [{name: getattr(one, name) for name in WeekCount.__slots__} for one in self.trend],
        }


def gate_report(suites: Sequence[Suite]) -> tuple[EngineGates, ...]:
    """All engines together as `*`, then each by name. suites: in any order; an empty sequence has rates of nothing."""
    engines = sorted({suite.engine_name for suite in suites})
    return (
        _of_engine(EVERY_ENGINE, suites),
        *(_of_engine(one, [suite for suite in suites if suite.engine_name == one]) for one in engines),
    )


def weekly(suites: Sequence[Suite], family: str | None = None) -> tuple[WeekCount, ...]:
    """Counts by week, oldest first, of one family of controls or of all."""
    weeks: dict[str, list[ControlOutcome]] = {}
    for suite in suites:
        weeks.setdefault(suite.period, []).extend(suite.outcomes if family is None else suite.of(family))
    return tuple(_of_week(period, outcomes) for period, outcomes in sorted(weeks.items()))


def _of_engine(name: str, suites: Sequence[Suite]) -> EngineGates:
    outcomes = [one for suite in suites for one in suite.outcomes]
    negatives = [one for one in outcomes if not one.expected.positive]
    positives = [one for one in outcomes if one.expected.positive]
    return EngineGates(
        name,
        len(suites),
        exact_rate(sum(one.false_accept for one in negatives), len(negatives)),
        exact_rate(sum(not one.as_expected for one in negatives), len(negatives)),
        exact_rate(sum(not one.as_expected for one in positives), len(positives)),
        tuple(_of_gate(gate, negatives) for gate in Gate),
        weekly(suites),
    )


def _of_gate(gate: Gate, negatives: Sequence[ControlOutcome]) -> GateCount:
    refused = [one.refused_by for one in negatives if gate in one.refused_by]
    return GateCount(gate, len(refused), sum(by == (gate,) for by in refused))


def _of_week(period: str, outcomes: Sequence[ControlOutcome]) -> WeekCount:
    negatives = [one for one in outcomes if not one.expected.positive]
    positives = [one for one in outcomes if one.expected.positive]
    return WeekCount(
        period,
        len(negatives),
        sum(one.false_accept for one in negatives),
        sum(not one.as_expected for one in negatives),
        len(positives),
        sum(not one.as_expected for one in positives),
    )
