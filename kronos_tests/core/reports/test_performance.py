"""Performance reports from hand-made cells: the laws of the book series, slices and reasons."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.core.metrics.registry import REGISTRY
from kronos.core.policy import Market, ObservationPolicy
from kronos.core.reports.axis import Window
from kronos.core.reports.evidence import evidence
from kronos.core.reports.model import Coverage, EnginePerformanceReport, MetricSet
from kronos.core.reports.performance import overall_metrics, performance_report, performance_reports
from kronos.core.vocabulary import Dimension, Undefined
from kronos.errors import BadValue
from kronos_tests.core.reports.builders import START, cells, sessions, weekdays

POLICY = ObservationPolicy(
    markets={
        "US_EQ": Market(calendar="XNYS", region="US"),
        "US_FUT": Market(calendar="XNYS", region="US"),
        "EU_EQ": Market(calendar="XETR", region="EU", currency="EUR"),
    }
)
ALL_TIME = Window(START, date(2060, 1, 1))
EMPTY = cells([0.0]).clear()


def report(
    frame: pl.DataFrame,
    window: Window = ALL_TIME,
    config: str | None = "a",
    horizon: int = 1,
    calendar: pl.DataFrame | None = None,
    newest: date | None = None,
    policy: ObservationPolicy = POLICY,
) -> EnginePerformanceReport:
    markets = frame["market_id"].unique().to_list()
    held = evidence(frame, sessions(*markets) if calendar is None else calendar, horizon=horizon, newest=newest)
    return performance_report(held, policy, window, config_id=config, recorded_by="recorded")


def overall(frame: pl.DataFrame, config: str = "a") -> MetricSet:
    """The overall metrics without their report."""
    held = evidence(frame, sessions(*frame["market_id"].unique().to_list()), horizon=1)
    return overall_metrics(held, POLICY, ALL_TIME, config)


def noise(n: int, seed: int = 0, mean: float = 5e-4) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 0.01, n)


def test_book_of_one_market_is_its_weighted_returns() -> None:
    r = noise(300)
    found = report(cells(r, weight=0.5))
    assert found.metrics["avg_return"] == pytest.approx(0.5 * r.mean(), rel=1e-12)
    assert found.metrics["sharpe"] == pytest.approx(r.mean() / r.std(ddof=1) * np.sqrt(252), rel=1e-12)
    assert found.metrics["gross_weight"] == 0.5
    assert found.annualisation == 252


def test_sessions_without_decision_earn_zero() -> None:
    """Decisions every second day: the days between are in the series, with zero."""
    days = weekdays(200)[::2]
    found = report(cells(noise(100), days=days))
    assert found.observations["avg_return"] == 199
    assert found.metrics["zero_days"] == 99
    assert found.metrics["avg_return"] == pytest.approx(noise(100).sum() / 199, rel=1e-12)


def test_a_due_but_missing_outcome_is_null_and_counted() -> None:
    r: list[float | None] = list(noise(100))
    r[10] = None
    found = report(cells(r))
    assert found.coverage == Coverage(99, 100)
    assert found.observations["avg_return"] == 99
    assert found.metrics["missing"] == 1
    assert found.metrics["coverage"] == 0.99


def test_outcomes_not_yet_due_are_neither_zero_nor_missing() -> None:
    frame = cells(noise(50))
    last = weekdays(50)[-1]
    found = report(frame, newest=last)
    assert found.coverage == Coverage(49, 49)
    assert found.observations["avg_return"] == 49
    assert found.metrics["decisions"] == 50


def test_capital_is_split_among_active_markets() -> None:
    a, b = noise(100, 1), noise(60, 2)
    later = weekdays(100)[40:]
    found = report(pl.concat([cells(a), cells(b, days=later, market="US_FUT")]))
    expected = np.concatenate([a[:40], (a[40:] + b) / 2])
    assert found.metrics["avg_return"] == pytest.approx(expected.mean(), rel=1e-12)
    assert found.by_market["US_FUT"]["avg_return"] == pytest.approx(b.mean(), rel=1e-12)
    assert found.by_market["US_FUT"]["contribution"] == pytest.approx(b.sum() / 2, rel=1e-12)


def test_policy_may_set_the_shares_of_capital() -> None:
    """Three quarters in US_EQ while both are active, all of it before, and the same contributions in the slices."""
    weighed = {**POLICY.markets, "US_EQ": Market(calendar="XNYS", region="US", capital=3.0)}
    a, b = noise(100, 1), noise(60, 2)
    frame = pl.concat([cells(a), cells(b, days=weekdays(100)[40:], market="US_FUT")])
    found = report(frame, policy=ObservationPolicy(markets=weighed))
    expected = np.concatenate([a[:40], 0.75 * a[40:] + 0.25 * b])
    assert found.metrics["avg_return"] == pytest.approx(expected.mean(), rel=1e-12)
    assert found.by_market["US_FUT"]["avg_return"] == pytest.approx(b.mean(), rel=1e-12)
    assert found.by_market["US_FUT"]["contribution"] == pytest.approx(0.25 * b.sum(), rel=1e-12)
    assert "capital is split among the active markets by policy: US_EQ 3, US_FUT 1" in found.notes


def test_pooled_configs_each_split_their_capital() -> None:
    """Two configs: one in both markets, one in US_FUT alone."""
    weighed = {**POLICY.markets, "US_EQ": Market(calendar="XNYS", region="US", capital=3.0)}
    a, b, c = noise(80, 1), noise(80, 2), noise(80, 3)
    both = [cells(a), cells(b, market="US_FUT"), cells(c, config="b", market="US_FUT")]
    found = report(pl.concat(both), config=None, policy=ObservationPolicy(markets=weighed))
    assert found.metrics["avg_return"] == pytest.approx((0.75 * a + 0.25 * b + c).mean() / 2, rel=1e-12)


def test_a_closed_market_contributes_zero() -> None:
    """The second market has no session on Fridays."""
    days = weekdays(100)
    open_days = [day for day in days if day.weekday() < 4]
    a, b = noise(100, 1), noise(len(open_days), 2)
    calendar = sessions("US_EQ", "EU_EQ").filter(
        (pl.col("market_id") == "US_EQ") | (pl.col("session").dt.weekday() < 5)
    )
    eu = cells(b, days=open_days, market="EU_EQ")
    found = report(pl.concat([cells(a), eu]), calendar=calendar)
    by_day = dict(zip(open_days, b, strict=True))
    expected = [(x + by_day.get(day, 0.0)) / 2 for day, x in zip(days, a, strict=True) if day <= open_days[-1]]
    expected += list(a[len(expected) :])
    assert found.metrics["avg_return"] == pytest.approx(np.mean(expected), rel=1e-12)


def test_one_missing_market_makes_the_date_null_overall() -> None:
    b: list[float | None] = list(noise(50, 2))
    b[5] = None
    found = report(pl.concat([cells(noise(50, 1)), cells(b, market="US_FUT")]))
    assert found.observations["avg_return"] == 49
    assert found.slices[Dimension.MARKET]["US_EQ"].observations["avg_return"] == 50


def test_union_of_sessions_sets_the_yearly_count() -> None:
    """A second market open on the same days adds none; one with other days does."""
    same = report(pl.concat([cells(noise(80)), cells(noise(80), market="US_FUT")]))
    assert same.annualisation == 252
    monday_to_thursday = [day for day in weekdays(250) if day.weekday() < 4]
    mostly = [day for day in weekdays(250) if day.weekday() > 0]
    frame = pl.concat([cells(noise(200), days=monday_to_thursday), cells(noise(200), days=mostly, market="EU_EQ")])
    calendar = pl.concat(
        [
            sessions("US_EQ").filter(pl.col("session").dt.weekday() < 5),
            sessions("EU_EQ").filter(pl.col("session").dt.weekday() > 1),
        ]
    )
    union = report(frame, calendar=calendar).annualisation
    assert union == pytest.approx(252 * 5 / 4, rel=0.01)


def test_pooled_is_the_mean_over_active_configs() -> None:
    a, b = noise(100, 1), noise(50, 2)
    frame = pl.concat([cells(a), cells(b, config="b", days=weekdays(100)[50:])])
    found = report(frame, config=None)
    expected = np.concatenate([a[:50], (a[50:] + b) / 2])
    assert found.config_id == "*"
    assert found.metrics["avg_return"] == pytest.approx(expected.mean(), rel=1e-12)
    assert found.metrics["decisions"] == 150


def test_all_configs_at_once_equal_one_by_one() -> None:
    frames = [
        cells(noise(90, i), config=name, market=m) for i, (name, m) in enumerate([("a", "US_EQ"), ("b", "EU_EQ")])
    ]
    frame = pl.concat([*frames, cells(noise(70, 5), config="b", market="US_FUT", days=weekdays(90)[20:])])
    held = evidence(frame, sessions("US_EQ", "EU_EQ", "US_FUT"), horizon=1)
    together = performance_reports(held, POLICY, ALL_TIME, recorded_by="recorded")
    assert together == [report(frame, config="a"), report(frame, config="b")]


def test_slices_report_the_conditional_series() -> None:
    r = noise(200)
    labels = ["CALM", "CRISIS"] * 100
    found = report(cells(r, labels=labels, weight=0.5))
    assert found.by_regime["CRISIS"]["avg_return"] == pytest.approx(r[1::2].mean(), rel=1e-12)
    assert found.by_regime["CRISIS"]["contribution"] == pytest.approx(0.5 * r[1::2].sum(), rel=1e-12)
    assert found.slices[Dimension.REGIME]["CRISIS"].stitched
    assert not found.overall.stitched


def test_configs_without_returns_have_no_book_but_scores() -> None:
    n = 80
    frame = cells([None] * n, brier_sum=[0.2] * n, forecast_n=[1] * n).with_columns(valid=pl.col("due"))
    found = report(frame)
    assert found.undefined["sharpe"] == Undefined.NO_RETURNS
    assert found.metrics["brier"] == pytest.approx(0.2)
    assert found.metrics["coverage"] == 1.0


@pytest.mark.parametrize("horizon", [5, 21])
def test_overlapping_horizons_annualise_by_their_length(horizon: int) -> None:
    r = noise(900)
    found = report(cells(r, horizon=horizon), horizon=horizon)
    assert found.metrics["sharpe"] == pytest.approx(r.mean() / r.std(ddof=1) * np.sqrt(252 / horizon), rel=1e-12)
    assert found.metrics["cagr"] == pytest.approx(np.prod(1 + r / horizon) ** (252 / 900) - 1, rel=1e-11)


def test_horizons_do_not_mix() -> None:
    frame = pl.concat([cells(noise(300, 1)), cells(noise(300, 2), horizon=5).filter(pl.col("horizon") == 5)])
    assert report(frame) == report(cells(noise(300, 1)))


def test_pnl_of_several_currencies_is_withheld() -> None:
    frame = pl.concat([cells(noise(9), pnl=[1.0] * 9), cells(noise(9), market="EU_EQ", pnl=[2.0] * 9)])
    found = report(frame)
    assert found.undefined["pnl"] == Undefined.MIXED_CURRENCY
    assert found.currency is None
    assert found.by_market["EU_EQ"]["pnl"] == 18.0
    assert found.slices[Dimension.REGIME]["CALM"].undefined["pnl"] == Undefined.MIXED_CURRENCY


def test_wealth_is_dated_by_evaluation() -> None:
    days = weekdays(4)
    found = report(cells([0.1, -0.5, 0.2, 1.0], days=days)).drawdown
    assert found is not None
    assert (found.peak, found.trough, found.recovery) == (days[1], days[2], days[3] + timedelta(days=1))


def test_starting_capital_can_be_the_peak() -> None:
    found = report(cells([-0.1, 0.01]))
    assert found.drawdown is not None
    assert found.drawdown.peak is None and found.drawdown.recovery is None


def test_a_period_selects_by_decision_date() -> None:
    r, days = noise(100), weekdays(100)
    found = report(cells(r), Window(days[10], days[19]))
    assert found.metrics["avg_return"] == pytest.approx(r[10:20].mean(), rel=1e-12)
    assert found.coverage == Coverage(10, 10)


def test_activity_reaches_beyond_the_period() -> None:
    """No decision in the period, but before and after it: sessions in it earn zero."""
    days = weekdays(100)
    frame = cells(noise(20), days=[*days[:10], *days[90:]])
    found = report(frame, Window(days[40], days[49]))
    assert found.observations["avg_return"] == 10
    assert found.metrics["avg_return"] == 0.0


def test_as_of_uses_only_what_was_known() -> None:
    """Day 20's outcome is restated on day 60: a report as of day 40 holds the old value."""
    r, days = noise(100), weekdays(100)
    frame = cells(r)
    outcome = frame.filter((pl.col("as_of_date") == days[20]) & (pl.col("horizon") == 1))
    measures = ["valid", "returns", "weight_returned", "weighted_return"]
    undo = outcome.with_columns(pl.lit(days[60]).alias("known_date"), *(-pl.col(m) for m in measures), due=pl.lit(0))
    again = outcome.with_columns(pl.lit(days[60]).alias("known_date"), due=pl.lit(0), weighted_return=pl.lit(0.7))
    restated = pl.concat([frame, undo.cast(frame.schema), again.cast(frame.schema)])
    before = report(restated, Window(START, days[30], as_of=days[40]))
    assert before.metrics["avg_return"] == pytest.approx(r[:31].mean(), rel=1e-12)
    after = report(restated, Window(START, days[30], as_of=days[60]))
    assert after.metrics["avg_return"] == pytest.approx((r[:31].sum() - r[20] + 0.7) / 31, rel=1e-12)


