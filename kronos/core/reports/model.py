"""What a report is: frozen numbers that never travel without n, interval and, where undefined, a reason."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from kronos.core.metrics.calibration import ReliabilityPoint
from kronos.core.metrics.wealth import Drawdown
from kronos.core.vocabulary import Dimension, Undefined

Flat = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Coverage:
    """Valid among due outcomes that have matured."""

    valid: int
    due: int

    @property
    def share(self) -> float | None:
        """valid / due, None when nothing was due."""
        return self.valid / self.due if self.due else None


@dataclass(frozen=True)
class MetricSet:
    """The metrics of one slice. Every registered id is either in `values` or, with its reason, in `undefined`."""

    values: dict[str, float]
    undefined: dict[str, Undefined]
    intervals: dict[str, tuple[float, float]]
    """95 % bounds."""
    interval_undefined: dict[str, Undefined]
    """Why a defined metric has no interval."""
    observations: dict[str, int]
    """Observations behind each metric: dates for series metrics, outcomes or forecasts for rates and scores."""
    coverage: Coverage
    drawdown: Drawdown | None = None
    """Dates of max_dd, on evaluation dates."""
    stitched: bool = False
    """The series joins dates that do not follow each other: max_dd and cagr are those of the stitched series."""
    dates: dict[str, int] = field(default_factory=dict)
    """Dates on which each defined rate or score was observed."""

    def value(self, metric_id: str) -> float:
        """The number, or NaN when undefined; for sorting and plotting only."""
        return self.values.get(metric_id, math.nan)


@dataclass(frozen=True)
class EnginePerformanceReport:
    """Performance of one config (`*`: all pooled) over the decisions of [period_start, period_end]."""

    engine_name: str
    config_id: str
    period_start: date
    period_end: date
    horizon: int
    mode: str
    as_of: date
    """Outcomes evaluated, and where known recorded, by this date."""
    recorded_by: str
    """What 'known at the time' means for labels and outcomes: recorded, or as_of_date."""
    currency: str | None
    """Currency of every P&L; None when markets of several currencies met, or no P&L was reported."""
    annualisation: float
    """Sessions per year of the book."""
    overall: MetricSet
    slices: dict[Dimension, dict[str, MetricSet]]
    reliability: tuple[ReliabilityPoint, ...] = ()
    """Reliability curve of the event forecasts."""
    confusion: dict[str, dict[str, int]] = field(default_factory=dict)
    """Predicted class -> realised class -> outcomes."""
    notes: tuple[str, ...] = ()

    @property
    def metrics(self) -> dict[str, float]:
        """Defined metrics of the whole book by id."""
        return self.overall.values

    @property
    def undefined(self) -> dict[str, Undefined]:
        """Reason of each undefined metric of the whole book."""
        return self.overall.undefined

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % bounds of the whole book's metrics."""
        return self.overall.intervals

    @property
    def observations(self) -> dict[str, int]:
        """Observations behind the whole book's metrics."""
        return self.overall.observations

    @property
    def coverage(self) -> Coverage:
        """Valid and due outcomes of the whole book."""
        return self.overall.coverage

    @property
    def drawdown(self) -> Drawdown | None:
        """Peak, trough and recovery dates of the book's deepest drawdown."""
        return self.overall.drawdown

    @property
    def by_regime(self) -> Flat:
        """Regime -> metric id -> value; ratio metrics are of the conditional series."""
        return self._flat(Dimension.REGIME)

    @property
    def by_stability_bucket(self) -> Flat:
        """Stability bucket -> metric id -> value."""
        return self._flat(Dimension.STABILITY)

    @property
    def by_fragility_bucket(self) -> Flat:
        """Fragility bucket -> metric id -> value."""
        return self._flat(Dimension.FRAGILITY)

    @property
    def by_market(self) -> Flat:
        """Market -> metric id -> value of that market's own book."""
        return self._flat(Dimension.MARKET)

    @property
    def by_regime_and_market(self) -> Flat:
        """`regime|market` -> metric id -> value."""
        return self._flat(Dimension.REGIME_AND_MARKET)

    def _flat(self, dimension: Dimension) -> Flat:
        return {label: found.values for label, found in self.slices.get(dimension, {}).items()}

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict, keys sorted, equal for equal reports; carries the flat views beside the whole."""
        whole = _adapter().dump_python(self, mode="json")
        views = {name: getattr(self, name) for name in _VIEWS}
        return {key: _sorted(value) for key, value in sorted((whole | views).items())}

    @classmethod
    def from_json_dict(cls, data: dict[str, Any]) -> EnginePerformanceReport:
        """The report that `to_json_dict` wrote."""
        return _adapter().validate_python(
            {key: value for key, value in data.items() if key not in _VIEWS}, strict=False
        )


_VIEWS = ("metrics", "by_regime", "by_stability_bucket", "by_fragility_bucket", "by_market", "by_regime_and_market")


@cache
def _adapter() -> TypeAdapter[EnginePerformanceReport]:
    return TypeAdapter(EnginePerformanceReport)


def _sorted(value: Any) -> Any:
    """Dicts in key order, all the way down."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return value
