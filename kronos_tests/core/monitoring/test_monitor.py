"""The monitor finds what became worse, says nothing of what did not, and has a cause for every silence."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from kronos.core.monitoring.judge import Metric, judge
from kronos.core.monitoring.model import Cause, EngineMonitoring, MonitorFinding, MonitorState, Watch, Watched
from kronos.core.monitoring.monitor import monitor_engine
from kronos.core.monitoring.series import Daily
from kronos.core.policy import MonitoringPolicy, ObservationPolicy
from kronos_tests.core.monitoring.records import (
    BEFORE,
    DAYS,
    START,
    TODAY,
    N,
    book,
    briers,
    finding,
    forecasts,
    look,
    missing,
    returns,
    until,
)
from kronos_tests.core.reports.builders import weekdays

SHARP, BLUNT = briers(), briers(rise=1.0)


def test_a_config_as_good_as_before_is_healthy() -> None:
    found = look(book(returns(), **forecasts(SHARP)))
    assert [one.state for one in found.findings] == [MonitorState.HEALTHY] * 2
    assert (found.state, found.degrading) == (MonitorState.HEALTHY, ())


def test_a_drop_in_return_is_degrading_and_dated() -> None:
    found = finding(book(returns(drop=6.0)))
    assert (found.state, found.cause) == (MonitorState.DEGRADING, None)
    assert found.e is not None and found.e.alarm_on is not None
    assert START < found.e.alarm_on <= found.e.largest_on <= DAYS[-1]
    assert found.e.largest >= found.e.threshold == pytest.approx(20.0)
    assert found.e.drop > 3.0


def test_a_rise_of_the_score_is_degrading_while_the_return_is_not() -> None:
    states = {one.metric: one.state for one in look(book(returns(), **forecasts(BLUNT))).findings}
    assert states == {Watch.RETURN: MonitorState.HEALTHY, Watch.CALIBRATION: MonitorState.DEGRADING}


def test_the_alarm_stays_when_the_config_recovers() -> None:
    values = returns(drop=8.0)
    values[BEFORE + 100 :] = returns(seed=5, drop=-4.0)[BEFORE + 100 :]
    found = finding(book(values))
    assert found.e is not None and found.e.now < found.e.threshold <= found.e.largest
    assert found.state is MonitorState.DEGRADING


def test_evidence_on_the_way_is_watch() -> None:
    path = finding(book(returns(drop=6.0))).e
    assert path is not None
    rising = next(day for day, e in zip(path.dates, path.values, strict=True) if e >= path.watch_threshold)
    found = finding(book(returns(drop=6.0)), as_of=rising + timedelta(days=3))
    assert (found.state, path.watch_threshold) == (MonitorState.WATCH, pytest.approx(4.0))


def test_reference_and_monitored_record_are_told_with_dates_and_numbers() -> None:
    values = returns()
    found = finding(book(values))
    assert found.reference is not None and found.monitored is not None
    assert (found.reference.start, found.reference.end, found.reference.n) == (DAYS[0], DAYS[BEFORE - 1], BEFORE)
    assert (found.monitored.start, found.monitored.end, found.monitored.n) == (START, DAYS[-1], N - BEFORE)
    assert found.reference.mean == pytest.approx(values[:BEFORE].mean(), rel=1e-12)
    sharpe = values[:BEFORE].mean() / values[:BEFORE].std(ddof=1) * math.sqrt(252)
    assert found.reference.sharpe == pytest.approx(sharpe, rel=1e-12)


def test_only_the_newest_observations_are_evidence() -> None:
    policy = MonitoringPolicy(reference_least=300, reference_longest=400)
    found = finding(book(returns()), policy=policy)
    assert found.reference is not None
    assert (found.reference.n, found.reference.start) == (400, DAYS[BEFORE - 400])


def test_the_budget_is_split_over_what_the_config_does() -> None:
    both = {one.metric: one.alpha for one in look(book(returns(), **forecasts(SHARP))).findings}
    assert both == {Watch.RETURN: pytest.approx(0.025), Watch.CALIBRATION: pytest.approx(0.025)}
    assert finding(book(returns())).alpha == 0.05
    assert finding(_forecaster(SHARP), Watch.CALIBRATION).alpha == 0.05


def test_a_tolerated_drop_raises_less_evidence() -> None:
    strict, lenient = (finding(book(returns(drop=4.0)), policy=MonitoringPolicy(sharpe_margin=m)).e for m in (0.0, 3.0))
    assert strict is not None and lenient is not None
    assert lenient.largest < strict.largest


def _forecaster(scores: np.ndarray) -> pl.DataFrame:
    """A config that forecasts and earns nothing."""
    none = {"returns": 0, "weighted_return": 0.0, "weight_returned": 0.0}
    frame = book(np.zeros(len(scores)), **forecasts(scores))
    return frame.with_columns(pl.lit(value).cast(frame.schema[name]).alias(name) for name, value in none.items())


# what was known when


def test_a_look_back_equals_the_look_of_that_day() -> None:
    """Every day of the monitored record: as of it, the whole record says what the truncated one says."""
    whole = book(returns(drop=5.0), **forecasts(BLUNT))
    for day in DAYS[BEFORE + 1 :: 40]:
        assert look(whole, as_of=day).to_json_dict() == look(until(whole, day), as_of=day).to_json_dict()


def test_the_reference_is_what_was_known_at_the_start() -> None:
    """A restatement of old outcomes that arrives later moves nothing."""
    whole = book(returns())
    late = whole.filter(pl.col("as_of_date") < DAYS[50], pl.col("horizon") == 1)
    delta = late.with_columns(
        known_date=pl.lit(DAYS[BEFORE + 10]), due=0, valid=0, returns=0, weight_due=0.0, weighted_return=pl.lit(0.05)
    )
    restated = pl.concat([whole, delta.select(pl.col(name).cast(kind) for name, kind in whole.schema.items())])
    assert finding(restated) == finding(whole)


def test_the_clock_restarts_at_an_activation() -> None:
    """What was degrading since March is judged from the new activation on, with the drop now in its evidence."""
    frame = book(returns(drop=6.0))
    again = Watched("a", "*", DAYS[BEFORE + 200])
    (found, _) = look(frame, again).findings
    assert finding(frame).state is MonitorState.DEGRADING
    assert found.monitored is not None and found.monitored.start == DAYS[BEFORE + 200]
    assert found.reference is not None and found.reference.n == BEFORE + 200


def test_another_config_is_judged_by_its_own_record() -> None:
    frame = pl.concat([book(returns(drop=6.0)), book(returns(seed=3), config="b")])
    (found, _) = look(frame, Watched("b", "*", START)).findings
    assert (found.config_id, found.state) == ("b", MonitorState.HEALTHY)


def test_scopes_have_findings_of_their_own() -> None:
    """In EU_EQ another config is active; `*` leaves that market to it."""
    at_home, abroad = book(returns()), book(returns(seed=4, drop=8.0), market="EU_EQ")
    frame = pl.concat([at_home, abroad, abroad.with_columns(config_id=pl.lit("b"))])
    found = look(frame, Watched("a", "*", START, ("EU_EQ",)), Watched("b", "EU_EQ", START))
    states = [(one.scope, one.config_id, one.state) for one in found.findings if one.metric is Watch.RETURN]
    assert states == [("*", "a", MonitorState.HEALTHY), ("EU_EQ", "b", MonitorState.DEGRADING)]
    assert found.findings[0].reference == finding(at_home).reference


# silences


def silence(frame: pl.DataFrame | None, metric: Watch = Watch.RETURN, **options: object) -> tuple[MonitorState, object]:
    found = finding(frame, metric, **options)
    return found.state, found.cause


INCONCLUSIVE = MonitorState.INCONCLUSIVE


def test_no_active_config() -> None:
    nobody = monitor_engine(None, ObservationPolicy(), "PORTFOLIO", [], TODAY)
    assert nobody.state is INCONCLUSIVE
    assert {(one.config_id, one.cause) for one in nobody.findings} == {(None, Cause.NO_ACTIVE_CONFIG)}


def test_before_the_start() -> None:
    assert silence(book(returns()), as_of=START - timedelta(days=1)) == (INCONCLUSIVE, Cause.NOT_STARTED)


def test_an_engine_or_a_config_without_a_record() -> None:
    assert silence(None) == (INCONCLUSIVE, Cause.NO_RECORD)
    (found, _) = look(book(returns()), Watched("ghost", "*", START)).findings
    assert found.cause is Cause.NO_RECORD
    (found, _) = look(book(returns()), Watched("a", "JP_EQ", START)).findings
    assert found.cause is Cause.NO_RECORD


def test_a_forecaster_has_no_return_and_is_healthy_for_all_that() -> None:
    found = look(_forecaster(SHARP))
    assert silence(_forecaster(SHARP)) == (INCONCLUSIVE, Cause.NO_RETURNS)
    assert silence(book(returns()), Watch.CALIBRATION) == (INCONCLUSIVE, Cause.NO_FORECASTS)
    assert found.state is MonitorState.HEALTHY


def test_too_short_a_reference() -> None:
    """503 observations before the start where 504 are asked."""
    short = book(returns()[BEFORE - 503 :])
    early = Watched("a", "*", DAYS[503])
    (found, _) = look(short, early, as_of=DAYS[600]).findings
    assert (found.cause, found.detail) == (
        Cause.REFERENCE_TOO_SHORT,
        f"503 observations known on {DAYS[503]}: 504 needed",
    )


def test_a_metric_that_began_with_the_monitoring_has_no_evidence() -> None:
    later = np.where(np.arange(N) < BEFORE, 0.0, SHARP)
    frame = book(returns(), brier_sum=later, forecast_n=(np.arange(N) >= BEFORE).astype(int))
    assert silence(frame, Watch.CALIBRATION) == (INCONCLUSIVE, Cause.REFERENCE_TOO_SHORT)
    assert finding(frame).alpha == 0.05


def test_nothing_matured_since_the_start() -> None:
    assert silence(book(returns()), as_of=START) == (INCONCLUSIVE, Cause.NO_OBSERVATIONS)


def test_gaps_in_the_reference_and_in_the_monitored_record() -> None:
    assert silence(book(missing(returns(), slice(0, 60)))) == (INCONCLUSIVE, Cause.REFERENCE_LOW_COVERAGE)
    assert silence(book(missing(returns(), slice(BEFORE, BEFORE + 20)))) == (INCONCLUSIVE, Cause.LOW_COVERAGE)


def test_a_few_missing_days_do_not_silence_the_monitor() -> None:
    found = finding(book(missing(returns(drop=6.0), slice(BEFORE + 5, BEFORE + 15))))
    assert found.state is MonitorState.DEGRADING
    assert found.monitored is not None and found.monitored.coverage == pytest.approx(0.96)


def test_a_config_that_stopped_deciding_is_not_judged() -> None:
    frame = book(returns()[: BEFORE + 100])
    late = DAYS[BEFORE + 99] + timedelta(days=31)
    assert silence(frame, as_of=late) == (INCONCLUSIVE, Cause.RECORD_STOPPED)
    assert silence(frame, as_of=late - timedelta(days=1)) == (MonitorState.HEALTHY, None)


@pytest.mark.parametrize("part", [slice(0, BEFORE), slice(BEFORE, N)])
def test_constant_returns_are_no_evidence(part: slice) -> None:
    values = returns()
    values[part] = 0.001
    assert silence(book(values)) == (INCONCLUSIVE, Cause.CONSTANT)


def test_infinite_values_are_refused_at_the_door_of_the_statistics() -> None:
    """The frame's contract refuses them before; the monitor would not be fooled either."""
    values = returns()
    values[3] = np.inf
    dates = np.array(DAYS, dtype="datetime64[D]")
    blank = MonitorFinding("PORTFOLIO", "*", "a", Watch.RETURN, INCONCLUSIVE, monitored_from=START)
    halves = Daily(dates[:BEFORE], values[:BEFORE]), Daily(dates[BEFORE:], values[BEFORE:])
    found = judge(Metric(blank, *halves, 1, 252.0, DAYS[-1]), MonitoringPolicy(), 0.05, TODAY)
    assert (found.state, found.cause, found.reference) == (INCONCLUSIVE, Cause.NOT_FINITE, None)


# laws


def test_leverage_is_no_skill_and_no_degradation() -> None:
    once, thrice = (finding(book(factor * returns(drop=4.0))).e for factor in (1.0, 3.0))
    assert once is not None and thrice is not None
    assert np.allclose(once.values, thrice.values, rtol=1e-6)


def test_overlapping_horizons_use_every_fifth_session() -> None:
    """1,000 sessions are 200 observations at five days: fewer than the least allowed."""
    frame = book(returns(), horizon=5)
    found = finding(frame, horizon=5, policy=MonitoringPolicy(reference_least=250))
    assert found.cause is Cause.REFERENCE_TOO_SHORT
    assert found.detail.startswith("199 observations")


def test_the_answer_survives_its_json() -> None:
    found = look(book(returns(drop=6.0), **forecasts(SHARP)))
    assert EngineMonitoring.from_json_dict(found.to_json_dict()) == found


def test_weekends_change_nothing() -> None:
    friday = weekdays(N)[BEFORE + 99]
    assert friday.weekday() == 4
    values = finding(book(returns()), as_of=friday + timedelta(days=1)).e
    assert values == finding(book(returns()), as_of=friday + timedelta(days=2)).e
