"""The scenario battery: named stresses, the same for every experiment of an engine, reproducible from its stored spec.

A scenario is data. What is played from it is made of real sessions alone (see `paths`); every draw depends on the
battery's seed and the scenario's name, so adding a scenario changes no other.
"""

from __future__ import annotations

from datetime import date, timedelta
from hashlib import sha256
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from kronos.core.canonical import canonical_hash

_DAYS_PER_YEAR: Final = 365.25


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=300)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


def _each_once(values: tuple[str, ...]) -> tuple[str, ...]:
    """Sorted, so that the order in which they were written does not make another scenario."""
    if len(set(values)) < len(values):
        raise ValueError(f"regimes are {list(values)}: expected each once")
    return tuple(sorted(values))


Regimes = Annotated[tuple[Annotated[Line, Field(min_length=1)], ...], Field(min_length=1), AfterValidator(_each_once)]


class HistoricalWindow(_Strict):
    """What happened between two dates: read from the replay, nothing is run for it."""

    kind: Literal["historical_window"] = "historical_window"
    name: Name
    about: Line
    start: date
    end: date

    @model_validator(mode="after")
    def _dates_rise(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"end has value {self.end}: expected a date not before start {self.start}")
        return self

    def lies_within(self, start: date, end: date) -> bool:
        """Whether all of it is in [start, end]."""
        return start <= self.start and self.end <= end


class _Played(_Strict):
    """What every scenario that is run says besides its own parameters."""

    name: Name
    about: Line
    years: Annotated[
        Number, Field(ge=0.25, le=10, description="last years of the dates that are played; all of fewer dates")
    ] = 5.0
    cost_multiplier: Annotated[
        Number, Field(ge=1, le=100, description="times the market's usual cost of trading: liquidity that is gone")
    ] = 1.0

    def played_from(self, start: date, end: date) -> date:
        """First of the dates within [start, end] that are played."""
        return max(start, end - timedelta(days=round(self.years * _DAYS_PER_YEAR)))


class BlockBootstrap(_Played):
    """Days of some regimes only, in blocks, years on end.

    The stationary bootstrap of Politis and Romano (1994, JASA 89) over whole days: all instruments and the benchmark
    of all markets take the same drawn day. Days are those whose regime label, as known after their close, is among
    `regimes`; laid end to end and closed to a circle, a block being consecutive ones of them.
    """

    kind: Literal["block_bootstrap"] = "block_bootstrap"
    regimes: Regimes
    mean_block: Annotated[Number, Field(ge=1, le=252, description="expected sessions in a block; 1: independent days")]


class ShockOverlay(_Played):
    """Real history with shocks laid over it; a parameter at its default changes nothing.

    Applied in this order, to log returns, so that a price stays above zero: correlation, volatility, drift, gaps.
    Means and volatilities are those of the sessions played; correlation and volatility leave the mean log return.
    """

    kind: Literal["shock_overlay"] = "shock_overlay"
    correlation: Annotated[
        Number,
        Field(ge=0, le=1, description="share of the way from each instrument's correlation with the benchmark to one"),
    ] = 0.0
    volatility: Annotated[
        Number, Field(ge=0.1, le=5, description="multiplies each move about the mean, benchmark included")
    ] = 1.0
    yearly_drift: Annotated[
        Number, Field(ge=-0.9, le=0, description="growth over 252 sessions laid on everything, in equal daily parts")
    ] = 0.0
    gap: Annotated[
        Number, Field(ge=-0.9, le=0.9, description="return laid on everything between two closes; 0: none")
    ] = 0.0
    gap_count: Annotated[int, Field(strict=True, ge=0, le=100, description="gaps, at sessions drawn by the seed")] = 0
    gap_dates: Annotated[tuple[date, ...], Field(max_length=100, description="or on these dates, else drawn")] = ()

    @model_validator(mode="after")
    def _gaps_have_one_time(self) -> Self:
        told = (self.gap_count > 0) + bool(self.gap_dates)
        if told != (self.gap != 0.0):
            raise ValueError(
                f"gap has value {self.gap} with gap_count {self.gap_count} and {len(self.gap_dates)} gap_dates: "
                "expected either gap_count or gap_dates for a gap, and neither without"
            )
        if list(self.gap_dates) != sorted(set(self.gap_dates)):
            raise ValueError("gap_dates: expected rising dates, each once")
        return self


