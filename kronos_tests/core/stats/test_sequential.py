"""The monitor's alarm is rare without a drop, likely with one, and blind to leverage."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
from scipy.stats import norm

from kronos.core.stats.matrix import Inconclusive, LossMatrix, Reason, ReturnMatrix
from kronos.core.stats.sequential import (
    Monitoring,
    log_e_process,
    monitor_loss,
    monitor_sharpe,
)
from kronos.errors import BadValue
from kronos_tests.proofs import sequential_size

EVIDENCE, LIVE = 2520, 504
DATES = np.datetime64("2000-01-01") + np.arange(EVIDENCE + LIVE)
START: date = DATES[EVIDENCE].item()


def series(seed: int = 1, drop: float = 0.0, sharpe: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    drift = np.full(EVIDENCE + LIVE, sharpe)
    drift[EVIDENCE:] -= drop
    return 0.01 * (rng.standard_t(5, EVIDENCE + LIVE) / math.sqrt(5 / 3) + drift / math.sqrt(252))


def watch(values: np.ndarray, start: date = START, horizon: int = 1, **options: float) -> Monitoring:
    matrix = ReturnMatrix(values[:, None], ("a",), DATES[: len(values)], horizon)
    found = monitor_sharpe(matrix, "a", start, **options)
    assert isinstance(found, Monitoring)
    return found


def reason(values: np.ndarray, start: date = START) -> Reason:
    found = monitor_sharpe(ReturnMatrix(values[:, None], ("a",), DATES[: len(values)]), "a", start)
    assert isinstance(found, Inconclusive)
    return found.reason


def test_a_large_drop_raises_the_alarm_and_says_when() -> None:
    found = watch(series(drop=5.0))
    assert found.alarm_date is not None
    assert found.alarm_date > START
    assert found.p_value <= 0.05
    assert found.drop > 3.0
    assert found.live is not None
    assert found.live < 0.0 < found.reference


def test_an_improvement_raises_none() -> None:
    found = watch(series(drop=-5.0))
    assert found.alarm_date is None
    assert found.largest_e < 1.5


def test_tomorrow_does_not_change_what_was_seen_today() -> None:
    values = series(2, drop=2.0)
    whole, part = watch(values), watch(values[: EVIDENCE + 300])
    assert np.array_equal(whole.log_e[:300], part.log_e)


def test_leverage_changes_nothing_and_neither_does_live_leverage_much() -> None:
    values = series(3, drop=2.0)
    assert np.allclose(watch(7.0 * values).log_e, watch(values).log_e, atol=1e-9)
    doubled = values.copy()
    doubled[EVIDENCE:] *= 2.0
    assert watch(doubled).drop == pytest.approx(watch(values).drop, abs=0.25)


def test_evidence_that_says_less_alarms_less() -> None:
    """The same live record against the last two years of the same evidence: the clock runs slower."""
    values = series(4, drop=4.0)
    assert watch(values[EVIDENCE - 504 :], DATES[504].item()).largest_e < watch(values).largest_e


def test_a_tolerated_margin_only_lowers_the_evidence() -> None:
    values = series(5, drop=3.0)
    found = [watch(values, margin=margin).largest_e for margin in (0.0, 0.5, 1.0)]
    assert found == sorted(found, reverse=True)


def test_one_day_cannot_raise_the_alarm() -> None:
    values = series(6)
    values[EVIDENCE + 250] = -10.0
    assert watch(values).alarm_date is None


def test_the_statistic_is_the_sum_of_recursive_residuals() -> None:
    """Independent derivation: Brown, Durbin and Evans' residuals, weighted by the likelihood ratio's weights."""
    rng = np.random.default_rng(7)
    reference, live = rng.standard_normal(400), rng.standard_normal(60)
    n, m = len(reference), len(live)
    clock = n * m / (n + m)
    whole, total = np.r_[reference, live], 0.0
    for k in range(n, n + m):
        residual = (whole[k] - whole[:k].mean()) * math.sqrt(k / (k + 1))
        total -= n / math.sqrt(k * (k + 1)) * residual
    assert clock * (reference.mean() - live.mean()) == pytest.approx(total, rel=1e-9)


def test_the_e_process_equals_a_loop_over_its_definition() -> None:
    """Slow twin: bets, clock and variance observation by observation."""
    rng = np.random.default_rng(8)
    n, year, alpha = 500, 12.0, 0.04
    reference, live = rng.standard_normal(n), rng.standard_normal(40) - 0.4
    found = log_e_process(reference, live, year, alpha)
    inflation = found_inflation(reference - reference.mean())
    end = n * 2 * year / (n + 2 * year)
    clock = s = patient = quick = 0.0
    squares, quick_bet = 63.0, 5.0 / math.sqrt(year)
    for m, value in enumerate(live, start=1):
        bet = slow_bet(s, clock, end, year, 0.9 * alpha)
        r = (value - reference.mean()) / reference.std()
        new_clock = n * m / (n + m)
        new_s = new_clock * (reference.mean() - live[:m].mean()) / reference.std() / inflation
        variance = (new_clock - clock) * (r * r + 2 * squares / (63 + m - 1)) / 3
        patient += bet * (new_s - s) - bet**2 / 2 * variance
        quick += quick_bet * (new_s - s) - quick_bet**2 / 2 * variance
        squares, clock, s = squares + r * r, new_clock, new_s
        assert found[m - 1] == pytest.approx(math.log(0.9 * math.exp(patient) + 0.1 * math.exp(quick)), abs=1e-9)


def slow_bet(s: float, clock: float, end: float, year: float, alpha: float) -> float:
    """Slope in s of the logarithm of P(max of Brownian motion from s before the end >= level), by differences."""
    if clock >= end:
        return 0.0
    level, spread = norm.isf(alpha / 2) * math.sqrt(end), math.sqrt(max(end - clock, year / 24))
    low, high = (norm.logsf((level - s - step) / spread) for step in (-1e-5, 1e-5))
    return min((high - low) / 2e-5, 6 / math.sqrt(year))


def test_a_collapse_is_found_in_weeks() -> None:
    found = watch(series(13, drop=10.0))
    assert found.alarm_date is not None
    assert (found.alarm_date - START).days < 63


def test_a_drop_that_begins_after_the_horizon_is_found_by_a_restart() -> None:
    dates = DATES[0] + np.arange(EVIDENCE + 5 * LIVE // 2)
    values = series(15)[np.arange(len(dates)) % EVIDENCE].copy()
    values[EVIDENCE + LIVE :] -= 0.01 * 5.0 / math.sqrt(252)
    found = monitor_sharpe(ReturnMatrix(values[:, None], ("a",), dates), "a", START)
    assert isinstance(found, Monitoring)
    assert found.alarm_date is not None
    assert found.alarm_date > dates[EVIDENCE + LIVE].item()


def found_inflation(centred: np.ndarray) -> float:
    """Newey and West's (1994) automatic Bartlett estimate over the plain variance, at least 1."""
    n = len(centred)
    gamma = [float(centred[lag:] @ centred[: n - lag]) for lag in range(n // 2)]
    pilot = math.floor(4 * (n / 100) ** (2 / 9))
    flat = gamma[0] + 2 * sum(gamma[1 : pilot + 1])
    slope = 2 * sum(lag * gamma[lag] for lag in range(1, pilot + 1))
    lags = min(math.floor(1.1447 * ((slope / flat) ** 2 * n) ** (1 / 3)), math.isqrt(n))
    total = gamma[0] + 2 * sum((1 - lag / (lags + 1)) * gamma[lag] for lag in range(1, lags + 1))
    return math.sqrt(max(1.0, total / gamma[0]))


def test_a_loss_that_rises_raises_the_alarm_and_one_that_falls_does_not() -> None:
    def alarm(drop: float) -> date | None:
        losses = LossMatrix(0.25 - series(9, drop)[:, None], ("a",), DATES)
        found = monitor_loss(losses, "a", START)
        assert isinstance(found, Monitoring)
        return found.alarm_date

    assert alarm(5.0) is not None
    assert alarm(-5.0) is None


def test_returns_and_losses_are_not_confused() -> None:
    values = series()[:, None]
    with pytest.raises(BadValue, match="lower is better"):
        monitor_loss(ReturnMatrix(values, ("a",), DATES), "a", START)  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="higher is better"):
        monitor_sharpe(LossMatrix(values, ("a",), DATES), "a", START)  # type: ignore[arg-type]


def test_overlapping_horizons_use_each_session_once() -> None:
    daily = series(10, drop=6.0)
    overlapping = np.lib.stride_tricks.sliding_window_view(daily, 5).sum(axis=-1)
    found = watch(overlapping, horizon=5)
    assert found.n_live == 100
    assert found.n_reference == 504 - 63
    assert found.alarm_date is not None


def test_weeks_without_a_position_are_no_division_by_zero() -> None:
    values = series(11)
    values[EVIDENCE + 50 : EVIDENCE + 400] = 0.0
    assert np.isfinite(watch(values).log_e).all()


def test_too_little_and_broken_records_are_inconclusive() -> None:
    values = series(12)
    assert reason(values, DATES[200].item()) is Reason.TOO_SHORT
    assert reason(values, DATES[-1].item().replace(year=2050)) is Reason.TOO_SHORT
    flat = values.copy()
    flat[EVIDENCE:] = 0.001
    assert reason(flat) is Reason.CONSTANT
    flat = values.copy()
    flat[:EVIDENCE] = 0.001
    assert reason(flat) is Reason.CONSTANT


def test_the_first_live_day_already_has_an_answer() -> None:
    found = watch(series()[: EVIDENCE + 1])
    assert found.n_live == 1
    assert found.live is None
    assert found.alarm_date is None


@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"alpha": 1.0}, {"margin": -0.1}, {"margin": math.nan}])
def test_bad_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(BadValue):
        watch(series(), **options)


@pytest.mark.proof
@pytest.mark.parametrize("case", ["false-alarm-t5", "false-alarm-garch-t5", "false-alarm-loss"])
def test_false_alarms_are_rare_in_a_sample_of_the_proof(case: str) -> None:
    """300 worlds of `make prove`'s thousands: at most 5 % within sampling error (three standard errors)."""
    rate = sequential_size.run(case, worlds=300)["rate"]
    assert isinstance(rate, float)
    assert rate <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


@pytest.mark.proof
@pytest.mark.parametrize(("case", "power"), [("drop-2-t5", 0.6), ("drop-3-t5", 0.9)])
def test_drops_are_found_in_a_sample_of_the_proof(case: str, power: float) -> None:
    rate = sequential_size.run(case, worlds=300)["rate"]
    assert isinstance(rate, float)
    assert rate >= power - 3 * math.sqrt(power * (1 - power) / 300)
