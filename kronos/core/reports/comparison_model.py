"""What a comparison says: the matrix of differences to the incumbent, and each config's class with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter

OVERALL_SLICE: Final = "overall"
"""The slice id of the whole book; others are `<dimension>:<label>`."""


class ConfigClass(StrEnum):
    """What a config is beside the incumbent; the first that holds, in this order."""

    INCUMBENT = "INCUMBENT"
    DOMINATED = "DOMINATED"
    ROBUST = "ROBUST"
    NICHE = "NICHE"
    UNDECIDED = "UNDECIDED"


class Doubt(StrEnum):
    """Why a config has no class, or a cell no statistics."""

    NO_INCUMBENT = "NO_INCUMBENT"  # no activation is known
    INCUMBENT_UNUSABLE = "INCUMBENT_UNUSABLE"  # its own series cannot be judged
    NO_RECORD = "NO_RECORD"  # nothing of the kind compared in this period
    NOT_FINITE = "NOT_FINITE"
    TOO_SHORT = "TOO_SHORT"
    TOO_FEW_BLOCKS = "TOO_FEW_BLOCKS"
    LOW_COVERAGE = "LOW_COVERAGE"
    SELECTIVE_GAPS = "SELECTIVE_GAPS"  # what is missing is related to returns: invalid evidence
    CONSTANT = "CONSTANT"
    IDENTICAL = "IDENTICAL"
    SCALED_COPY = "SCALED_COPY"
    ZERO_VARIANCE_DIFFERENCE = "ZERO_VARIANCE_DIFFERENCE"
    CONCENTRATED = "CONCENTRATED"  # a handful of dates make the whole difference
    MONTE_CARLO_ERROR = "MONTE_CARLO_ERROR"  # other draws could have decided otherwise
    NO_CLASS_APPLIES = "NO_CLASS_APPLIES"
    NO_LEDGER = "NO_LEDGER"  # the number of trials is not known
    NO_RETURNS = "NO_RETURNS"  # the engine forecasts and earns nothing
    STREAMS_NOT_MATCHED = "STREAMS_NOT_MATCHED"  # too few dates that every stream has


@dataclass(frozen=True, slots=True)
class Cell:
    """One config in one slice against the incumbent on their matched dates; positive is better.

    value and incumbent_value: annual Sharpe ratio, or mean score turned so that more is better. low and high hold for
    all cells of the comparison at once; p_value is two-sided and corrected for all of them. confidence_p: p-value of
    belonging to the slice's best configs. A number that does not exist is None, and `reason` says why.
    """

    config_id: str
    slice: str
    n: int
    coverage: float | None = None
    value: float | None = None
    incumbent_value: float | None = None
    difference: float | None = None
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_error: float | None = None
    confidence_p: float | None = None
    minimum_detectable: float | None = None
    eligible: bool = False
    reason: Doubt | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition of a class: what was held against which threshold. `met` is None within Monte-Carlo error."""

    condition: str
    slice: str
    metric: str
    value: float | None
    threshold: float
    met: bool | None
    reason: str
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A config's class with every condition that was looked at; `niches` are the slices that made it a niche."""

    config_id: str
    label: ConfigClass
    reason: Doubt | None = None
    detail: str = ""
    niches: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialsCounted:
    """How many trials the configs were chosen from, by the ledger of the engine.

    total: distinct trials. streamed: those with a return stream in the period, which amount to `effective` independent
    ones. independent: effective, and every trial without a stream in full; all of them where `effective` is None.
    """

    total: int
    streamed: int
    effective: float | None
    independent: float
    reason: Doubt | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DeflatedSharpe:
    """A config's own annual Sharpe ratio beside what the best of so many worthless trials would show (`hurdle`).

    psr and dsr: probabilities that the true ratio exceeds zero and the hurdle. dispersion: annual, across the other
    streams or, if larger, the sampling error. What does not exist is None, and `reason` says why.
    """

    config_id: str
    n: int
    sharpe: float | None = None
    hurdle: float | None = None
    dispersion: float | None = None
    psr: float | None = None
    dsr: float | None = None
    reason: Doubt | None = None
    detail: str = ""


@dataclass(frozen=True)
class ConfigComparison:
    """Configs of an engine against the incumbent over the decisions of [period_start, period_end].

    metric: `sharpe`, or the score's id; differences are turned so that positive is better. critical: how many standard
    errors the simultaneous intervals reach. Cells run by config and slice; without statistics the plan is None.
    """

    engine_name: str
    incumbent: str | None
    period_start: date
    period_end: date
    as_of: date
    mode: str
    horizon: int
    metric: str | None
    slices: tuple[str, ...]
    cells: tuple[Cell, ...]
    verdicts: tuple[Verdict, ...]
    level: float
    resamples: int
    seed: int
    margin: float | None = None
    detectable: float | None = None
    block_length: float | None = None
    critical: float | None = None
    trials: TrialsCounted | None = None
    deflated: tuple[DeflatedSharpe, ...] = ()
    notes: tuple[str, ...] = ()

    def verdict(self, config_id: str) -> Verdict:
        """A config's verdict; `KeyError` for one that was not compared."""
        return {found.config_id: found for found in self.verdicts}[config_id]

    def cell(self, config_id: str, slice_id: str) -> Cell:
        """A cell of the matrix; `KeyError` for one that was not compared."""
        return {(found.config_id, found.slice): found for found in self.cells}[(config_id, slice_id)]

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict with sorted keys, equal for equal comparisons."""
        return _sorted(_adapter().dump_python(self, mode="json"))  # type: ignore[no-any-return]  # a dict stays one

    @classmethod
    def from_json_dict(cls, data: dict[str, Any]) -> ConfigComparison:
        """The comparison that `to_json_dict` wrote."""
        return _adapter().validate_python(data, strict=False)


@cache
def _adapter() -> TypeAdapter[ConfigComparison]:
    return TypeAdapter(ConfigComparison)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value
