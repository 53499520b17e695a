"""The deepest fall, beside empyrical's published function and by hand."""

from __future__ import annotations

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kronos.core.gates.losses import deepest_fall
from kronos.core.reports.comparison_gaps import Daily


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
