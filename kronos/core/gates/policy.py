"""The gate policy: every threshold a verdict rests on, as strictly parsed, versioned data (DESIGN section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kronos.core.conventions import IMPROVEMENT_ALPHA, MIN_ANNUALISED_OBSERVATIONS, MIN_COVERAGE
from kronos.errors import BadValue

Share = Annotated[float, Field(gt=0.0, le=1.0)]
Level = Annotated[float, Field(gt=0.0, le=0.2)]
Ratio = Annotated[float, Field(ge=1.0, le=100.0)]
Positive = Annotated[float, Field(gt=0.0, le=1e6)]
Count = Annotated[int, Field(ge=0)]
Days = Annotated[int, Field(ge=0, le=3650)]
Names = Annotated[tuple[str, ...], Field(strict=False)]
"""JSON has lists only."""

CANARY = "KRONOS:FORBIDDEN"
"""A name on every blacklist: the control that ignores the blacklist holds it."""

ILLIQUID = "KRONOS:ILLIQUID"
"""A name of which next to nothing is traded: the control that ignores liquidity holds it."""
_NEXT_TO_NOTHING = 1e-6


class _Strict(BaseModel):
    """A number is no word and no truth value; a whole number may stand where any number may."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class IntegrityTerms(_Strict):
    """When evidence can be judged at all."""

    least_coverage: Share = MIN_COVERAGE
    """Share of the due outcomes that must be there, of the config and of the incumbent."""
    gap_level: Level = 0.01
    """Missing dates whose place among the incumbent's values is less likely than this are selective."""
    most_stale_days: Days = 62
    """Days between the evaluation of the last outcome judged and the data's present."""
    probes: Names = ("repeat", "future", "fresh")
    """What the runner must have shown: the seed reproduces the decisions; later data changes none of them; recent data
    changes some. A runner that cannot be asked one of them can only pass where it is left out here."""
    least_probed: Annotated[int, Field(ge=1)] = 3
    """Decisions that each probe must have compared: of freshness only those of the probed dates themselves count, and
    an engine may make one a day."""
    least_probed_market: Annotated[int, Field(ge=1)] = 10
    """Decisions of one market from which on freshness is asked of it alone: what is fresh elsewhere excuses nothing."""

    @model_validator(mode="after")
    def _known_probes(self) -> Self:
        for name in self.probes:
            if name not in ("repeat", "future", "fresh"):
                raise ValueError(f"probes has value {name!r}: expected repeat, future or fresh")
        return self


class EvidenceTerms(_Strict):
    """How much evidence there has to be, and how long it counts."""

    least_dates: Annotated[int, Field(ge=MIN_ANNUALISED_OBSERVATIONS)] = 504
    """Matched dates of the config and the incumbent."""
    least_slice_dates: Annotated[int, Field(ge=20)] = MIN_ANNUALISED_OBSERVATIONS
    """Dates in a regime or market without which nothing is said about it."""
    least_slices: Count = 2
    """Regimes and markets with so many dates."""
    detectable_ratio: Positive = 1.5
    """Annual information ratio that the evidence must be long enough to show ..."""
    power: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.8
    """... with this power, all trials counted."""
    expires_days: Annotated[Days, Field(ge=1)] = 90
    """Days after a verdict from which nothing is approved or promoted on it."""


class ImprovementTerms(_Strict):
    """The test that decides, and how its error is spent."""

    alpha: Level = IMPROVEMENT_ALPHA
    """Family-wise error of one experiment over all its looks."""
    most_looks: Annotated[int, Field(ge=1, le=50)] = 8
    """How often fresh evidence of one experiment is looked at."""
    first_share: Share = 0.65
    """Part of alpha spent at the first look; the others share the rest equally."""
    yearly_budget: Positive = 0.25
    """False promotions a year that an engine's experiments may be expected to cause, at most."""
    monte_carlo_errors: Positive = 1.0
    """A p-value within so many Monte-Carlo standard errors of its level decides nothing."""
    resamples: Annotated[int, Field(ge=1000)] = 10_000
    least_difference: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    """A config whose simultaneous upper bound lies below this FAILs: more data will not help it."""
    confirmation_dates: Count = 126
    """Dates after the data that Kronos mined for its own proposal, without which it is not confirmed."""
    confirmation_level: Annotated[float, Field(gt=0.0, le=0.5)] = 0.2
    """One-sided level of the difference on those dates."""
    least_replay_dates: Count = 60
    """Dates on which the incumbent's replay and its LIVE record are compared."""
    most_replay_difference: Positive = 0.05
    """Mean absolute difference of the two, in standard deviations of the LIVE record."""

    def level_of(self, look: int) -> float:
        """Alpha of a look, 0 past the last one; they add up to `alpha`."""
        if look > self.most_looks or look < 1:
            return 0.0
        if self.most_looks == 1:
            return self.alpha
        share = self.first_share if look == 1 else (1.0 - self.first_share) / (self.most_looks - 1)
        return self.alpha * share


class ValidityTerms(_Strict):
    """Whether the config's own record could be the luck of a search."""

    least_deflated_sharpe: Share = 0.95
    most_trailing: Share = 0.3
    """Share of CSCV's splits whose in-sample winner trails the incumbent out of sample."""
    hopeless: Share = 0.05
    """A probability below this that the Sharpe ratio is above zero FAILs."""


