"""Markets and short histories shared by the sandbox's tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl

from kronos.sandbox.configs import CONFIGS, SandboxConfig
from kronos.sandbox.engines import decide
from kronos.sandbox.markets import Market

BY_ID = {config.config_id: config for config in CONFIGS}


def decided(config: SandboxConfig, market: Market, start: date, end: date) -> pl.DataFrame:
    """Decisions of a seeded config."""
    return decide(config.engine_name, config.body, market, start, end, config_id=config.config_id)


def with_another_future(market: Market, last_known: date, seed: int) -> Market:
    """The same market with every price after `last_known` replaced by nonsense."""
    rng = np.random.default_rng(seed)
    later = market.sessions > np.datetime64(last_known)
    prices, benchmark = market.prices.copy(), market.benchmark.copy()
    prices[later] = rng.uniform(1.0, 500.0, prices[later].shape)
    benchmark[later] = rng.uniform(1.0, 5000.0, benchmark[later].shape)
    return replace(market, prices=prices, benchmark=benchmark)
