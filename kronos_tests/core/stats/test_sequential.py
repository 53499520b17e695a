"""The monitor's alarm is rare without a drop, likely with one, and blind to leverage."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest

from kronos.core.stats.matrix import Inconclusive, LossMatrix, Reason, ReturnMatrix
from kronos.core.stats.sequential import (
    DESIGN_DROPS,
    DESIGN_WEIGHTS,
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
    """Slow twin: bets, clock and variance summed observation by observation."""
    rng = np.random.default_rng(8)
    reference, live = rng.standard_normal(500), rng.standard_normal(40)
    drops = np.array(DESIGN_DROPS) / math.sqrt(252)
    found = log_e_process(reference, live, drops)
    centred = reference - reference.mean()
    inflation = found_inflation(centred)
    clock_before, squares, variance = 0.0, 63.0, 0.0
    for m, value in enumerate(live, start=1):
        r = (value - reference.mean()) / reference.std()
        clock = 500 * m / (500 + m)
        variance += (clock - clock_before) * (r * r + 2 * squares / (63 + m - 1)) / 3
        squares, clock_before = squares + r * r, clock
        s = clock * (reference.mean() - live[:m].mean()) / reference.std() / inflation
        e = sum(w * math.exp(d * s - d * d / 2 * variance) for w, d in zip(DESIGN_WEIGHTS, drops, strict=True))
        assert found[m - 1] == pytest.approx(math.log(e), abs=1e-9)


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