@pytest.mark.parametrize("day", [30, 55, 79])
def test_as_of_equals_a_truncated_record(day: int) -> None:
    frame = pl.concat([cells(noise(80, 1)), cells(noise(50, 2), market="EU_EQ", days=weekdays(80)[30:])])
    cut = weekdays(80)[day]
    truncated = frame.filter((pl.col("eval_date") <= cut) & (pl.col("known_date") <= cut))
    whole = report(frame, Window(START, cut, as_of=cut))
    assert report(truncated, Window(START, cut, as_of=cut)) == whole
    assert report(truncated, Window(START, cut)).overall == whole.overall


def test_nan_is_refused_at_the_door() -> None:
    frame = cells(noise(5)).with_columns(pnl=pl.lit(float("nan")))
    with pytest.raises(BadValue, match="pnl has value nan"):
        report(frame)


def test_modes_never_pool() -> None:
    with pytest.raises(BadValue, match="never pool"):
        report(pl.concat([cells(noise(5)), cells(noise(5), mode="SHADOW")]))


def test_dates_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(BadValue, match="end_date"):
        report(cells(noise(5)), Window(date(2002, 1, 1), date(2001, 1, 1)))


def test_an_empty_record_has_a_reason_for_everything() -> None:
    found = report(EMPTY, calendar=sessions("US_EQ"))
    assert found.metrics == {}
    assert set(found.undefined) == set(REGISTRY)


