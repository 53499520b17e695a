"""The observation policy: markets, bucket cut points, primary horizons and deadlines, as strictly parsed data."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kronos.core.backtests.policy import BacktestPolicy
from kronos.core.conventions import DEFAULT_SESSIONS_PER_YEAR, MIN_ANNUALISED_OBSERVATIONS, MIN_COVERAGE
from kronos.core.scheduling.policy import SchedulerPolicy


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Market(_Strict):
    """A market's calendar, region, currency and yearly number of sessions."""

    calendar: str | None
    """Name in exchange_calendars; None means weekdays, and reports say so."""
    region: str
    currency: str = "USD"
    sessions_per_year: Annotated[int, Field(gt=0)] = DEFAULT_SESSIONS_PER_YEAR
    capital: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 1.0
    """Capital here relative to the other markets a config is active in: all equal by default."""


def _default_markets() -> dict[str, Market]:
    return {
        "US_EQ": Market(calendar="XNYS", region="US"),
        "US_ETF": Market(calendar="XNYS", region="US"),
        "US_IDX": Market(calendar="XNYS", region="US"),
        "US_FUT": Market(calendar="XNYS", region="US"),
        "EU_EQ": Market(calendar="XETR", region="EU", currency="EUR"),
        "JP_EQ": Market(calendar="XTKS", region="JP", currency="JPY"),
        "ASIA_EQ": Market(calendar="XHKG", region="ASIA", currency="HKD"),
        "FX_GLOB": Market(calendar="24/5", region="GLOBAL", sessions_per_year=260),
    }


class ComparisonPolicy(_Strict):
    """What decides the class of a config beside the incumbent (DESIGN section 4, "Config comparison")."""

    sharpe_margin: Annotated[float, Field(gt=0.0)] = 0.2
    """Annual Sharpe ratio a robust config may at most fall behind the incumbent."""
    score_margin: Annotated[float, Field(gt=0.0)] = 0.02
    """The same for engines that only forecast, as a share of the incumbent's mean score."""
    detectable_sharpe: Annotated[float, Field(gt=0.0)] = 0.5
    """A slice is eligible when it can show an annual Sharpe difference of this size, ..."""
    detectable_score: Annotated[float, Field(gt=0.0)] = 0.05
    """... or a score difference of this share of the incumbent's mean score, ..."""
    power: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.8
    """... with this power."""
    robust_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    """Share of the eligible slices in whose confidence set a robust config is."""
    least_eligible_slices: Annotated[int, Field(ge=1)] = 5
    least_dates: Annotated[int, Field(ge=20)] = MIN_ANNUALISED_OBSERVATIONS
    """Matched dates below which a slice has no statistics."""
    gap_level: Annotated[float, Field(gt=0.0, le=0.2)] = 0.01
    """Missing dates whose place among the incumbent's returns is less likely than this make a comparison invalid."""
    level: Annotated[float, Field(gt=0.0, le=0.2)] = 0.05
    """Family-wise level of every test; intervals cover 1 - level."""
    resamples: Annotated[int, Field(ge=1000)] = 10_000
    monte_carlo_errors: Annotated[float, Field(ge=1.0)] = 3.0
    """A p-value within so many Monte-Carlo standard errors of the level decides nothing."""
    seed: Annotated[int, Field(ge=0)] = 20_240_613
    window_years: Annotated[int, Field(ge=1)] = 5
    """Length of the time windows, in calendar years."""
    report_years: Annotated[int, Field(ge=1)] | None = None
    """Years up to a month's end that its stored comparison looks at; None: all since the record began."""
    niche_slices: tuple[str, ...] = ("regime:STRESS", "regime:CRISIS")
    """Slices in which a niche may be found, declared before looking: `<dimension>:<label>`."""
    scores: tuple[Literal["brier", "rps", "brier_multi", "mean_loss", "log_loss", "log_loss_multi"], ...] = (
        "brier",
        "rps",
        "brier_multi",
        "mean_loss",
    )
    """Scores of engines that only forecast: the first that the incumbent has is compared."""


