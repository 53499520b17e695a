"""The deepest fall, beside empyrical's published function and by hand."""

from __future__ import annotations

from dataclasses import replace

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kronos.core.gates.evidence import GateEvidence
from kronos.core.gates.losses import deepest_fall, deepest_falls
from kronos.core.gates.model import Finding
from kronos.core.gates.policy import GatePolicy
from kronos.core.reports.comparison_gaps import Daily
from kronos.core.reports.comparison_model import OVERALL_SLICE
from kronos_tests.core.gates.packs import good


def daily(*values: float) -> Daily:
    return Daily(np.datetime64("2020-01-01") + np.arange(len(values)), np.array(values, dtype=np.float64))


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(-0.5, 0.5)))
def test_it_is_empyricals_maximum_drawdown_with_the_other_sign(values: np.ndarray) -> None:
    assert deepest_fall(daily(*values)) == pytest.approx(-empyrical.max_drawdown(values), abs=1e-12)


def test_the_starting_capital_is_the_first_peak() -> None:
    assert deepest_fall(daily(-0.1, 0.05)) == pytest.approx(0.1)


def test_ruin_is_the_loss_of_everything() -> None:
    assert deepest_fall(daily(0.1, -1.5, 0.2)) == 1.0


def test_missing_dates_are_left_out() -> None:
    assert deepest_fall(daily(-0.1, np.nan, -0.1)) == pytest.approx(0.19)


@pytest.mark.parametrize("nothing", [None, daily(), daily(np.nan), daily(0.1, np.inf)])
def test_without_finite_values_there_is_no_number(nothing: Daily | None) -> None:
    assert deepest_fall(nothing) is None


CRASH, REST = [0.0, -0.6], [0.01, -0.1] * 100


def crashing(slice_id: str, before: list[float], after: list[float]) -> GateEvidence:
    """Both decide over the same dates, where the config loses 40 %; the incumbent also before or after."""
    theirs = daily(*before, *REST, *after)
    mine = Daily(theirs.days[len(before) :][: len(REST)], np.array([-0.4, *REST[1:]]))
    wealth = {"incumbent": {slice_id: theirs}, "c1": {slice_id: mine}}
    return replace(good(), wealth=wealth, series=wealth)


@pytest.mark.parametrize("slice_id", [OVERALL_SLICE, "regime:STRESS", "market:A"])
def test_the_incumbents_losses_before_and_after_the_configs_dates_allow_it_nothing(slice_id: str) -> None:
    alone = deepest_falls(crashing(slice_id, [], []), "loss", GatePolicy(), slice_id)
    assert deepest_falls(crashing(slice_id, CRASH, []), "loss", GatePolicy(), slice_id) == alone
    assert deepest_falls(crashing(slice_id, [], CRASH), "loss", GatePolicy(), slice_id) == alone


def test_the_configs_losses_before_the_incumbents_dates_count() -> None:
    mine = daily(*CRASH, *REST)
    later = Daily(mine.days[2:], mine.values[2:])
    wealth = {"incumbent": {OVERALL_SLICE: later}, "c1": {OVERALL_SLICE: mine}}
    falls = deepest_falls(replace(good(), wealth=wealth, series=wealth), "loss", GatePolicy())
    assert isinstance(falls, tuple) and falls[0] > 0.6


@pytest.mark.parametrize("whose", ["c1", "incumbent"])
def test_a_fall_that_is_known_of_some_of_the_compared_dates_alone_is_none(whose: str) -> None:
    """Outcomes of the engine's own horizon over ten years, those of one session over the first five."""
    pack = good()
    book = pack.wealth[whose][OVERALL_SLICE]
    half = Daily(book.days[:1260], book.values[:1260])
    for slice_id, wealth in ((OVERALL_SLICE, half), ("regime:OWN", half)):
        held = {name: {**slices, slice_id: book} for name, slices in pack.series.items()}
        seen = {**pack.wealth, whose: {**pack.wealth[whose], slice_id: wealth}}
        other = "incumbent" if whose == "c1" else "c1"
        seen[other] = {**seen[other], slice_id: book}
        found = deepest_falls(replace(pack, series=held, wealth=seen), "loss", GatePolicy(), slice_id)
        assert isinstance(found, Finding) and found.reason == "COVERAGE"
