"""Choosing rows by date, and merging days, beside slower ways."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from kronos.core.reports.axis import Window
from kronos.core.reports.evidence import rising, rows_within

FIRST = date(1969, 12, 28)
DAYS = st.integers(0, 9).map(lambda n: FIRST + timedelta(days=n))
DATES = ("as_of_date", "eval_date", "known_date")


@given(st.lists(st.tuples(DAYS, st.none() | DAYS, st.none() | DAYS)), DAYS, DAYS, st.none() | DAYS, DAYS)
def test_limits_choose_what_the_expressions_choose(
    rows: list[tuple[date, date | None, date | None]], start: date, end: date, as_of: date | None, newest: date
) -> None:
    """Before 1970 too; a missing date is never within."""
    frame = pl.DataFrame(rows, schema=dict.fromkeys(DATES, pl.Date), orient="row")
    window = Window(start, end, as_of)
    chosen = rows_within(frame, window.known_days(newest) | window.chosen_days())
    assert_frame_equal(chosen, frame.filter(window.known(newest), window.chosen()))


@given(st.lists(st.lists(st.integers(-5, 5)), min_size=1))
def test_rising_are_the_distinct_numbers_in_order(parts: list[list[int]]) -> None:
    """As np.unique finds them."""
    arrays = [np.array(sorted(part), dtype=np.int64) for part in parts]
    assert rising(*arrays).tolist() == np.unique(np.concatenate(arrays)).tolist()