class DegradationTerms(_Strict):
    """By how much a config may be worse in what it does not improve."""

    sharpe_margin: Positive = 0.2
    calibration_margin: Positive = 0.02
    """As a share of the incumbent's mean score."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    drawdown_ratio: Ratio = 1.25
    drawdown_floor: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """A maximum drawdown up to this is never too much."""
    turnover_ratio: Ratio = 1.5
    turnover_floor: Annotated[float, Field(ge=0.0)] = 0.25
    """Mean turnover a session, as a share of the book, that is never too much."""


class StressTerms(_Strict):
    """What a config may lose where it hurts."""

    loss_ratio: Ratio = 1.25
    """Loss in any regime, market or scenario beside the incumbent's."""
    loss_floor: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2
    """A maximum drawdown in a slice up to this is never too much."""
    score_floor: Annotated[float, Field(ge=0.0)] = 0.01
    """The same for the mean score of an engine that only forecasts."""
    least_scenarios: Count = 1
    """Scenarios in the battery without which nothing is said about losses in them."""
    cost_multiple: Ratio = 2.0
    least_neighbours: Count = 2
    """Configs with slightly other parameters without which nothing is said about the neighbourhood."""
    neighbour_share: Share = 0.5
    """Share of them that must be better than the incumbent."""


class Limits(_Strict):
    """What a book may hold in one market, as shares of its capital."""

    most_weight: Positive = 1.05
    most_gross: Positive = 1.5


class ConstraintTerms(_Strict):
    """Hard limits, recomputed from the decisions themselves."""

    limits: dict[str, Limits] = Field(
        default_factory=lambda: {
            "*": Limits(),
            "US_EQ": Limits(most_weight=0.30),
            "US_ETF": Limits(most_weight=0.60),
        }
    )
    """By market; `*` for all others."""
    by_engine: dict[str, Limits] = Field(default_factory=lambda: {"UNIVERSE": Limits()})
    """For engines whose decisions are baskets rather than single names: instead of the market's."""
    blacklist: Names = (CANARY,)
    """Entities nobody may hold."""
    liquidity: dict[str, Positive] = Field(default_factory=lambda: {ILLIQUID: _NEXT_TO_NOTHING})
    """By entity the largest share of a market's capital that what is traded of it bears; others by `limits` alone."""
    most_reported_ratio: Ratio = 1.0
    """Hard violations that outcomes report, a decision, beside the incumbent's."""

    @model_validator(mode="after")
    def _rest_named(self) -> Self:
        if "*" not in self.limits:
            raise ValueError("limits has no entry '*': expected limits for markets that are not named")
        if CANARY not in self.blacklist:
            raise ValueError(f"blacklist lacks {CANARY!r}: expected it, a control holds it to show that it is refused")
        borne = self.liquidity.get(ILLIQUID)
        if borne is None or borne > _NEXT_TO_NOTHING:
            said = f"expected at most {_NEXT_TO_NOTHING:g}, a control holds it to show that it is refused"
            raise ValueError(f"liquidity has {borne} for {ILLIQUID!r}: {said}")
        return self

    def of(self, engine_name: str, market_id: str) -> Limits:
        """The limits of a book."""
        return self.by_engine.get(engine_name) or self.limits.get(market_id) or self.limits["*"]


class PromotionTerms(_Strict):
    """What keeps the promotion latch open."""

    suite_days: Annotated[Days, Field(ge=1)] = 8
    """Days after which a suite of controls is stale."""
    positive_power: Share = 0.9
    """Share of positive controls that must pass in the long run ..."""
    power_level: Level = 0.01
    """... else, at this level of the binomial test, the latch closes."""
    rolling_positives: Annotated[int, Field(ge=1)] = 60
    """Newest positive controls that the test looks at."""


class AutoApprovalTerms(_Strict):
    """Which changes need no person. Off unless switched on."""

    enabled: bool = False
    most_changed_parameters: Annotated[int, Field(ge=1)] = 1
    most_relative_change: Positive = 0.2
    evidence: Names = ("HUMAN_TRIGGERED",)
    """Labels of the evidence that may be enough."""


class GatePolicy(_Strict):
    """Everything the gates, approvals and the latch may be told; unknown keys and contradictions are refused."""

    integrity: IntegrityTerms = IntegrityTerms()
    evidence: EvidenceTerms = EvidenceTerms()
    improvement: ImprovementTerms = ImprovementTerms()
    validity: ValidityTerms = ValidityTerms()
    degradation: DegradationTerms = DegradationTerms()
    stress: StressTerms = StressTerms()
    constraints: ConstraintTerms = ConstraintTerms()
    promotion: PromotionTerms = PromotionTerms()
    auto_approval: AutoApprovalTerms = AutoApprovalTerms()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.evidence.least_slice_dates > self.evidence.least_dates:
            raise ValueError(
                f"evidence.least_slice_dates has value {self.evidence.least_slice_dates}: expected at most "
                f"least_dates {self.evidence.least_dates}"
            )
        if self.improvement.alpha > self.improvement.yearly_budget:
            raise ValueError(
                f"improvement.alpha has value {self.improvement.alpha}: expected at most yearly_budget "
                f"{self.improvement.yearly_budget}"
            )
        return self


def parse_gate_policy(body: Mapping[str, Any]) -> GatePolicy:
    """A policy from its JSON body; `BadValue` names the key, its value and what is expected there."""
    if not isinstance(body, Mapping):
        raise BadValue("gate policy", body, "a JSON object")
    try:
        return GatePolicy.model_validate(dict(body))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise BadValue(f"gate policy {where}", first["input"], first["msg"]) from error
