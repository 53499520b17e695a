"""What a control is: a registered config whose rows are changed in a known way, so that the right verdict is known.

A control's config body is the incumbent's with one key more, `control`, or that with underscores where the incumbent
has such a key of its own. Engines never see the key: they are run with the rest, and the transform is laid over the
rows they gave, whoever ran them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from kronos.core.gates.policy import CANARY, ILLIQUID
from kronos.errors import BadValue

CONTROL_KEY: Final = "control"
"""Of a control's config body; in a body of another family it is its engine's, as every key is."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=0)]


class _Control(BaseModel):
    """seed: of every draw, beside the row's own market, date and entity."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: Count = 0

    @property
    def lead_sessions(self) -> int:
        """Earlier sessions of the subject that the rows of a date depend on."""
        return 0


class InvertedSignal(_Control):
    """Everything is decided the other way round; what it costs stays."""

    kind: Literal["inverted_signal"] = "inverted_signal"


class ShuffledLabels(_Control):
    """Each date's side is drawn anew, so that it has nothing to do with what comes; what it costs stays.

    A coin per market and date instead of a permutation: a permutation would depend on where folds are cut, and would
    read dates that have not come yet.
    """

    kind: Literal["shuffled_labels"] = "shuffled_labels"


class BestOfNoise(_Control):
    """One of `trials` decisions by coin, the best of them in sample: chosen beforehand by `noise.best_variant`.

    strength: of forecasts, how far the coin moves them, in logits.
    """

    kind: Literal["best_of_noise"] = "best_of_noise"
    variant: Count
    trials: Annotated[int, Field(strict=True, ge=1)] = 200
    strength: Annotated[Number, Field(gt=0)] = 0.5


class CostDrag(_Control):
    """Every return is lower by `drag` per session held, and the cost higher by as much; forecasts: no outcome is
    kinder, and each is worse where it can be."""

    kind: Literal["cost_drag"] = "cost_drag"
    drag: Annotated[Number, Field(gt=0)] = 0.0002
    worsening: Share = 0.05
    """How much farther from its probability an event lies."""


class StaleData(_Control):
    """What was decided `lag` sessions before is decided again, and meets what comes now."""

    kind: Literal["stale_data"] = "stale_data"
    lag: Annotated[int, Field(strict=True, ge=1)] = 63

    @property
    def lead_sessions(self) -> int:
        """The lag."""
        return self.lag


class LookAhead(_Control):
    """Decisions know their own outcome where the data at hand holds it. strength: how far a forecast moves to it."""

    kind: Literal["look_ahead"] = "look_ahead"
    strength: Share = 0.8


class DataHoles(_Control):
    """On a share of the dates, the same in every market, nothing came of what was decided."""

    kind: Literal["data_holes"] = "data_holes"
    share: Share = 0.1


class ConstantReturns(_Control):
    """Every return is the same; forecasts: each says the same, the same comes true, and so every score is the same.

    A value other than 0 makes books constant only where the gross weight is.
    """

    kind: Literal["constant_returns"] = "constant_returns"
    value: Number = 0.0


class IdenticalStream(_Control):
    """Another canonical hash, and the incumbent's own rows."""

    kind: Literal["identical_stream"] = "identical_stream"


class TrivialVariation(_Control):
    """Returns, and forecasts, differ by so little of themselves that nobody could ever tell."""

    kind: Literal["trivial_variation"] = "trivial_variation"
    size: Share = 1e-6


class BlacklistIgnored(_Control):
    """On a share of each market's dates one decision is about a name that nobody may hold."""

    kind: Literal["blacklist_ignored"] = "blacklist_ignored"
    entity: Annotated[str, Field(min_length=1)] = CANARY
    share: Share = 0.05


class LiquidityIgnored(_Control):
    """On a share of each market's dates one decision is about a name of which next to nothing is traded."""

    kind: Literal["liquidity_ignored"] = "liquidity_ignored"
    entity: Annotated[str, Field(min_length=1)] = ILLIQUID
    share: Share = 0.05


