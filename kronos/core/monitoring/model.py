"""What the monitor answers: one frozen finding per engine, scope and metric, with its reason where there is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter


class Watch(StrEnum):
    """What is watched of a config."""

    RETURN = "return"  # its book return, as a conditional Sharpe ratio
    CALIBRATION = "calibration"  # the daily mean of its proper score, or of its loss


class MonitorState(StrEnum):
    """The answer for one metric."""

    HEALTHY = "HEALTHY"
    WATCH = "WATCH"  # evidence is gathering; fewer than `watch_level` of healthy configs are ever seen so
    DEGRADING = "DEGRADING"  # the e-process has reached its threshold since the clock started
    INCONCLUSIVE = "INCONCLUSIVE"


class Cause(StrEnum):
    """Why a finding is INCONCLUSIVE."""

    NO_ACTIVE_CONFIG = "NO_ACTIVE_CONFIG"
    NOT_STARTED = "NOT_STARTED"  # the date asked lies before the monitored record begins
    NO_RECORD = "NO_RECORD"  # the active config never decided LIVE within its scope
    NO_RETURNS = "NO_RETURNS"
    NO_FORECASTS = "NO_FORECASTS"
    REFERENCE_TOO_SHORT = "REFERENCE_TOO_SHORT"
    REFERENCE_LOW_COVERAGE = "REFERENCE_LOW_COVERAGE"
    NO_OBSERVATIONS = "NO_OBSERVATIONS"  # nothing decided since the start has matured
    RECORD_STOPPED = "RECORD_STOPPED"
    LOW_COVERAGE = "LOW_COVERAGE"
    CONSTANT = "CONSTANT"
    NOT_FINITE = "NOT_FINITE"


ABSENT: Final = frozenset({Cause.NO_RETURNS, Cause.NO_FORECASTS})
"""The engine has no such metric: nothing to worry about while the other one is watched."""


@dataclass(frozen=True, slots=True)
class Watched:
    """An activation to be monitored: which config, in which markets, from which decision date on.

    scope: a market, or `*`; others: markets with a config of their own, which `*` leaves to them.
    """

    config_id: str
    scope: str
    monitored_from: date
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the record: first and last decision date, valid observations, share of what was due, mean and spread.

    Mean and standard deviation are per observation: of the excess book return, or of the score. sharpe: annual, of
    returns only, None in the first weeks.
    """

    start: date
    end: date
    n: int
    coverage: float
    mean: float
    spread: float
    sharpe: float | None = None


@dataclass(frozen=True, slots=True)
class EProcess:
    """The always-valid evidence against health: `values[i]` after the decisions of `dates[i]` were evaluated.

    threshold: what the running maximum must reach, one over the metric's part of the error. drop: how much worse than
    the reference, in annual standardised units. alarm_on: the decision date at which the threshold was first reached.
    """

    now: float
    largest: float
    largest_on: date
    threshold: float
    watch_threshold: float
    drop: float
    alarm_on: date | None
    dates: tuple[date, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class MonitorFinding:
    """One metric of the active config of an engine within a scope (`*`: every market without a config of its own).

    score: what calibration is measured by. alpha: this metric's part of the error. monitored_from: the first decision
    date of the monitored record, fixed by the activation; the reference is what was known on that date.
    """

    engine_name: str
    scope: str
    config_id: str | None
    metric: Watch
    state: MonitorState
    cause: Cause | None = None
    detail: str = ""
    horizon: int | None = None
    score: str | None = None
    alpha: float | None = None
    monitored_from: date | None = None
    reference: Stretch | None = None
    monitored: Stretch | None = None
    e: EProcess | None = None


@dataclass(frozen=True, slots=True)
class Trend:
    """Slope of a rolling figure over its last `n` values, per year, with a 95 % interval that knows of the overlap."""

    slope: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class RollingFigure:
    """A figure over the last `window` observations up to `end`, and where it is heading; a None is not defined yet."""

    scope: str
    config_id: str
    figure: str  # avg_return, sharpe, or the id of the score
    window: int
    n: int
    end: date | None
    value: float | None
    trend: Trend | None


@dataclass(frozen=True)
class EngineMonitoring:
    """Everything the monitor says about an engine as of a date. alpha: error over all metrics of a config."""

    engine_name: str
    as_of: date
    alpha: float
    findings: tuple[MonitorFinding, ...]
    windows: tuple[RollingFigure, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def state(self) -> MonitorState:
        """The gravest state of the metrics the engine has."""
        return gravest(self.findings)

    @property
    def degrading(self) -> tuple[MonitorFinding, ...]:
        """What calls for an alert."""
        return tuple(found for found in self.findings if found.state is MonitorState.DEGRADING)

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict, equal for equal answers."""
        return {**_adapter().dump_python(self, mode="json"), "state": self.state.value}

    @classmethod
    def from_json_dict(cls, data: dict[str, Any]) -> EngineMonitoring:
        """The answer that `to_json_dict` wrote."""
        return _adapter().validate_python({key: data[key] for key in data if key != "state"}, strict=False)


_GRAVITY: Final = (MonitorState.HEALTHY, MonitorState.INCONCLUSIVE, MonitorState.WATCH, MonitorState.DEGRADING)


def gravest(findings: Iterable[MonitorFinding]) -> MonitorState:
    """The gravest state, without metrics the engine does not have; INCONCLUSIVE when none is left."""
    states = [found.state for found in findings if found.cause not in ABSENT]
    return max(states, key=_GRAVITY.index, default=MonitorState.INCONCLUSIVE)


@cache
def _adapter() -> TypeAdapter[EngineMonitoring]:
    return TypeAdapter(EngineMonitoring)
