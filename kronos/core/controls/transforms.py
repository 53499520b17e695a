"""Lay a control over the rows its subject gave: the one door to every transform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import polars as pl

from kronos.core.backtests.runner import Produced
from kronos.core.backtests.spec import Subject
from kronos.core.controls import books, came, signals
from kronos.core.controls.model import (
    BestOfNoise,
    BlacklistIgnored,
    BrokenRiskAversion,
    ConstantReturns,
    ControlTransform,
    CostDrag,
    DataHoles,
    ExcessiveLeverage,
    IdenticalStream,
    InvertedSignal,
    LeveredIncumbent,
    LiquidityIgnored,
    LookAhead,
    PositiveEdge,
    ShuffledLabels,
    StaleData,
    TrivialVariation,
)
from kronos.core.controls.rows import Rows

_TRANSFORMS: Final[dict[type, Callable[[Any, Rows], Rows]]] = {
    InvertedSignal: signals.inverted,
    ShuffledLabels: signals.shuffled,
    BestOfNoise: signals.noise,
    StaleData: signals.stale,
    LookAhead: signals.look_ahead,
    CostDrag: came.dragged,
    DataHoles: came.holes,
    ConstantReturns: came.constant,
    IdenticalStream: came.identical,
    TrivialVariation: came.varied,
    PositiveEdge: came.favoured,
    BlacklistIgnored: books.misplaced,
    LiquidityIgnored: books.misplaced,
    ExcessiveLeverage: books.levered,
    LeveredIncumbent: books.levered,
    BrokenRiskAversion: books.averse_no_more,
}


def transformed(control: ControlTransform, rows: Rows) -> Rows:
    """The rows as the control leaves them.

    Equal whatever the order of the rows, and on any part of the dates, as long as `control.lead_sessions` of the
    subject's sessions stand before that part. `BadValue` for a control of books over rows without weights.
    """
    return _TRANSFORMS[type(control)](control, rows)


def controlled(produced: Produced, subjects: tuple[Subject, ...]) -> Produced:
    """A runner's rows with every subject's control laid over its own; the others' rows and the order stay."""
    for subject in subjects:
        if subject.control is not None:
            produced = _over(produced, subject.config_id, subject.control)
    return produced


def _over(produced: Produced, config_id: str, control: ControlTransform) -> Produced:
    own = pl.col("config_id") == config_id
    ids = produced.decisions.filter(own).select("decision_id")
    others = produced.outcomes.join(ids, on="decision_id", how="anti", maintain_order="left")
    mine = Rows(
        produced.decisions.filter(own),
        produced.outcomes.join(ids, on="decision_id", how="semi", maintain_order="left"),
    )
    made = transformed(control, mine)
    return Produced(
        pl.concat([produced.decisions.filter(~own), made.decisions]),
        pl.concat([others, made.outcomes]),
        produced.rejected,
    )
