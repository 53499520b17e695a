"""Every control there is, with what the gates have to say of it: a closed set, in one order.

References: DESIGN section 7, the control suite.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kronos.core.gates.model import Gate, GateVerdict

PASS, FAIL, INCONCLUSIVE, INVALID = (
    GateVerdict.PASS,
    GateVerdict.FAIL,
    GateVerdict.INCONCLUSIVE,
    GateVerdict.INVALID,
)


class ControlFamily(StrEnum):
    """Which part of the judge a control tries; one asset check stands for each."""

    IMPROVEMENT = "IMPROVEMENT"
    INTEGRITY = "INTEGRITY"
    HARD_CONSTRAINTS = "HARD_CONSTRAINTS"
    DEGRADATION = "DEGRADATION"
    POSITIVE = "POSITIVE"


@dataclass(frozen=True)
class ControlKind:
    """One control and the right answer to it.

    expected: the verdicts that `gate` may give, and gate_reasons what for; where a control is negative that gate has to
    be among those that refuse it, and the verdict over all gates may be any but PASS. gate None: all pass. transform:
    the `kind` of `controls.model` with its defaults; None: the incumbent's own body, unchanged. only_earning: why
    engines that only forecast have no such control; None: they do. only_altered: why engines whose runner plays no
    altered data have none; None: they do.
    """

    name: str
    family: ControlFamily
    expected: frozenset[GateVerdict]
    gate: Gate | None
    gate_reasons: tuple[str, ...]
    reason: str
    transform: str | None
    only_earning: str | None = None
    only_altered: str | None = None

    @property
    def positive(self) -> bool:
        """Whether it is right to let it through."""
        return self.gate is None

    def not_for(self, *, earns: bool, alters: bool) -> str | None:
        """Why an engine has no such control; None: it has.

        earns: whether the engine's decisions earn returns. alters: whether its runner plays altered data.
        """
        return (None if earns else self.only_earning) or (None if alters else self.only_altered)


_NO_BETTER: Final = ("NOT_SHOWN", "WORSE")
_NO_BETTER_LEVERED: Final = ("SCALED_COPY", *_NO_BETTER)
_NO_OTHER_PRESENT: Final = "the engine's runner plays no altered data: nothing can tell stale decisions by them"
_NO_POSITIONS: Final = "the engine only forecasts: it holds no positions, so there is nothing to lever or to forbid"


def _kind(
    name: str,
    family: ControlFamily,
    expected: tuple[GateVerdict, ...],
    gate: Gate | None,
    gate_reasons: tuple[str, ...],
    reason: str,
    *,
    transform: str | None = "",
    only_earning: str | None = None,
    only_altered: str | None = None,
) -> ControlKind:
    used = name if transform == "" else transform
    return ControlKind(name, family, frozenset(expected), gate, gate_reasons, reason, used, only_earning, only_altered)


CATALOGUE: Final[tuple[ControlKind, ...]] = (
    _kind(
        "inverted_signal", ControlFamily.IMPROVEMENT, (FAIL, INCONCLUSIVE), Gate.IMPROVEMENT, _NO_BETTER,
        "decides the opposite of the incumbent at the same costs: cannot be shown to be better",
    ),
    _kind(
        "shuffled_labels", ControlFamily.IMPROVEMENT, (FAIL, INCONCLUSIVE), Gate.IMPROVEMENT, _NO_BETTER,
        "the side of each date is drawn by coin: knows nothing of what comes",
    ),
    _kind(
        "best_of_noise", ControlFamily.IMPROVEMENT, (FAIL, INCONCLUSIVE), Gate.IMPROVEMENT, _NO_BETTER,
        "the luckiest in sample of 200 strategies by coin: as many trials explain its luck",
    ),
    _kind(
        "cost_drag", ControlFamily.IMPROVEMENT, (FAIL,), Gate.IMPROVEMENT, ("WORSE", "WORSE_ON_EVERY_DATE"),
        "the incumbent, worse by a constant on every date: worse for certain, even at zero variance of the difference",
    ),
    _kind(
        "identical_stream", ControlFamily.IMPROVEMENT, (INCONCLUSIVE,), Gate.IMPROVEMENT, ("IDENTICAL",),
        "the incumbent's rows under another hash: no difference to show",
    ),
    _kind(
        "trivial_variation", ControlFamily.IMPROVEMENT, (INCONCLUSIVE,), Gate.IMPROVEMENT, _NO_BETTER,
        "differs from the incumbent by a millionth: no difference to show",
    ),
    _kind(
        "levered_incumbent", ControlFamily.IMPROVEMENT, (FAIL, INCONCLUSIVE), Gate.IMPROVEMENT, _NO_BETTER_LEVERED,
        "the incumbent with twice the weights: earns more, and is no better per unit of risk",
        only_earning=_NO_POSITIONS,
    ),
    _kind(
        "stale_data", ControlFamily.INTEGRITY, (INVALID,), Gate.INTEGRITY, ("STALE_INPUTS",),
        "decides a quarter of a year late: what happened since changes no decision",
        only_altered=_NO_OTHER_PRESENT,
    ),
    _kind(
        "look_ahead", ControlFamily.INTEGRITY, (INVALID,), Gate.INTEGRITY, ("LOOK_AHEAD",),
        "knows its own outcomes: another future changes its decisions",
    ),
    _kind(
        "data_holes", ControlFamily.INTEGRITY, (INVALID,), Gate.INTEGRITY, ("COVERAGE",),
        "a tenth of the dates has no outcome: coverage is below what a verdict needs",
    ),
    _kind(
        "constant_returns", ControlFamily.INTEGRITY, (INVALID,), Gate.INTEGRITY, ("ZERO_VARIANCE",),
        "every date gives the same: without variance there is no ratio",
    ),
    _kind(
        "exact_copy", ControlFamily.INTEGRITY, (INVALID,), Gate.INTEGRITY, ("DUPLICATE",),
        "the incumbent's own parameters: the canonical hash is a duplicate",
        transform=None,
    ),
    _kind(
        "blacklist_ignored", ControlFamily.HARD_CONSTRAINTS, (FAIL,), Gate.HARD_CONSTRAINTS, ("VIOLATED",),
        "decides on a name that nobody may hold",
        only_earning=_NO_POSITIONS,
    ),
    _kind(
        "liquidity_ignored", ControlFamily.HARD_CONSTRAINTS, (FAIL,), Gate.HARD_CONSTRAINTS, ("VIOLATED",),
        "holds more of a name than what is traded of it bears",
        only_earning=_NO_POSITIONS,
    ),
    _kind(
        "excessive_leverage", ControlFamily.HARD_CONSTRAINTS, (FAIL,), Gate.HARD_CONSTRAINTS, ("VIOLATED",),
        "three times the incumbent's weights: beyond any limit of gross weight",
        only_earning=_NO_POSITIONS,
    ),
    _kind(
        "broken_risk_aversion", ControlFamily.DEGRADATION, (FAIL,), Gate.NO_DEGRADATION, ("INFERIOR", "DEEPER"),
        "raises its exposure as it loses, or is far too sure of itself: drawdown, or calibration, is worse",
    ),
    _kind(
        "positive_edge", ControlFamily.POSITIVE, (PASS,), None, (),
        "the incumbent with a planted noisy edge of an active information ratio of three or more: better, and visibly",
    ),
)  # fmt: skip
"""The controls of one incumbent."""

BY_NAME: Final = {one.name: one for one in CATALOGUE}
