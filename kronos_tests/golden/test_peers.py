"""Metrics against quantstats 0.0.86 and empyrical-reloaded 0.7.1, computed by those packages in the test.

Their conventions match ours on a complete series: ddof 1, downside over all n, starting wealth as the first peak,
n/252 years. Both take a pandas series of simple returns. quantstats' VaR is Gaussian, so tails go to empyrical only.
"""

from __future__ import annotations

import warnings

import empyrical
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.core.metrics.metric import Basis, SeriesMetric
from kronos.core.metrics.registry import metric

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import quantstats.stats as qs

RELATIVE = 1e-12


def ours(metric_id: str, returns: np.ndarray, basis: Basis | None = None) -> float:
    found = metric(metric_id)
    assert isinstance(found, SeriesMetric)
    return pl.DataFrame({"r": returns}).select(found.expression(pl.col("r"), basis)).item()


def dated(returns: np.ndarray) -> pd.Series:
    return pd.Series(returns, index=pd.bdate_range("1995-01-02", periods=len(returns)))


PEERS = {
    "sharpe": [empyrical.sharpe_ratio, qs.sharpe],
    "volatility": [empyrical.annual_volatility, qs.volatility],
    "cagr": [empyrical.annual_return, lambda r: qs.cagr(r, periods=252)],
    "max_dd": [empyrical.max_drawdown, qs.max_drawdown],
    "sortino": [empyrical.sortino_ratio, qs.sortino],
    "calmar": [empyrical.calmar_ratio, lambda r: qs.calmar(r, periods=252)],
    "var_5": [empyrical.value_at_risk],
    "cvar_5": [empyrical.conditional_value_at_risk],
}


@pytest.mark.parametrize("metric_id", PEERS)
@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_peers_on_complete_series(metric_id: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.standard_t(4, size=int(rng.integers(150, 4000))) * 0.01 + 3e-4
    for peer in PEERS[metric_id]:
        assert ours(metric_id, returns) == pytest.approx(float(peer(dated(returns))), rel=RELATIVE)


@pytest.mark.parametrize("metric_id", PEERS)
def test_agrees_when_the_first_day_loses(metric_id: str) -> None:
    """The starting capital is the first peak."""
    returns = np.concatenate([[-0.3], np.random.default_rng(7).normal(0.002, 0.01, 200)])
    for peer in PEERS[metric_id]:
        assert ours(metric_id, returns) == pytest.approx(float(peer(dated(returns))), rel=RELATIVE)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-0.2, 0.2).map(lambda x: round(x, 6)), min_size=100, max_size=400))
def test_agrees_with_peers_on_generated_series(values: list[float]) -> None:
    """Relative to the size of what is subtracted: a mean near zero has few correct digits in any package."""
    returns = np.array(values)
    scale = {
        "sharpe": 1.0,
        "sortino": 1.0,
        "cagr": 1.0,
        "max_dd": 1.0,
        "var_5": 0.01,
        "cvar_5": 0.01,
        "volatility": 0.01,
    }
    for metric_id, size in scale.items():
        number = ours(metric_id, returns)
        if number is None:
            continue
        for peer in PEERS[metric_id]:
            assert number == pytest.approx(float(peer(dated(returns))), rel=RELATIVE, abs=RELATIVE * size)


def test_risk_free_return_is_subtracted_as_empyrical_does() -> None:
    returns = np.random.default_rng(3).normal(5e-4, 0.01, 1000)
    free = 1.02 ** (1 / 252) - 1
    expected = empyrical.sharpe_ratio(dated(returns), risk_free=free)
    assert ours("sharpe", returns, Basis(252.0, free)) == pytest.approx(float(expected), rel=RELATIVE)
    expected = empyrical.sortino_ratio(dated(returns), required_return=free)
    assert ours("sortino", returns, Basis(252.0, free)) == pytest.approx(float(expected), rel=RELATIVE)