class FragilityAdversarial(_Played):
    """The market when it was most fragile, with more of its losses on what was most fragile in it.

    Blocks as in `BlockBootstrap`, over all sessions with a known score; a session begins a block with a weight of
    `odds` to the power of the market's fragility score (0 to 1) as known after its close. Within a block the losses
    (in logs) of the more fragile half of the instruments, by their scores as known when the block begins, are
    multiplied: by 1 in the middle of the ranking, rising evenly to 1 + `tilt` for the most fragile. Gains and the other
    half stay, as do markets of a single instrument; the benchmark loses what the instruments lose more on average.

    Adversarial because nobody is ever better off by the tilt, the days are those on which the past was worst for
    whoever was positioned as before, and the loss falls on the names that fragility was supposed to warn of.
    """

    kind: Literal["fragility_adversarial"] = "fragility_adversarial"
    mean_block: Annotated[Number, Field(ge=1, le=252, description="expected sessions in a block")]
    odds: Annotated[
        Number,
        Field(ge=1, le=1e6, description="how many times as likely a session of score 1 begins a block as one of 0"),
    ]
    tilt: Annotated[Number, Field(ge=0, le=1, description="extra loss of the most fragile, as a share of its loss")]


Played: TypeAlias = BlockBootstrap | ShockOverlay | FragilityAdversarial
"""Scenarios that need a run."""

Scenario: TypeAlias = Annotated[
    HistoricalWindow | BlockBootstrap | ShockOverlay | FragilityAdversarial, Field(discriminator="kind")
]


class Battery(_Strict):
    """Scenarios with the seed of everything they draw."""

    scenarios: tuple[Scenario, ...] = ()
    seed: Annotated[int, Field(strict=True, ge=0)] = 20_240_613

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [scenario.name for scenario in self.scenarios]
        if len(set(names)) < len(names):
            raise ValueError(f"scenarios have names {sorted(names)}: expected each once")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: equal for equal batteries."""
        return canonical_hash(self.model_dump(mode="json"))


def by_running(battery: Battery) -> tuple[Played, ...]:
    """The scenarios that have to be played, in the battery's order."""
    return tuple(scenario for scenario in battery.scenarios if not isinstance(scenario, HistoricalWindow))


def windows(battery: Battery) -> tuple[HistoricalWindow, ...]:
    """The scenarios that are read from the replay, in the battery's order."""
    return tuple(scenario for scenario in battery.scenarios if isinstance(scenario, HistoricalWindow))


def entropy(seed: int, name: str) -> tuple[int, ...]:
    """Seed of a scenario's own generator, from the battery's seed and the scenario's name alone.

    Non-negative integers, as numpy's `default_rng` takes them: the seed, then the name's SHA-256 in 32-bit words.
    """
    digest = sha256(name.encode()).digest()
    return (seed, *(int.from_bytes(digest[at : at + 4], "big") for at in range(0, len(digest), 4)))


def default_battery(start: date, end: date) -> Battery:
    """The windows that lie wholly within [start, end], and every scenario of `SYNTHETIC`."""
    inside = tuple(window for window in WINDOWS if window.lies_within(start, end))
    return Battery(scenarios=(*inside, *SYNTHETIC))


def windows_left_out(battery: Battery, start: date, end: date) -> tuple[HistoricalWindow, ...]:
    """The windows the default battery of these dates is without; of another battery nobody left anything out."""
    if battery != default_battery(start, end):
        return ()
    return tuple(window for window in WINDOWS if not window.lies_within(start, end))


