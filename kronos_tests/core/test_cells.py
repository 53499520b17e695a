"""Cells: additivity, restatement, scores, and agreement with SQL."""

from __future__ import annotations

import math
from datetime import date, timedelta
from io import BytesIO

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from kronos.core.calibration import probability_bin
from kronos.core.cells import CELL_ORDER, CellsBatch, build_cells
from kronos.core.facts import FactsBatch
from kronos.core.frames import CALIBRATION_CELLS, CELL_KEYS, CELL_MEASURES, CELLS, CONFUSION_CELLS
from kronos.services.recompute import recompute
from kronos_tests.core import twin
from kronos_tests.frames import FIRST, POLICY, History, Row, at, decision, facts, outcome

SEEDS = st.integers(0, 10_000)
DAY = timedelta(days=1)
BOOK_KEYS = [name for name in CELL_KEYS if name not in ("eval_date", "known_date")]


def as_of(cells: pl.DataFrame, day: date) -> pl.DataFrame:
    """What was known at a date, added up over evaluation and known dates."""
    known = cells.filter((pl.col("eval_date") <= day) & (pl.col("known_date") <= day))
    sums = known.group_by("cube", *BOOK_KEYS, "slice").agg(pl.col(list(CELL_MEASURES)).sum())
    some = sums.filter(pl.any_horizontal(pl.col("decisions", "due", "valid") != 0))
    return some.sort("cube", *BOOK_KEYS, "slice")


def file_of(df: pl.DataFrame) -> bytes:
    """The frame as a Parquet file."""
    file = BytesIO()
    df.write_parquet(file)
    return file.getvalue()


def regime_row(batch: FactsBatch, horizon: int = 1) -> Row:
    """Sums of one horizon in the regime cube."""
    cells = build_cells(batch, POLICY).cells
    chosen = cells.filter((pl.col("cube") == "regime") & (pl.col("horizon") == horizon))
    return chosen.select(pl.col(list(CELL_MEASURES)).sum()).row(0, named=True)


def one(**values: object) -> Row:
    """Measures of a single decision with this outcome; keys in capitals change the decision."""
    made = {name.lower(): value for name, value in values.items() if name.isupper()}
    came = {name: value for name, value in values.items() if not name.isupper()}
    return regime_row(facts([decision(**made)], [outcome(**{"return": None, **came})], due=[1]))


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_each_cube_adds_up_to_the_same_book(seed: int) -> None:
    """To the last bit: slices are summed as integers."""
    cells = build_cells(History(seed).facts(), POLICY).cells
    counts = [name for name, dtype in CELL_MEASURES.items() if dtype == pl.Int64]
    books = cells.group_by("cube", *CELL_KEYS).agg(pl.col(counts).sum(), pl.col("pnl", "weighted_return").sum())
    regime, stability, fragility = (
        books.filter(pl.col("cube") == cube).drop("cube").sort(*CELL_KEYS)
        for cube in ("regime", "stability", "fragility")
    )
    assert_frame_equal(stability, regime, abs_tol=1e-9)
    assert_frame_equal(fragility, regime, abs_tol=1e-9)


@settings(max_examples=12, deadline=None)
@given(SEEDS)
def test_as_of_equals_cells_of_the_truncated_history(seed: int) -> None:
    """For every date of a dirty history: what the cells say of it is what one would have built on it."""
    history = History(seed)
    whole = build_cells(history.facts(), POLICY).cells
    for day in (FIRST + n * DAY for n in range(0, 26, 3)):
        known = [row for row in history.outcomes if row["recorded_at"].date() <= day]
        truncated = build_cells(history.facts(outcomes=known), POLICY).cells
        assert_frame_equal(as_of(whole, day), as_of(truncated, day), abs_tol=1e-9)


def test_as_of_sums_equal_the_slow_twin() -> None:
    """Valid outcomes and their return, counted row by row from the revisions."""
    history = History(7, 200)
    cells = build_cells(history.facts(), POLICY).cells.filter(pl.col("cube") == "regime")
    for day in (FIRST + n * DAY for n in range(26)):
        believed = twin.believed(history.decisions, history.outcomes, day)
        sums = as_of(cells, day).filter(pl.col("horizon") > 0)
        assert sums["valid"].sum() == len(believed)
        assert sums["pnl"].sum() == pytest.approx(sum(row.get("pnl") or 0.0 for row in believed.values()), abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.booleans())
def test_duckdb_recomputes_the_same_cells(seed: int, recorded: bool) -> None:
    """Independent SQL agrees to 1e-9 on every key and measure."""
    batch = History(seed).facts(recorded=recorded)
    assert [a for a in recompute(batch, build_cells(batch, POLICY), POLICY) if not a.agrees] == []


