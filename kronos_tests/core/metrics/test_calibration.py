"""CORP decomposition, calibration error and reliability curve from bins."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom
from sklearn.isotonic import IsotonicRegression

from kronos.core.calibration import probability_bin
from kronos.core.metrics.calibration import calibration_parts, reliability_curve


def bins(p: np.ndarray, y: np.ndarray, target: str = "event") -> pl.DataFrame:
    frame = pl.DataFrame({"p": p, "y": y.astype(float)}).with_columns(bin=probability_bin(pl.col("p")))
    grouped = frame.group_by("bin").agg(
        n=pl.len().cast(pl.Int64), sum_p=pl.col("p").sum(), sum_y=pl.col("y").sum(), sum_y2=(pl.col("y") ** 2).sum()
    )
    return grouped.with_columns(target=pl.lit(target))


def forecasts(seed: int = 0, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Overconfident forecasts: the true probability is halfway to one half."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.7, 0.7, n)
    return p, (rng.random(n) < 0.25 + 0.5 * p).astype(float)


def test_parts_sum_to_the_raw_score() -> None:
    p, y = forecasts()
    raw = float(((p - y) ** 2).mean())
    parts = calibration_parts(bins(p, y), raw)
    assert parts.miscalibration - parts.discrimination + parts.uncertainty == pytest.approx(raw, abs=1e-15)


def test_parts_are_close_to_isotonic_regression_on_single_forecasts() -> None:
    """scikit-learn's isotonic regression on the 4,000 forecasts themselves; ours sees 1,024 bins."""
    p, y = forecasts()
    fitted = IsotonicRegression(out_of_bounds="clip").fit_transform(p, y)
    parts = calibration_parts(bins(p, y), float(((p - y) ** 2).mean()))
    assert parts.uncertainty == pytest.approx(y.mean() * (1 - y.mean()), rel=1e-12)
    assert parts.discrimination == pytest.approx(parts.uncertainty - ((fitted - y) ** 2).mean(), abs=2e-3)
    assert parts.miscalibration > 0.005


def test_a_constant_forecast_discriminates_nothing() -> None:
    y = np.array([1.0, 0.0, 0.0, 0.0] * 25)
    parts = calibration_parts(bins(np.full(100, 0.25), y), 0.1875)
    assert parts.discrimination == pytest.approx(0.0, abs=1e-15)
    assert parts.miscalibration == pytest.approx(0.0, abs=1e-15)
    assert parts.ece == pytest.approx(0.0, abs=1e-15)


def test_certain_and_right_has_no_miscalibration() -> None:
    y = np.array([1.0, 0.0] * 50)
    parts = calibration_parts(bins(y, y), 0.0)
    assert (parts.miscalibration, parts.discrimination, parts.uncertainty, parts.ece) == (0.0, 0.25, 0.25, 0.0)


def test_calibration_error_of_shifted_forecasts_is_the_shift() -> None:
    p = np.full(1000, 0.75)
    y = np.array([1.0] * 550 + [0.0] * 450)
    assert calibration_parts(bins(p, y), 0.0).ece == pytest.approx(0.2, abs=1e-12)


def test_classes_add_up() -> None:
    """The decomposition of several classes is the sum over classes."""
    p, y = forecasts()
    both = pl.concat([bins(p, y, "class:UP"), bins(1 - p, 1 - y, "class:DOWN")])
    raw = 2 * float(((p - y) ** 2).mean())
    parts = calibration_parts(both, raw)
    one = calibration_parts(bins(p, y), raw / 2)
    assert parts.uncertainty == pytest.approx(2 * one.uncertainty, rel=1e-12)
    assert parts.n == 4000


def test_reliability_curve_rises_and_counts_everything() -> None:
    p, y = forecasts()
    curve = reliability_curve(bins(p, y))
    assert [point.realised for point in curve] == sorted(point.realised for point in curve)
    assert sum(point.n for point in curve) == 4000
    assert reliability_curve(bins(p, y).clear()) == ()


def test_the_band_is_the_binomial_quantiles_of_right_forecasts() -> None:
    p, y = forecasts()
    for point in reliability_curve(bins(p, y)):
        low, high = binom.ppf([0.025, 0.975], point.n, point.forecast) / point.n
        assert (point.consistent_low, point.consistent_high) == pytest.approx((low, high), abs=1e-12)


def test_certain_forecasts_have_no_room_for_error() -> None:
    curve = reliability_curve(bins(np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0])))
    assert [(point.consistent_low, point.consistent_high) for point in curve] == [(0.0, 0.0), (1.0, 1.0)]


@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_the_band_holds_right_forecasts_and_shows_wrong_ones(shift: float) -> None:
    """Share of forecasts whose pool lies inside, over 60 worlds of 2,000 forecasts: about 95 % or more if right."""
    rng = np.random.default_rng(5)
    inside = []
    for _ in range(60):
        p = rng.integers(2, 8, 2000) / 10.0
        y = (rng.uniform(size=2000) < p + shift).astype(float)
        for point in reliability_curve(bins(p, y)):
            inside += [point.consistent_low <= point.realised <= point.consistent_high] * point.n
    assert np.mean(inside) > 0.93 if shift == 0.0 else np.mean(inside) < 0.05
