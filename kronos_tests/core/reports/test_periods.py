"""Period summaries and breakdowns agree with the reports of the same dates."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from kronos.core.policy import ObservationPolicy
from kronos.core.reports.axis import Window
from kronos.core.reports.breakdown import BREAKDOWN, breakdown
from kronos.core.reports.evidence import Evidence, evidence
from kronos.core.reports.performance import performance_report
from kronos.core.reports.periods import PERIOD_SUMMARY, Every, period_summary
from kronos.core.vocabulary import Dimension
from kronos_tests.core.reports.builders import START, cells, sessions

POLICY = ObservationPolicy()
WINDOW = Window(START, date(2001, 12, 31))


def held() -> Evidence:
    rng = np.random.default_rng(3)
    frames = [
        cells(
            rng.normal(0, 0.01, 200),
            market=market,
            config=config,
            labels=rng.choice(["CALM", "CRISIS"], 200),
            pnl=rng.normal(0, 100, 200),
            hits=rng.integers(0, 2, 200),
            hit_eligible=[1] * 200,
        )
        for market in ("US_EQ", "EU_EQ")
        for config in ("a", "b")
    ]
    return evidence(pl.concat(frames), sessions("US_EQ", "EU_EQ"), horizon=1)


def test_months_agree_with_reports_of_the_month() -> None:
    table = period_summary(held(), POLICY, WINDOW, Every.MONTH)
    report = performance_report(
        held(), POLICY, Window(date(2001, 3, 1), date(2001, 3, 31)), config_id="b", recorded_by="recorded"
    )
    row = table.filter(config_id="b", market_id="*", period_start=date(2001, 3, 1)).row(0, named=True)
    for metric_id in ("avg_return", "contribution", "hit_rate_day", "hit_rate_decision", "coverage", "gross_weight"):
        assert row[metric_id] == pytest.approx(report.metrics[metric_id], rel=1e-12)
    assert row["n"] == report.observations["avg_return"]
    assert row["decisions"] == report.metrics["decisions"]


@pytest.mark.parametrize(("every", "rows"), [(Every.DAY, 200), (Every.WEEK, 40), (Every.MONTH, 10)])
def test_one_row_per_config_market_and_period(every: Every, rows: int) -> None:
    table = period_summary(held(), POLICY, WINDOW, every)
    assert table.schema == pl.Schema(PERIOD_SUMMARY)
    keys = ["engine_name", "config_id", "market_id", "period_start"]
    assert table.height == 2 * 3 * rows
    assert not table.select(keys).is_duplicated().any()


def test_markets_add_up_to_the_book() -> None:
    """P&L of two currencies is withheld for the whole book; contributions and counts add up."""
    table = period_summary(held(), POLICY, WINDOW, Every.MONTH)
    whole, parts = table.filter(market_id="*"), table.filter(pl.col("market_id") != "*")
    summed = parts.group_by("config_id", "period_start").agg(pl.col("contribution", "due", "decisions").sum())
    both = whole.join(summed, on=["config_id", "period_start"], suffix="_parts")
    assert (both["contribution"] - both["contribution_parts"]).abs().max() < 1e-12
    assert both["due"].equals(both["due_parts"])
    assert whole["pnl"].null_count() == whole.height
    assert parts["pnl"].null_count() == 0


def test_breakdown_rows_equal_the_report() -> None:
    table = breakdown(held(), POLICY, WINDOW, Dimension.REGIME)
    report = performance_report(held(), POLICY, WINDOW, config_id="a", recorded_by="recorded")
    assert table.schema == pl.Schema(BREAKDOWN)
    for label, metrics in report.by_regime.items():
        rows = table.filter(config_id="a", slice=label)
        found = dict(rows.filter(pl.col("value").is_not_null()).select("metric", "value").rows())
        assert found == metrics


def test_a_value_is_missing_exactly_where_a_reason_stands() -> None:
    table = breakdown(held(), POLICY, WINDOW, Dimension.MARKET)
    assert (table["value"].is_null() == table["undefined"].is_not_null()).all()