def test_a_period_without_decisions_has_a_reason_for_everything() -> None:
    found = report(cells(noise(5)), Window(date(1990, 1, 1), date(1990, 12, 31)))
    assert found.metrics == {}
    assert found.undefined["sharpe"] == Undefined.NO_OBSERVATIONS


def test_every_metric_has_a_number_or_a_reason_everywhere() -> None:
    found = report(cells(noise(150), labels=["A", "B", "B"] * 50, pnl=[1.0] * 150))
    sets = [found.overall, *(one for dimension in found.slices.values() for one in dimension.values())]
    for one in sets:
        assert set(one.values) | set(one.undefined) == set(REGISTRY) == set(one.observations)
        assert not set(one.values) & set(one.undefined)
        assert set(one.intervals) | set(one.interval_undefined) == set(one.values)


def test_json_round_trip_is_the_same_report_and_sorted() -> None:
    found = report(cells(noise(150), labels=["A", "B", "B"] * 50, pnl=[1.0] * 150))
    text = json.dumps(found.to_json_dict())
    assert EnginePerformanceReport.from_json_dict(json.loads(text)) == found
    assert text == json.dumps(found.to_json_dict(), sort_keys=True)
    assert json.loads(text)["by_regime"]["A"]["avg_return"] == found.by_regime["A"]["avg_return"]