def test_recomputation_notices_a_changed_cell() -> None:
    """A cell off by a millionth, or missing, is a disagreement that names its measure."""
    batch = History(3).facts()
    made = build_cells(batch, POLICY)
    off = made.cells.with_columns(pnl=pl.col("pnl") + 1e-3)
    first = recompute(batch, CellsBatch(off, made.calibration, made.confusion), POLICY)[0]
    assert (first.agrees, first.worst_measure) == (False, "pnl")
    short = recompute(batch, CellsBatch(made.cells[1:], made.calibration, made.confusion), POLICY)[0]
    assert (short.agrees, short.missing) == (False, 1)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_row_order_of_the_facts_does_not_matter(seed: int) -> None:
    """Shuffled facts give the same bytes."""
    batch = History(seed).facts()
    mixed = FactsBatch(batch.facts.sample(fraction=1, shuffle=True, seed=seed), batch.superseded.reverse())
    for name in ("cells", "calibration", "confusion"):
        expected = file_of(getattr(build_cells(batch, POLICY), name))
        assert file_of(getattr(build_cells(mixed, POLICY), name)) == expected


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_cells_hold_no_null_and_no_nan(seed: int) -> None:
    """Every sum is a number; rows stand in their order, once."""
    cells = build_cells(History(seed).facts(), POLICY).cells
    assert cells.null_count().sum_horizontal().item() == 0
    assert cells.select(pl.col(pl.Float64).is_finite().all()).row(0) == (True,) * len(
        cells.select(pl.col(pl.Float64)).columns
    )
    assert_frame_equal(cells, cells.unique(CELL_ORDER).sort(CELL_ORDER))


def test_no_facts_give_no_cells() -> None:
    """The empty case keeps the contracts."""
    empty = build_cells(facts([]), POLICY)
    schemas = [dict(frame.schema) for frame in (empty.cells, empty.calibration, empty.confusion)]
    assert schemas == [CELLS, CALIBRATION_CELLS, CONFUSION_CELLS]


def test_normal_outcome_shares_the_row_of_its_due_decision() -> None:
    """One row per cube for the decision, one for its outcome: dates coincide."""
    cells = build_cells(facts([decision()], [outcome()], due=[1]), POLICY).cells
    assert cells.group_by("horizon").len().sort("horizon").rows() == [(0, 3), (1, 3)]


def test_missing_outcome_is_due_and_not_valid() -> None:
    """Coverage sees it."""
    row = regime_row(facts([decision("a"), decision("b")], [outcome("a")], due=[1]))
    assert (row["due"], row["valid"], row["returns"], row["weight_due"], row["weight_returned"]) == (2, 1, 1, 1.0, 0.5)


def test_late_outcome_is_due_before_it_is_valid() -> None:
    """Due on the calendar's date, valid from its recording on."""
    batch = facts([decision()], [outcome(recorded_at=at(FIRST + 5 * DAY))], due=[1])
    cells = build_cells(batch, POLICY).cells
    before, after = (as_of(cells, FIRST + n * DAY).filter(pl.col("horizon") == 1) for n in (4, 5))
    assert (before["due"][0], before["valid"][0]) == (1, 0)
    assert (after["due"][0], after["valid"][0]) == (1, 1)


def test_restatement_is_a_signed_delta() -> None:
    """Minus old, plus new, on the day it was recorded."""
    batch = facts([decision()], [outcome(pnl=10.0), outcome(pnl=4.0, recorded_at=at(FIRST + 5 * DAY))], due=[1])
    cells = build_cells(batch, POLICY).cells.filter((pl.col("cube") == "regime") & (pl.col("horizon") == 1))
    assert cells.select("known_date", "due", "valid", "pnl").rows() == [
        (FIRST + DAY, 1, 1, 10.0),
        (FIRST + 5 * DAY, 0, 0, -6.0),
    ]


@pytest.mark.parametrize(
    ("came", "hits", "ties", "eligible"),
    [
        ({"hit": 1.0, "return": -0.1}, 1, 0, 1),
        ({"return": 0.1}, 1, 0, 1),
        ({"return": -0.1}, 0, 0, 1),
        ({"return": 0.0}, 0, 1, 0),
        ({"return": 0.1, "event": 0.5}, 0, 1, 0),
        ({"pnl": 3.0}, 0, 0, 0),
    ],
)
def test_hit_is_given_or_a_tied_event_or_the_sign_of_the_return(
    came: dict[str, float], hits: int, ties: int, eligible: int
) -> None:
    """In that order of precedence."""
    row = one(**came)
    assert (row["hits"], row["hit_ties"], row["hit_eligible"]) == (hits, ties, eligible)


