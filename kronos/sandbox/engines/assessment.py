"""ASSESSMENT: the instruments a market's ranking likes best (long) and least (short), with how sure it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import Field, model_validator
from scipy.special import ndtr

from kronos.core.conventions import DEFAULT_SESSIONS_PER_YEAR
from kronos.sandbox.engines.contract import Engine, EngineConfig, blurred, rounded, standardised
from kronos.sandbox.features import momentum, volatility
from kronos.sandbox.markets import Floats, Indexes, Market
from kronos.sandbox.paths import PricePath, instrument_columns, net


class AssessmentConfig(EngineConfig):
    """A cross-sectional ranking by risk-adjusted momentum, or by its opposite."""

    signal: Literal["momentum", "reversal"]
    lookback: Annotated[int, Field(ge=2, le=504)]
    skip: Annotated[int, Field(ge=0, le=63, description="latest sessions left out of the signal")] = 0
    picks: Annotated[int, Field(ge=1, le=10, description="instruments at each end of the ranking")] = 3
    conviction: Annotated[float, Field(gt=0, le=2, description="probit of a positive return per unit of score")]
    noise: Annotated[float, Field(ge=0, le=1, description="share of the score's variance that is noise")] = 0.0

    @model_validator(mode="after")
    def _skip_is_shorter(self) -> AssessmentConfig:
        if self.skip >= self.lookback:
            raise ValueError(f"skip has value {self.skip}: expected less than lookback {self.lookback}")
        return self


def decide(config: AssessmentConfig, market: Market, rows: Indexes, seed: int) -> dict[str, Any]:
    """The picks of each session, equal weights; a pick is paid for when it appears, not while it stays."""
    risk = volatility(market.prices, 63)
    scores = ranking(config, market, risk, seed)
    count = min(config.picks, len(market.instruments) // 2)
    picks = _picks(scores, risk, count)
    position, picked = np.nonzero(picks[rows])
    session = rows[position]
    direction = picks[session, picked]
    conviction = config.conviction * direction * scores[session, picked]
    weight = np.full(len(session), rounded(np.array(0.5 / count)))
    new = direction != np.where(session > 0, picks[session - 1, picked], 0)
    return {
        "session": session,
        "instrument": picked,
        "direction": direction,
        "weight": weight,
        "turnover": weight * new,
        "score": rounded(direction * scores[session, picked]),
        "probability": rounded(ndtr(conviction)),
        "expected_return": rounded(conviction * risk[session, picked] / np.sqrt(DEFAULT_SESSIONS_PER_YEAR)),
    }


def ranking(config: AssessmentConfig, market: Market, risk: Floats, seed: int) -> Floats:
    """Standardised scores of every instrument, the higher the better."""
    sign = 1.0 if config.signal == "momentum" else -1.0
    raw = sign * momentum(market.prices, config.lookback, config.skip) / risk
    return blurred(standardised(raw), config.noise, market, seed)


def evaluate(decisions: pl.DataFrame, path: PricePath) -> dict[str, Any]:
    """The pick's own return, direction included and net of costs; the event is that it is positive."""
    leg = path.instruments(instrument_columns(decisions, path.market), decisions["direction"].to_numpy())
    weight, turnover = decisions["weight"].to_numpy(), decisions["turnover"].to_numpy()
    values = net(leg, weight, turnover, path.market.cost_rate)
    return {**values, "event": (values["return"] > 0.0).astype(np.float64)}


def _picks(scores: Floats, risk: Floats, count: int) -> Indexes:
    """1 for the best, -1 for the worst instruments of every session, 0 for the rest and before the signal is known."""
    order = np.argsort(-scores, axis=1, kind="stable")
    picks = np.zeros(scores.shape, dtype=np.int64)
    np.put_along_axis(picks, order[:, :count], 1, axis=1)
    np.put_along_axis(picks, order[:, -count:], -1, axis=1)
    picks[np.isnan(scores).any(axis=1) | np.isnan(risk).any(axis=1)] = 0
    return picks


ENGINE = Engine("ASSESSMENT", AssessmentConfig, decide, evaluate, entity_type="INSTRUMENT", min_instruments=5)