def test_row_order_does_not_change_a_byte() -> None:
    frame = pl.concat([cells(noise(90, i), market=m, pnl=noise(90, 9)) for i, m in enumerate(["US_EQ", "US_FUT"])])
    first = json.dumps(report(frame).to_json_dict())
    for seed in range(5):
        assert json.dumps(report(frame.sample(fraction=1.0, shuffle=True, seed=seed)).to_json_dict()) == first


def test_markets_without_calendar_are_noted() -> None:
    found = report(cells(noise(5), market="MARS"))
    assert "MARS" in found.notes[0] and "weekdays" in found.notes[0]


def test_overall_metrics_are_those_of_the_report_to_the_last_bit() -> None:
    """Of one config among several, over currencies that do not add up, and of one that decided nothing."""
    books = [("a", "US_EQ", 0), ("a", "EU_EQ", 1), ("b", "US_EQ", 2)]
    pnl = np.arange(400.0)
    frames = [cells(noise(400, seed), config=config, market=market, pnl=pnl) for config, market, seed in books]
    frame = pl.concat(frames)
    for config in ("a", "b", "nobody"):
        assert overall(frame, config) == report(frame, config=config).overall
    assert overall(frame).undefined["pnl"] is Undefined.MIXED_CURRENCY


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_slices_add_up_to_the_book(data: st.DataObject) -> None:
    """P&L to 1e-9 x sum of |pnl|, contributions to 1e-12, whatever is missing, in every dimension."""
    frames = []
    for market in ("US_EQ", "US_FUT"):
        n = data.draw(st.integers(3, 25))
        first = data.draw(st.integers(0, 10))
        one = st.one_of(st.none(), st.floats(-0.5, 0.5))
        frames.append(
            cells(
                data.draw(st.lists(one, min_size=n, max_size=n)),
                days=weekdays(60)[first : first + n],
                market=market,
                weight=data.draw(st.lists(st.floats(0, 3), min_size=n, max_size=n)),
                labels=data.draw(st.lists(st.sampled_from("ABC"), min_size=n, max_size=n)),
                buckets=data.draw(st.lists(st.sampled_from(["LOW", "HIGH"]), min_size=n, max_size=n)),
                pnl=data.draw(st.lists(st.floats(-1e9, 1e9), min_size=n, max_size=n)),
            )
        )
    frame = pl.concat(frames)
    found = report(frame)
    size = frame.filter(pl.col("cube") == "regime")["pnl_abs"].sum()
    for slices in found.slices.values():
        assert sum(one.values.get("pnl", 0.0) for one in slices.values()) == pytest.approx(
            found.metrics.get("pnl", 0.0), abs=1e-9 * max(size, 1.0)
        )
        if "contribution" in found.metrics:
            total = sum(one.values.get("contribution", 0.0) for one in slices.values())
            assert total == pytest.approx(found.metrics["contribution"], abs=1e-12)
        assert sum(one.values["decisions"] for one in slices.values()) == found.metrics["decisions"]
        assert sum(one.coverage.due for one in slices.values()) == found.coverage.due
    assert overall(frame) == found.overall
