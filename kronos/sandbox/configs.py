"""The configs the sandbox runs: honest differences of speed and tightness, one risky one per engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SandboxConfig:
    """One immutable version of an engine's parameters as upstream registered it."""

    config_id: str
    engine_name: str
    version: str
    body: dict[str, Any]
    incumbent: bool = False


HANDICAPPED_INCUMBENT = "portfolio-momentum-hasty"
"""The active PORTFOLIO config is knowingly bad: stale signals, needless trading. An honest candidate can beat it."""


def _config(engine: str, name: str, description: str, incumbent: bool = False, /, **body: Any) -> SandboxConfig:
    return SandboxConfig(f"{engine.lower()}-{name}", engine, "1", {"description": description, **body}, incumbent)


CONFIGS: tuple[SandboxConfig, ...] = (
    _config(
        "REGIME", "slow", "Quarter-year volatility, wide error: cautious and late.", True,
        window=63, persistence=0.8, dispersion=0.55,
    ),
    _config(
        "REGIME", "fast", "Two-week volatility with a drawdown term: quick and jumpy.",
        window=10, persistence=0.7, dispersion=0.6, drawdown_weight=0.5,
    ),
    _config(
        "REGIME", "overconfident", "One-week volatility taken at face value: risky, far too sure of itself.",
        window=5, persistence=1.0, dispersion=0.15,
    ),
    _config(
        "STABILITY", "balanced", "Monthly volatility, half the way back to the base rate.", True,
        window=21, sensitivity=0.7, shrinkage=0.3,
    ),
    _config(
        "STABILITY", "tight", "Quarterly volatility and the trend, little shrinkage.",
        window=63, sensitivity=0.9, shrinkage=0.15, trend_window=63, trend_weight=0.15,
    ),
    _config(
        "STABILITY", "alarmist", "One-week volatility, no shrinkage: risky, cries wolf.",
        window=5, sensitivity=1.3, shrinkage=0.0, trend_window=21, trend_weight=0.5,
    ),
    _config(
        "ASSESSMENT", "momentum-slow", "Twelve-month momentum without the last month, modest conviction.", True,
        signal="momentum", lookback=252, skip=21, conviction=0.04,
    ),
    _config(
        "ASSESSMENT", "momentum-fast", "Three-month momentum without the last week.",
        signal="momentum", lookback=63, skip=5, conviction=0.04,
    ),
    _config(
        "ASSESSMENT", "reversal-risky", "One-week reversal with far too much conviction.",
        signal="reversal", lookback=5, conviction=0.35,
    ),
    _config(
        "UNIVERSE", "steady", "The ten calmest names of the year, chosen monthly.", True,
        rank_by="low_volatility", window=252, names=10, refresh_every=21,
    ),
    _config(
        "UNIVERSE", "trend", "The eight strongest names of the half-year, chosen weekly.",
        rank_by="momentum", window=126, names=8, refresh_every=5,
    ),
    _config(
        "UNIVERSE", "wild", "The four most volatile names, chosen daily, blacklist ignored: risky.",
        rank_by="high_volatility", window=21, names=4, refresh_every=1, avoid_distressed=False,
    ),
    _config(
        "PORTFOLIO", "momentum-hasty",
        "Knowingly handicapped incumbent: two-week-old signals, rebalanced daily, a third of the book needlessly "
        "sold and rebought every session. It stands here to be beaten by an honest candidate.", True,
        style="momentum", lookback=126, names=6, rebalance_every=1, signal_lag=10, churn=0.33,
    ),
    _config(
        "PORTFOLIO", "inverse-volatility", "Twelve calm names sized by inverse volatility, rebalanced monthly.",
        style="inverse_volatility", lookback=63, names=12, rebalance_every=21,
    ),
    _config(
        "PORTFOLIO", "momentum-slow", "Six names of twelve-month momentum without the last month, monthly.",
        style="momentum", lookback=252, skip=21, names=6, rebalance_every=21,
    ),
    _config(
        "PORTFOLIO", "levered-reversal", "Two against two names of weekly reversal at 1.8 times the capital: risky.",
        style="reversal", lookback=5, names=4, rebalance_every=5, gross=1.8, long_short=True,
    ),
)  # fmt: skip


def incumbent(engine_name: str) -> SandboxConfig:
    """The config that is active for an engine when the sandbox starts."""
    return next(config for config in CONFIGS if config.engine_name == engine_name and config.incumbent)