class ExcessiveLeverage(_Control):
    """Every weight times `factor`; the return of a unit of weight stays, so the book's is multiplied."""

    kind: Literal["excessive_leverage"] = "excessive_leverage"
    factor: Annotated[Number, Field(gt=1)] = 3.0


class LeveredIncumbent(_Control):
    """The incumbent with every weight times `factor`: no better per unit of risk, however much more it earns."""

    kind: Literal["levered_incumbent"] = "levered_incumbent"
    factor: Annotated[Number, Field(gt=1)] = 2.0


class BrokenRiskAversion(_Control):
    """Exposure is raised while the book is below its high; forecasts are pushed to the ends.

    exposure: the most that weights are multiplied by, reached when the book has lost `depth` since its high of the last
    `window` sessions. slippage: what a unit of added weight costs per session. sharpness: what logits are multiplied
    by.
    """

    kind: Literal["broken_risk_aversion"] = "broken_risk_aversion"
    exposure: Annotated[Number, Field(gt=1)] = 1.45
    window: Annotated[int, Field(strict=True, ge=2)] = 126
    depth: Share = 0.02
    slippage: Annotated[Number, Field(ge=0)] = 0.001
    sharpness: Annotated[Number, Field(gt=1)] = 3.0

    @property
    def lead_sessions(self) -> int:
        """The window, and one session until its first return is known."""
        return self.window + 1


class PositiveEdge(_Control):
    """Outcomes are kinder to this config than to the incumbent by a noisy edge; what it decides is the incumbent's.

    information_ratio: of the planted edge, a year of 252 sessions, in every market's own book. noise: daily standard
    deviation of the edge, in units of the book. share: of forecasts, the share of the way an event moves to its
    probability on average, and of the dates on which the class that was called most likely comes true.
    """

    kind: Literal["positive_edge"] = "positive_edge"
    information_ratio: Annotated[Number, Field(gt=0)] = 4.0
    noise: Annotated[Number, Field(gt=0)] = 0.004
    share: Share = 0.4


ControlTransform: TypeAlias = Annotated[
    InvertedSignal
    | ShuffledLabels
    | BestOfNoise
    | CostDrag
    | StaleData
    | LookAhead
    | DataHoles
    | ConstantReturns
    | IdenticalStream
    | TrivialVariation
    | BlacklistIgnored
    | LiquidityIgnored
    | ExcessiveLeverage
    | LeveredIncumbent
    | BrokenRiskAversion
    | PositiveEdge,
    Field(discriminator="kind"),
]

_TRANSFORM: Final[TypeAdapter[ControlTransform]] = TypeAdapter(ControlTransform)


def parsed_control(raw: object) -> ControlTransform:
    """The transform that a control's body names; `BadValue` says which key, its value and what is expected."""
    try:
        return _TRANSFORM.validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([CONTROL_KEY, *(str(part) for part in first["loc"])])
        raise BadValue(where, first["input"], first["msg"]) from error


def control_body(base: Mapping[str, Any], transform: ControlTransform | None) -> dict[str, Any]:
    """The config body of a control; without a transform it is the base's own (the exact copy)."""
    return {**base, **({} if transform is None else {_key_beside(base): transform.model_dump(mode="json")})}


def split_body(body: Mapping[str, Any], base: Mapping[str, Any]) -> tuple[dict[str, Any], ControlTransform | None]:
    """What the engine gets of a control's body, and the transform; `BadValue` for one that cannot be.

    base: the body that the control was made of: what it calls `control` itself is its engine's.
    """
    key = _key_beside(base)
    engine = {name: value for name, value in body.items() if name != key}
    return engine, parsed_control(body[key]) if key in body else None


def _key_beside(base: Mapping[str, Any]) -> str:
    key = CONTROL_KEY
    while key in base:
        key += "_"
    return key
