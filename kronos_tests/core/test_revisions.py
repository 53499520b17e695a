"""What upstream overwrote is kept: the lake's timeline before the day it was seen, the source's from then on."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from kronos.core.cells import build_cells
from kronos.core.facts import FactsBatch
from kronos.core.frames import CELL_MEASURES
from kronos.core.revisions import merge_revisions
from kronos_tests import frames as build
from kronos_tests.frames import FIRST, POLICY, History, at, decision, facts, outcome

DAY = timedelta(days=1)
TODAY = FIRST + 30 * DAY
LATER = FIRST + 40 * DAY
COUNTS = ("decisions", "due", "valid", "pnl", "weighted_return")


def book(batch: FactsBatch, day: date) -> pl.DataFrame:
    """Every slice of every cube as of a date."""
    cells = build_cells(batch, POLICY).cells.filter((pl.col("eval_date") <= day) & (pl.col("known_date") <= day))
    keys = ["cube", "engine_name", "config_id", "market_id", "mode", "as_of_date", "horizon", "slice"]
    sums = cells.group_by(keys).agg(pl.col(list(CELL_MEASURES)).sum())
    return sums.filter(pl.any_horizontal(pl.col(COUNTS[:3]) != 0)).sort(keys)


def same(left: FactsBatch, right: FactsBatch) -> bool:
    """Equal to the last bit."""
    return left.facts.equals(right.facts) and left.superseded.equals(right.superseded)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_merging_an_unchanged_source_changes_nothing(seed: int) -> None:
    """A rebuild is a no-op, restatements, late rows and invalid ones included."""
    batch = History(seed).facts()
    assert same(merge_revisions(batch, batch, TODAY), batch)


def rewritten(seed: int) -> FactsBatch:
    """The history after upstream changed and deleted decisions, outcomes and labels in place."""
    history, rng = History(seed), random.Random(seed + 1)
    changes = {"pnl": 7.0, "return": -0.5, "valid": False, "eval_date": FIRST + 16 * DAY}
    for row in history.outcomes:
        if rng.random() < 0.2:
            name = rng.choice(list(changes))
            row[name] = changes[name]
    history.outcomes = [row for row in history.outcomes if rng.random() < 0.9]
    history.decisions = [row for row in history.decisions if rng.random() < 0.9]
    kept = {row["decision_id"] for row in history.decisions}
    history.outcomes = [row for row in history.outcomes if row["decision_id"] in kept]
    regimes = history.contexts.regimes.with_columns(regime=pl.lit("REWRITTEN"))
    history.contexts = replace(history.contexts, regimes=regimes) if rng.random() < 0.5 else history.contexts
    return history.facts()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_rewritten_history_changes_no_past_report(seed: int) -> None:
    """Before today the old book, from today on the new one, and so it stays through further rebuilds."""
    old, new = History(seed).facts(), rewritten(seed)
    merged = merge_revisions(old, new, TODAY)
    for day in (FIRST + n * DAY for n in (3, 9, 19, 29)):
        assert_frame_equal(book(merged, day), book(old, day), abs_tol=1e-6)
    for day in (TODAY, LATER):
        assert_frame_equal(book(merged, day), book(new, day), abs_tol=1e-6)
    assert same(merge_revisions(merged, new, LATER), merged)


def test_a_revision_the_source_tells_itself_keeps_its_recording_date() -> None:
    """An appended restatement is no overwrite."""
    first = outcome(pnl=10.0)
    second = outcome(pnl=4.0, recorded_at=at(FIRST + 5 * DAY))
    old, new = facts([decision()], [first]), facts([decision()], [first, second])
    assert same(merge_revisions(old, new, TODAY), new)


def test_overwritten_value_is_superseded_today() -> None:
    """Old until today, new from today."""
    old, new = (facts([decision()], [outcome(pnl=pnl)]) for pnl in (10.0, 4.0))
    merged = merge_revisions(old, new, TODAY)
    assert merged.facts["known_date_h1"].to_list() == [TODAY]
    assert merged.superseded.select("pnl", "known_date", "superseded_date").rows() == [(10.0, FIRST + DAY, TODAY)]


def test_later_revision_of_an_overwritten_outcome_keeps_both_dates() -> None:
    """v0 until it was overwritten, the overwrite until the recorded revision, then that."""
    old, new = (facts([decision()], [outcome(pnl=pnl)]) for pnl in (10.0, 4.0))
    merged = merge_revisions(old, new, TODAY)
    revised = facts([decision()], [outcome(pnl=4.0), outcome(pnl=1.0, recorded_at=at(LATER))])
    again = merge_revisions(merged, revised, LATER + DAY)
    assert again.superseded.select("pnl", "known_date", "superseded_date").rows() == [
        (10.0, FIRST + DAY, TODAY),
        (4.0, TODAY, LATER),
    ]
    assert again.facts["known_date_h1"].to_list() == [LATER]


def test_changed_label_moves_the_decision_between_slices_today() -> None:
    """Due, valid and decision counts move together."""
    said = {"region": "US", "as_of_date": FIRST, "recorded_at": at(FIRST, 6)}
    old, new = (
        facts([decision()], [outcome()], build.contexts([said | {"regime": name}])) for name in ("CALM", "STORM")
    )
    merged = merge_revisions(old, new, TODAY)
    assert_frame_equal(book(merged, TODAY - DAY), book(old, TODAY - DAY))
    assert_frame_equal(book(merged, TODAY), book(new, TODAY))


def test_another_definition_relabels_instead_of_restating() -> None:
    """New cut points are Kronos's own doing: the past is shown by them too."""
    said = {"region": "US", "as_of_date": FIRST, "recorded_at": at(FIRST, 6)}
    old, new = (
        facts([decision()], [outcome()], build.contexts([said | {"regime": name}])) for name in ("CALM", "STORM")
    )
    assert same(merge_revisions(old, new, TODAY, redefined=True), new)


def test_change_seen_before_it_could_show_leaves_no_trace() -> None:
    """An outcome overwritten on the very day it became known was never believed."""
    old, new = (facts([decision()], [outcome(pnl=pnl)]) for pnl in (10.0, 4.0))
    merged = merge_revisions(old, new, FIRST + DAY)
    assert merged.superseded.is_empty()
    assert same(merged, new)
