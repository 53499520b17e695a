"""What an attribution says: a period's result cut into parts that add up, and the drawdowns inside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from kronos.core.conventions import RECOMPUTATION_TOLERANCE
from kronos.core.vocabulary import Undefined


class By(StrEnum):
    """What a result is cut by. Entities come from the decision facts: the cells do not hold them."""

    MARKET = "market"
    REGIME = "regime"
    REGIME_AND_MARKET = "regime_and_market"
    INSTRUMENT = "instrument"
    ENTITY_TYPE = "entity_type"
    SOFT_TARGET = "soft_target"
    STABILITY = "stability"
    FRAGILITY = "fragility"
    PORTFOLIO = "portfolio"
    STRATEGY = "strategy"
    CONFIG = "config"


@dataclass(frozen=True, slots=True)
class Part:
    """What one label's decisions brought. A number that does not exist is None, and `undefined` says why.

    pnl: sum over the valid outcomes at the horizon, in `currency`. contribution: fraction of the capital at the start
    of the span, each date's share x weight x return / horizon scaled by the wealth of the book before that date; parts
    add up to the compounded return of the book. It counts on dates on which the whole book has a return.
    share: of the total P&L, of the total contribution where no P&L is reported. hit_rate: hits / (hits + misses).
    mean_return: sum(weight x return) / sum(weight) over the outcomes with a return, per horizon.
    """

    label: str
    decisions: int
    due: int
    valid: int
    pnl: float | None
    currency: str | None
    contribution: float | None
    share: float | None
    hit_rate: float | None
    mean_return: float | None
    hard_violations: int
    soft_violations: int
    violations_n: int
    """Outcomes that report violations."""
    undefined: dict[str, Undefined] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        """Outcomes that are due, and matured, but missing."""
        return self.due - self.valid

    @property
    def result(self) -> float:
        """P&L, or the contribution where there is no P&L; 0 with neither. For ordering."""
        return next((value for value in (self.pnl, self.contribution) if value is not None), 0.0)


@dataclass(frozen=True, slots=True)
class Residual:
    """What the book in the cells holds beyond the sum of the parts. The P&L is a checksum, whatever its currencies."""

    pnl: float
    contribution: float
    decisions: int
    pnl_scale: float
    """Sum of |pnl| over the parts, or over the cells where those took amounts back, whichever is larger."""
    contribution_scale: float
    """Sum of |contribution| likewise."""

    @property
    def adds_up(self) -> bool:
        """Whether the parts are the whole, to 1e-9 of the sum of their absolute values."""
        return (
            abs(self.pnl) <= RECOMPUTATION_TOLERANCE * self.pnl_scale
            and abs(self.contribution) <= RECOMPUTATION_TOLERANCE * self.contribution_scale
            and self.decisions == 0
        )


@dataclass(frozen=True, slots=True)
class Cut:
    """One dimension's parts, largest loss first."""

    parts: tuple[Part, ...]
    residual: Residual


@dataclass(frozen=True, slots=True)
class DrawdownWindow:
    """A fall of the book's wealth below its highest value so far within the period, on evaluation dates.

    Decisions are in it that are evaluated after the peak and not after the trough; their contributions are fractions
    of the wealth at the peak and add up to `depth`.
    """

    peak: date | None
    """None: the capital at the start of the period was the peak."""
    trough: date
    recovery: date | None
    """None: not yet."""
    depth: float
    """wealth(trough) / wealth(peak) - 1, below 0."""
    sessions: int
    """Evaluation dates with a return from the peak (excluded) to the trough."""
    total: Part
    cuts: dict[By, Cut]


@dataclass(frozen=True, slots=True)
class Attribution:
    """Why a config (`*`: all pooled) earned or lost what it did over the decisions of [period_start, period_end]."""

    engine_name: str
    config_id: str
    period_start: date
    period_end: date
    horizon: int
    """Sessions; P&L at different horizons nests and is never added."""
    mode: str
    as_of: date
    recorded_by: str
    total: Part
    """Its contribution is the compounded return of the period, return / horizon per evaluation date."""
    cuts: dict[By, Cut]
    windows: tuple[DrawdownWindow, ...]
    """The deepest drawdowns, deepest first; they do not overlap."""
    dates: int
    """Evaluation dates with a return."""
    missing_dates: int
    """Evaluation dates whose book return is missing: their P&L counts, their contribution does not."""
    ruined_on: date | None = None
    """Evaluation date on which wealth reached zero: contributions end there."""
    notes: tuple[str, ...] = ()

    @property
    def adds_up(self) -> bool:
        """Whether the parts of every cut, also inside the drawdowns, are the whole."""
        cuts = [*self.cuts.values(), *(cut for window in self.windows for cut in window.cuts.values())]
        return all(cut.residual.adds_up for cut in cuts)

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict with sorted keys, equal for equal attributions."""
        return _sorted(_adapter().dump_python(self, mode="json"))  # type: ignore[no-any-return]  # a dict stays one

    @classmethod
    def from_json_dict(cls, data: dict[str, Any]) -> Attribution:
        """The attribution that `to_json_dict` wrote."""
        return _adapter().validate_python(data, strict=False)


@cache
def _adapter() -> TypeAdapter[Attribution]:
    return TypeAdapter(Attribution)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value
