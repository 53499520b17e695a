"""Series metrics: stated outcomes for bad input, and use as expressions."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from kronos.core.metrics.metric import Basis, SeriesMetric
from kronos.core.metrics.registry import REGISTRY, SERIES, metric
from kronos.core.vocabulary import Undefined
from kronos.errors import NotFound

RATIOS = ("volatility", "sharpe")


def outcome(metric_id: str, values: list[float | None], basis: Basis | None = None) -> float | str:
    """The number, or the reason."""
    found = metric(metric_id)
    assert isinstance(found, SeriesMetric)
    frame = pl.DataFrame({"r": pl.Series(values, dtype=pl.Float64)})
    value, reason = frame.select(
        value=found.expression(pl.col("r"), basis), reason=found.reason(pl.col("r"), basis or Basis())
    ).row(0)
    assert (value is None) == (reason is not None)
    return value if reason is None else reason


@pytest.mark.parametrize("metric_id", [m.id for m in SERIES])
def test_empty_and_all_null_have_no_observations(metric_id: str) -> None:
    assert outcome(metric_id, []) == Undefined.NO_OBSERVATIONS
    assert outcome(metric_id, [None, None]) == Undefined.NO_OBSERVATIONS


@pytest.mark.parametrize("metric_id", ["volatility", "sharpe", "sortino", "cagr", "calmar", "var_5", "cvar_5"])
def test_one_row_is_too_few(metric_id: str) -> None:
    assert outcome(metric_id, [0.01]) == Undefined.TOO_FEW_OBSERVATIONS


@pytest.mark.parametrize("metric_id", RATIOS)
@pytest.mark.parametrize("constant", [0.0, 0.001, -0.1, 0.1 + 0.2])
def test_constant_returns_have_zero_variance(metric_id: str, constant: float) -> None:
    assert outcome(metric_id, [constant] * 300) == Undefined.ZERO_VARIANCE


@pytest.mark.parametrize("metric_id", RATIOS)
def test_rounding_noise_is_zero_variance(metric_id: str) -> None:
    """0.1 and its neighbour differ by rounding only: a Sharpe of 1e16 is no Sharpe."""
    assert outcome(metric_id, [0.1, math.nextafter(0.1, 1.0)] * 100) == Undefined.ZERO_VARIANCE


@pytest.mark.parametrize("metric_id", [m.id for m in SERIES])
def test_nan_never_becomes_a_number(metric_id: str) -> None:
    """A gap is null; a NaN that got this far must not look like a good drawdown."""
    values = [-0.1, math.nan, -0.9, *np.random.default_rng(0).normal(0, 0.01, 200)]
    assert outcome(metric_id, values) in set(Undefined)


def test_all_gains_have_no_downside_and_no_drawdown() -> None:
    gains = [0.01, 0.02] * 50
    assert outcome("sortino", gains) == Undefined.NO_DOWNSIDE
    assert outcome("calmar", gains) == Undefined.ZERO_DRAWDOWN
    assert outcome("max_dd", gains) == 0.0


def test_losing_everything_is_ruin() -> None:
    lost = [0.01] * 60 + [-1.0] + [0.5] * 60
    assert outcome("cagr", lost) == Undefined.RUIN
    assert outcome("calmar", lost) == Undefined.RUIN
    assert outcome("max_dd", lost) == -1.0


def test_more_than_everything_is_still_minus_one() -> None:
    assert outcome("max_dd", [0.1, -1.4, -0.5]) == -1.0


def test_overflow_is_out_of_range() -> None:
    assert outcome("cagr", [1e10] * 100) == Undefined.OUT_OF_RANGE


@pytest.mark.parametrize(("metric_id", "least"), [("sharpe", 60), ("cagr", 60), ("var_5", 100), ("cvar_5", 100)])
def test_least_observations(metric_id: str, least: int) -> None:
    values = list(np.random.default_rng(1).normal(0, 0.01, least))
    assert isinstance(outcome(metric_id, values), float)
    assert outcome(metric_id, [*values[1:], None]) == Undefined.TOO_FEW_OBSERVATIONS


def test_overlapping_returns_need_twenty_independent_ones() -> None:
    values = list(np.random.default_rng(1).normal(0, 0.01, 419))
    basis = Basis(252 / 21, horizon=21)
    assert outcome("sharpe", values, basis) == Undefined.TOO_FEW_OBSERVATIONS
    assert isinstance(outcome("sharpe", [*values, 0.01], basis), float)


def test_zero_days_leave_the_day_hit_rate() -> None:
    assert outcome("hit_rate_day", [0.1, 0.0, -0.1, 0.2]) == pytest.approx(2 / 3)
    assert outcome("zero_days", [0.1, 0.0, -0.1, 0.2]) == 1.0
    assert outcome("hit_rate_day", [0.0, 0.0]) == Undefined.NO_OBSERVATIONS


def test_nulls_do_not_take_time() -> None:
    values = list(np.random.default_rng(2).normal(0, 0.01, 120))
    gaps = [x for value in values for x in (value, None)]
    for found in SERIES:
        assert outcome(found.id, gaps) == pytest.approx(outcome(found.id, values), rel=1e-13)


def test_expressions_work_in_group_by_and_lazy_plans() -> None:
    rng = np.random.default_rng(4)
    frame = pl.DataFrame({"g": ["a"] * 150 + ["b"] * 150, "r": rng.normal(0, 0.01, 300)})
    metrics = {m.id: m.expression(pl.col("r")) for m in SERIES}
    grouped = frame.lazy().group_by("g", maintain_order=True).agg(**metrics).collect()
    alone = frame.filter(g="b").select(**metrics)
    for found in SERIES:
        assert grouped[found.id][1] == pytest.approx(alone[found.id][0], rel=1e-13)


def test_every_metric_says_what_it_is() -> None:
    for found in REGISTRY.values():
        assert found.meaning and found.reference and found.unit and found.better


def test_an_unknown_metric_names_the_known_ones() -> None:
    with pytest.raises(NotFound, match="sharpe"):
        metric("sharp")