def test_binary_scores() -> None:
    """Brier 0.04 and log loss -ln 0.8 by hand."""
    row = one(PROBABILITY=0.8, event=1.0)
    assert row["brier_sum"] == pytest.approx(0.04, abs=1e-15)
    assert row["log_loss_sum"] == pytest.approx(-math.log(0.8), abs=1e-15)
    assert (row["forecast_n"], row["clip_n"]) == (1, 0)


def test_certain_and_wrong_forecast_is_clipped_and_counted() -> None:
    """Log loss -ln 1e-15, not infinity."""
    row = one(PROBABILITY=0.0, event=1.0)
    assert row["log_loss_sum"] == pytest.approx(-math.log(1e-15))
    assert (row["brier_sum"], row["clip_n"]) == (1.0, 1)


def classes(*probabilities: float, names: tuple[str, ...] = ("DOWN", "FLAT", "UP"), realised: str = "DOWN") -> Row:
    """Measures of one class forecast of the engine with ordered classes."""
    return one(
        ENGINE_NAME="ASSESSMENT",
        CLASSES=list(names),
        CLASS_PROBABILITIES=list(probabilities),
        realised_class=realised,
    )


def test_class_scores() -> None:
    """By hand: (0.2-1)^2 + 0.3^2 + 0.5^2; RPS ((0.2-1)^2 + (0.5-1)^2) / 2, divided by K-1 = 2."""
    row = classes(0.2, 0.3, 0.5)
    assert row["class_brier_sum"] == pytest.approx(0.64 + 0.09 + 0.25)
    assert row["class_log_loss_sum"] == pytest.approx(-math.log(0.2))
    assert row["rps_sum"] == pytest.approx((0.64 + 0.25) / 2)


def test_ranked_score_follows_the_declared_order_not_the_listed_one() -> None:
    """The same forecast listed the other way round scores the same."""
    assert classes(0.5, 0.3, 0.2, names=("UP", "FLAT", "DOWN"))["rps_sum"] == pytest.approx((0.64 + 0.25) / 2)


def test_other_classes_than_declared_have_no_ranked_score() -> None:
    """No order, no ranks; the other scores stand."""
    row = classes(0.5, 0.5, names=("DOWN", "SIDEWAYS"))
    assert (row["rps_n"], row["class_n"], row["class_brier_sum"]) == (0, 1, pytest.approx(0.5))


def test_realised_class_outside_the_list_had_probability_zero() -> None:
    """Clipped, counted, and without a rank."""
    row = classes(0.2, 0.3, 0.5, realised="CRASH")
    assert row["class_brier_sum"] == pytest.approx(0.04 + 0.09 + 0.25 + 1)
    assert (row["class_clip_n"], row["rps_n"]) == (1, 0)


@pytest.mark.parametrize(
    ("p", "expected"), [(0.0, 0), (1e-300, 1), (1 / 1022, 2), (0.5, 512), (math.nextafter(1, 0), 1022), (1.0, 1023)]
)
def test_probability_bins(p: float, expected: int) -> None:
    """0 and 1 have their own bins, the others are left-closed."""
    assert pl.select(probability_bin(pl.lit(p))).item() == expected


def test_calibration_targets_of_an_ordered_engine() -> None:
    """Each class, and each threshold but the certain last one."""
    made = decision(engine_name="ASSESSMENT", classes=["DOWN", "FLAT", "UP"], class_probabilities=[0.2, 0.3, 0.5])
    calibration = build_cells(facts([made], [outcome(realised_class="FLAT")], due=[1]), POLICY).calibration
    assert dict(calibration.select("target", "sum_y").rows()) == {
        "class:DOWN": 0.0,
        "class:FLAT": 1.0,
        "class:UP": 0.0,
        "threshold:DOWN": 0.0,
        "threshold:FLAT": 1.0,
    }


def test_confusion_predicts_the_label_else_the_likeliest_class() -> None:
    """One decision of each kind."""
    forecast = {"classes": ["DOWN", "UP"], "class_probabilities": [0.4, 0.6]}
    made = [decision("a", label="DOWN", **forecast), decision("b", **forecast), decision("c")]
    came = [outcome(name, realised_class="UP") for name in ("a", "b", "c")]
    confusion = build_cells(facts(made, came, due=[1]), POLICY).confusion
    assert confusion.select("predicted", "realised", "n").rows() == [("DOWN", "UP", 1), ("UP", "UP", 1)]
