"""Each rule finds what breaks it, and nothing else."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.core import frames
from kronos.core.cells import build_cells
from kronos.core.frames import empty
from kronos.core.quality import (
    drifted_forecasts,
    duplicates,
    late_markets,
    uneven_cubes,
    uneven_reports,
    unsound_rows,
    unsupported_labels,
)
from kronos_tests.frames import FIRST, POLICY, History, Row, at, contexts, decision, facts, frame

SEEDS = st.integers(0, 10_000)


def test_a_key_that_stands_twice_is_found_with_its_count() -> None:
    found = duplicates(pl.LazyFrame({"id": ["a", "b", "a"]}), ["id"])
    assert (found.checked, found.broken.rows()) == (3, [("a", 2)])


def test_no_rows_have_no_duplicates() -> None:
    assert duplicates(pl.LazyFrame(schema={"id": pl.String}), ["id"]).passed


@given(SEEDS, st.booleans())
@settings(max_examples=15, deadline=None)
def test_labels_that_facts_gave_are_always_supported(seed: int, recorded: bool) -> None:
    """Two independent readings of 'known at the time': the join that labels, the rule that looks for support."""
    history = History(seed)
    made = history.facts(recorded=recorded).facts
    assert unsupported_labels(made, history.contexts, POLICY, recorded=recorded).passed


def test_a_label_recorded_after_the_decision_is_unsupported() -> None:
    said = {"region": "US", "as_of_date": FIRST, "recorded_at": at(FIRST, 22), "regime": "STORM"}
    made = facts([decision()], around=contexts(regimes=[said]), recorded=False).facts
    found = unsupported_labels(made, contexts(regimes=[said]), POLICY, recorded=True)
    assert found.broken.select("label_column", "decision_id", "label").rows() == [("regime", "d1", "STORM")]


def test_a_bucket_of_another_score_is_unsupported() -> None:
    def said(score: float) -> Row:
        entity = {"entity_type": "MARKET", "entity_id": "US_EQ", "as_of_date": FIRST, "recorded_at": at(FIRST, 6)}
        return entity | {"stability_score": score}

    made = facts([decision()], around=contexts(stability=[said(0.9)])).facts
    found = unsupported_labels(made, contexts(stability=[said(0.1)]), POLICY, recorded=True)
    assert found.broken["label_column"].to_list() == ["stability_bucket"]


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_cubes_of_real_cells_are_one_book(seed: int) -> None:
    cells = build_cells(History(seed).facts(), POLICY).cells
    assert uneven_cubes(cells.lazy()).passed


@pytest.mark.parametrize("measure", ["pnl", "valid"])
def test_a_changed_measure_in_one_slice_is_found(measure: str) -> None:
    cells = build_cells(History(7).facts(), POLICY).cells.with_row_index()
    hit = cells.filter((pl.col("cube") == "stability") & (pl.col("horizon") == 1))["index"][0]
    changed = cells.with_columns(
        pl.when(pl.col("index") == hit).then(pl.col(measure) + 1).otherwise(measure).alias(measure)
    )
    found = uneven_cubes(changed.drop("index").lazy())
    assert found.broken["cube"].to_list() == ["stability"]


def test_a_missing_slice_is_found() -> None:
    cells = build_cells(History(7).facts(), POLICY).cells
    without = cells.filter((pl.col("cube") != "fragility") | (pl.col("horizon") != 0))
    assert set(uneven_cubes(without.lazy()).broken["cube"]) == {"fragility"}


def _report(dimension: str, label: str, value: float | None, metric: str = "pnl", reason: str | None = None) -> Row:
    return {
        "period": "2020-03",
        "window": "period",
        "engine_name": "PORTFOLIO",
        "config_id": "fast",
        "mode": "LIVE",
        "horizon": 1,
        "dimension": dimension,
        "slice": label,
        "metric": metric,
        "value": value,
        "undefined": reason,
    }


def test_slices_that_miss_some_pnl_are_found() -> None:
    rows = [_report("overall", "ALL", 3.0), _report("regime", "CALM", 1.0), _report("regime", "STORM", 1.5)]
    found = uneven_reports(frame(frames.REPORT_ROWS, rows).lazy())
    assert found.broken.select("dimension", "book", "slices").rows() == [("regime", 3.0, 2.5)]


def test_ratios_need_not_add_up() -> None:
    rows = [_report("overall", "ALL", 3.0, "sharpe"), _report("regime", "CALM", 1.0, "sharpe")]
    assert uneven_reports(frame(frames.REPORT_ROWS, rows).lazy()).passed


@pytest.mark.parametrize(
    ("value", "reason", "copies", "sound"),
    [
        (1.0, None, 1, True),
        (None, "RUIN", 1, True),
        (None, None, 1, False),
        (1.0, "RUIN", 1, False),
        (1.0, None, 2, False),
    ],
)
def test_a_row_is_a_number_or_a_reason_and_stands_once(
    value: float | None, reason: str | None, copies: int, sound: bool
) -> None:
    rows = [_report("overall", "ALL", value, reason=reason)] * copies
    assert unsound_rows(frame(frames.REPORT_ROWS, rows).lazy()).passed is sound


def test_a_market_is_late_only_behind_the_session_it_owes() -> None:
    newest = pl.DataFrame({"market_id": ["A", "B"], "newest": [FIRST, FIRST]})
    expected = pl.DataFrame({"market_id": ["A", "B", "C"], "session": [FIRST, FIRST + timedelta(days=1), FIRST]})
    assert late_markets(newest, expected).broken["market_id"].to_list() == ["B", "C"]


def _calibration(errors: list[float]) -> pl.LazyFrame:
    """A month of 100 event forecasts for each mean error p - y, from January 2018 on."""
    months = [date(2018 + n // 12, n % 12 + 1, 1) for n in range(len(errors))]
    rows = [
        {"month": f"{day:%Y-%m}", "engine_name": "ASSESSMENT", "config_id": "fast", "mode": "LIVE", "horizon": 1}
        | {"target": "event", "n": 100, "sum_p": 50.0 + 100 * error, "sum_y": 50.0}
        for day, error in zip(months, errors, strict=True)
    ]
    return frame(frames.CALIBRATION_CELLS, rows).lazy()


WOBBLE = [0.01, -0.01] * 12


def test_forecasts_that_err_as_before_have_not_drifted() -> None:
    assert drifted_forecasts(_calibration(WOBBLE), POLICY, "2019-12").passed


def test_forecasts_that_turned_optimistic_have_drifted() -> None:
    found = drifted_forecasts(_calibration(WOBBLE[:12] + [0.2 + error for error in WOBBLE[12:]]), POLICY, "2019-12")
    assert found.broken["change"].to_list() == [pytest.approx(0.2)]


def test_a_change_within_the_noise_is_no_drift() -> None:
    loud = [0.5, -0.5] * 6
    assert drifted_forecasts(_calibration(loud + [error + 0.1 for error in loud]), POLICY, "2019-12").passed


def test_without_an_earlier_record_nothing_can_drift() -> None:
    found = drifted_forecasts(_calibration(WOBBLE[:6]), POLICY, "2018-06")
    assert (found.checked, found.passed) == (0, True)


def test_no_forecasts_have_not_drifted() -> None:
    assert drifted_forecasts(empty(frames.CALIBRATION_CELLS).lazy(), POLICY, "2019-12").passed
