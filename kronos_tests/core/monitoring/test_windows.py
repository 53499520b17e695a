"""Rolling figures are what they say, and the interval of a trend covers the truth although windows overlap."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from kronos.core.monitoring.windows import rolling_mean, rolling_sharpe, trend
from kronos.core.policy import MonitoringPolicy
from kronos_tests.core.monitoring.records import DAYS, book, briers, forecasts, look, returns
from kronos_tests.core.reports.builders import weekdays

OVER = 252
rng_of = np.random.default_rng


def fitted(values: np.ndarray, window: int) -> tuple[float, float]:
    """Interval of the trend of the rolling mean, per observation."""
    found = trend(rolling_mean(values, window), values, window, 1, 1.0)
    assert found is not None
    return found.low, found.high


def test_figures_equal_a_loop_over_the_windows() -> None:
    values = rng_of(1).standard_normal(80)
    parts = [values[i : i + 21] for i in range(60)]
    assert np.allclose(rolling_mean(values, 21), [part.mean() for part in parts], atol=1e-12)
    sharpe = [part.mean() / part.std(ddof=1) * math.sqrt(252) for part in parts]
    assert np.allclose(rolling_sharpe(values, 21, 252.0), sharpe, atol=1e-9)


def test_fewer_values_than_the_window_give_nothing() -> None:
    assert rolling_mean(np.ones(20), 21).size == rolling_sharpe(np.ones(20), 21, 252.0).size == 0


def test_equal_values_have_no_sharpe_ratio() -> None:
    assert np.isnan(rolling_sharpe(np.ones(30), 21, 252.0)).all()


@pytest.mark.parametrize("window", [21, 63, 252])
def test_the_interval_covers_no_trend_in_about_95_of_100_worlds(window: int) -> None:
    covered = [low < 0.0 < high for low, high in (fitted(_noise(seed, window), window) for seed in range(400))]
    assert 0.91 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize("window", [21, 63])
def test_the_interval_of_the_sharpe_trend_covers_too(window: int) -> None:
    covered = []
    for seed in range(300):
        values = 0.05 + _noise(seed, window)
        z = (values - values.mean()) / values.std()
        influence = (z - values.mean() / values.std() / 2.0 * (z**2 - 1.0)) * math.sqrt(252)
        found = trend(rolling_sharpe(values, window, 252.0), influence, window, 1, 1.0)
        assert found is not None
        covered.append(found.low < 0.0 < found.high)
    assert 0.90 <= np.mean(covered) <= 0.99


def test_a_planted_trend_is_found_at_its_slope() -> None:
    values = _noise(1, 63) * 0.1 + 0.01 * np.arange(OVER + 62)
    low, high = fitted(values, 63)
    assert low < 0.01 < high
    assert low > 0.0


def test_the_naive_interval_would_not_cover() -> None:
    """Treating overlapping means as independent claims a trend in most worlds without one."""
    claimed = []
    for seed in range(100):
        rolled = rolling_mean(_noise(seed, 63), 63)
        time = np.arange(OVER) - (OVER - 1) / 2.0
        slope = time @ rolled / (time @ time)
        residual = rolled - rolled.mean() - slope * time
        claimed.append(abs(slope) > 1.96 * math.sqrt(residual.var() / (time @ time)))
    assert np.mean(claimed) > 0.5


@pytest.mark.parametrize("values", [np.ones(300), np.r_[np.ones(299), np.nan], np.arange(70.0)])
def test_constant_missing_and_short_series_have_no_trend(values: np.ndarray) -> None:
    assert trend(rolling_mean(values, 21), values, 21, 1, 252.0) is None


def test_every_figure_comes_in_every_window_of_the_policy() -> None:
    found = look(book(returns(), **forecasts(briers())), policy=MonitoringPolicy(windows=(21, 63)))
    assert [(one.figure, one.window) for one in found.windows] == [
        (figure, window) for figure in ("avg_return", "sharpe", "brier") for window in (21, 63)
    ]
    assert {one.end for one in found.windows} == {DAYS[-1]}
    assert all(one.trend is not None and one.trend.low < one.trend.slope < one.trend.high for one in found.windows)


def test_a_young_record_has_values_and_no_trend_yet() -> None:
    found = look(book(returns()[:30]), as_of=weekdays(31)[-1])
    values = {(one.figure, one.window): (one.value is not None, one.n) for one in found.windows}
    assert values[("avg_return", 21)] == (True, 21)
    assert values[("avg_return", 63)] == (False, 30)
    assert all(one.trend is None for one in found.windows)


def test_windows_never_look_ahead() -> None:
    whole = book(returns())
    ends = [look(whole, as_of=day).windows[0].end for day in DAYS[400::300]]
    assert all(earlier is not None and later is not None and earlier < later for earlier, later in pairwise(ends))


def _noise(seed: int, window: int) -> np.ndarray:
    return np.asarray(rng_of(seed).standard_t(5, OVER + window - 1))