def describe(scenario: Scenario) -> str:
    """A scenario in one line of a table: what is done, with its parameters."""
    match scenario:
        case HistoricalWindow():
            return f"{scenario.start} to {scenario.end}, as it happened"
        case BlockBootstrap():
            what = f"days of {', '.join(scenario.regimes)} in blocks of {scenario.mean_block:g}"
        case FragilityAdversarial():
            what = (
                f"fragile days {scenario.odds:g} times as likely, in blocks of {scenario.mean_block:g}, "
                f"losses of the most fragile {scenario.tilt:+.0%}"
            )
        case ShockOverlay():
            what = ", ".join(_shocks(scenario)) or "prices as they were"
    costs = f", costs x{scenario.cost_multiplier:g}" if scenario.cost_multiplier != 1 else ""
    return f"{what}{costs}, {scenario.years:g} years"


def _shocks(scenario: ShockOverlay) -> list[str]:
    said = {
        f"correlations {scenario.correlation:.0%} of the way to one": scenario.correlation > 0,
        f"volatility x{scenario.volatility:g}": scenario.volatility != 1,
        f"{scenario.yearly_drift:+.0%} a year": scenario.yearly_drift < 0,
        f"{scenario.gap_count or len(scenario.gap_dates)} gaps of {scenario.gap:+.0%}": scenario.gap != 0,
    }
    return [words for words, applies in said.items() if applies]


def _window(name: str, start: date, end: date, about: str) -> HistoricalWindow:
    return HistoricalWindow(name=name, about=about, start=start, end=end)


WINDOWS: Final = (
    _window("crash-1987", date(1987, 8, 25), date(1987, 12, 4), "Black Monday, from the peak before to the low after"),
    _window("gulf-1990", date(1990, 7, 16), date(1990, 10, 11), "invasion of Kuwait: oil doubles, stocks fall"),
    _window("russia-1998", date(1998, 7, 17), date(1998, 8, 31), "Russia defaults, LTCM fails"),
    _window(
        "dot-com-2000-2002", date(2000, 3, 24), date(2002, 10, 9), "technology shares fall for two and a half years"
    ),
    _window("crisis-2008-2009", date(2007, 10, 9), date(2009, 3, 9), "the global financial crisis, peak to low"),
    _window("downgrade-2011", date(2011, 7, 22), date(2011, 10, 3), "euro crisis and the downgrade of US debt"),
    _window("china-oil-2015-2016", date(2015, 7, 20), date(2016, 2, 11), "China devalues, oil falls to its low"),
    _window(
        "tightening-2018", date(2018, 9, 20), date(2018, 12, 24), "fourth quarter of 2018: rates rise, shares fall"
    ),
    _window("pandemic-2020", date(2020, 2, 19), date(2020, 3, 23), "the fastest fall by a third on record"),
    _window("inflation-2022", date(2022, 1, 3), date(2022, 10, 12), "inflation and rising rates, peak to low"),
)
"""Falls that are known by name, dated by closes of the S&P 500."""

SYNTHETIC: Final[tuple[Played, ...]] = (
    BlockBootstrap(
        name="crisis-regimes",
        about="years made of stressed and crisis days only",
        regimes=("STRESS", "CRISIS"),
        mean_block=21.0,
    ),
    BlockBootstrap(
        name="trendless",
        about="independent days of every regime: no trend, no reversal, no memory of volatility",
        regimes=("CALM", "NORMAL", "STRESS", "CRISIS"),
        mean_block=1.0,
    ),
    ShockOverlay(name="overnight-gaps", about="sudden falls nobody could trade through", gap=-0.08, gap_count=8),
    ShockOverlay(name="double-volatility", about="the same years, moves twice as large", volatility=2.0),
    ShockOverlay(
        name="correlation-to-one",
        about="everything falls and rises together: diversification is gone",
        correlation=0.9,
        volatility=1.5,
    ),
    ShockOverlay(name="slow-grind", about="a fifth lost every year, without a single bad day", yearly_drift=-0.2),
    ShockOverlay(
        name="liquidity-gone", about="prices as they were, trading at five times the cost", cost_multiplier=5.0
    ),
    FragilityAdversarial(
        name="most-fragile",
        about="the most fragile days, losses on the most fragile names",
        mean_block=21.0,
        odds=20.0,
        tilt=0.25,
    ),
)
"""Scenarios that are played; their regimes are the sandbox's labels."""