class MonitoringPolicy(_Strict):
    """When the active config counts as degrading beside its own earlier record."""

    alpha: Annotated[float, Field(gt=0.0, le=0.2)] = 0.05
    """Probability, at most, that a config which is as good as before ever raises an alarm, on any of its metrics."""
    return_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """Part of alpha spent on the return when the config both earns and forecasts; the score gets the rest. A config
    that does only one of them spends all of alpha on it."""
    watch_level: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.25
    """Like alpha, for WATCH: at most this share of configs that are as good as before is ever seen in it."""
    sharpe_margin: Annotated[float, Field(ge=0.0)] = 0.0
    """Drop of the annual Sharpe ratio that is tolerated: evidence a config was chosen by is better than the truth."""
    score_margin: Annotated[float, Field(ge=0.0)] = 0.0
    """The same for the score, in standard deviations of its daily mean x sqrt(observations a year)."""
    reference_least: Annotated[int, Field(ge=250)] = 504
    """Observations of evidence, a horizon apart, without which nothing is monitored; the proofs cover two years up."""
    reference_longest: Annotated[int, Field(ge=250)] = 2520
    """The newest observations that count as evidence: an older market was another one."""
    least_coverage: Annotated[float, Field(gt=0.0, le=1.0)] = MIN_COVERAGE
    """Share of the due dates that must have a value, in the reference and in the monitored record."""
    stopped_after: timedelta = timedelta(days=30)
    """A config that has not decided for so long is no longer judged."""
    windows: tuple[Annotated[int, Field(ge=2)], ...] = (21, 63, 252)
    """Lengths of the rolling windows, in observations."""
    trend_over: Annotated[int, Field(ge=60)] = 252
    """Rolling values to which a trend is fitted."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.reference_longest < self.reference_least:
            raise ValueError(f"reference_longest has value {self.reference_longest}: expected reference_least or more")
        if self.watch_level < self.alpha:
            raise ValueError(f"watch_level has value {self.watch_level}: expected alpha or more")
        return self


class SelfProposalPolicy(_Strict):
    """What Kronos proposes by itself, on which evidence, and how much of it (DESIGN section 6)."""

    most_per_day: Annotated[int, Field(ge=0)] = 3
    """Proposals on one day of the data, over all engines; 0: none."""
    most_per_engine: Annotated[int, Field(ge=0)] = 1
    """Of them for one engine."""
    least_dates: Annotated[int, Field(ge=60)] = 504
    """Dates on which a config and the incumbent both have a record, without which it is not proposed."""
    least_slice_dates: Annotated[int, Field(ge=60)] = 126
    """Of them inside the slice that a niche was found in."""
    newest_within: timedelta = timedelta(days=62)
    """A comparison of a month that ended longer ago than this is no ground for a proposal, nor an older monitor."""
    new_evidence: timedelta = timedelta(days=365)
    """What was decided is proposed again only on evidence that reaches further by this: a month more is the same."""
    convert: bool = True
    """Turn the proposal into a queued experiment at once, so that it has backtests before a person sees it."""
    priority: Annotated[int, Field(ge=0, le=9)] = 3
    """Of that experiment."""


class ControlsPolicy(_Strict):
    """Whether the suites of controls run by themselves (DESIGN section 7)."""

    weekly: bool = True
    """Without, only suites that a person asks for are run; a stale one closes the promotion latch either way."""


class ShadowPolicy(_Strict):
    """When a config's SHADOW decisions are what its backtest would have decided, and safe (DESIGN section 6)."""

    least_sessions: Annotated[int, Field(ge=1)] = 20
    """Market sessions on which both decided, without which nothing is said."""
    least_matched: Annotated[float, Field(gt=0.0, le=1.0)] = 0.99
    """Share of all decisions of those sessions that both made."""
    most_weight_difference: Annotated[float, Field(ge=0.0)] = 0.02
    """Largest sum of absolute weight differences that any one book may have."""
    least_agreement: Annotated[float, Field(gt=0.0, le=1.0)] = 0.99
    """Share of matched decisions with the same label, and with the same sign."""
    most_probability_difference: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    """Largest difference of a probability that any one matched decision may have."""
    least_coverage: Annotated[float, Field(gt=0.0, le=1.0)] = MIN_COVERAGE
    """Share of the replay's sessions on which the shadow decided, and of its due outcomes that came."""
    on_time: Annotated[float, Field(gt=0.0, le=1.0)] = 0.95
    """Share of decisions that must come within the service level after the close (`deadline_after_close`)."""


CutPoints = Annotated[tuple[float, float, float], Field(description="rising cut points inside (0, 1)")]


class ObservationPolicy(_Strict):
    """Everything Kronos may be told; the defaults are those of DESIGN sections 3 and 6."""

    markets: dict[str, Market] = Field(default_factory=_default_markets)
    stability_cuts: CutPoints = (0.25, 0.5, 0.75)
    fragility_cuts: CutPoints = (0.25, 0.5, 0.75)
    primary_horizon: dict[str, Annotated[int, Field(gt=0)]] = Field(default_factory=dict)
    default_primary_horizon: Annotated[int, Field(gt=0)] = 1
    ordered_classes: dict[str, list[str]] = Field(
        default_factory=lambda: {"REGIME": ["CALM", "NORMAL", "STRESS", "CRISIS"]}
    )
    """Engines whose classes are ordered, with the order: only these get a ranked probability score."""
    risk_free_annual: float = 0.0
    comparison: ComparisonPolicy = ComparisonPolicy()
    monitoring: MonitoringPolicy = MonitoringPolicy()
    backtests: BacktestPolicy = BacktestPolicy()
    scheduler: SchedulerPolicy = SchedulerPolicy()
    proposals: SelfProposalPolicy = SelfProposalPolicy()
    shadow: ShadowPolicy = ShadowPolicy()
    controls: ControlsPolicy = ControlsPolicy()
    deadline_after_close: timedelta = timedelta(hours=4, minutes=15)
    """After a market's session close by this much, meta jobs run without the missing regions."""

    @model_validator(mode="after")
    def _cuts_rise(self) -> Self:
        for name in ("stability_cuts", "fragility_cuts"):
            low, middle, high = getattr(self, name)
            if not 0.0 < low < middle < high < 1.0:
                raise ValueError(f"{name} has value {(low, middle, high)}: expected rising numbers inside (0, 1)")
        return self

    def of_observation(self) -> str:
        """As JSON what facts, cells and reports depend on: not how backtests are run."""
        return self.model_dump_json(exclude={"backtests", "scheduler", "proposals", "shadow", "controls"})

    def of_rows(self, engine_name: str, markets: Iterable[str]) -> dict[str, object]:
        """What the facts and cells of an engine in some markets depend on, as JSON can hold it.

        Of a market that is not listed nothing: rows that name none are not taken for its own.
        """
        listed = {name: self.markets[name] for name in sorted(markets) if name in self.markets}
        return {
            "markets": {name: [market.calendar, market.region] for name, market in listed.items()},
            "stability_cuts": self.stability_cuts,
            "fragility_cuts": self.fragility_cuts,
            "primary_horizon": self.horizon_of(engine_name),
            "ordered_classes": self.ordered_classes.get(engine_name),
        }

    def horizon_of(self, engine_name: str) -> int:
        """Primary horizon of an engine, in sessions."""
        return self.primary_horizon.get(engine_name, self.default_primary_horizon)

    def market(self, market_id: str) -> Market:
        """The market's entry; an unlisted market runs on weekdays in a region of its own name."""
        return self.markets.get(market_id) or Market(calendar=None, region=market_id)
