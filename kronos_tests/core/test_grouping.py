"""Grouped sums: exact to the last bit, whatever the magnitudes."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.core.fixed_point import from_fixed, to_fixed
from kronos.core.grouping import Groups, add_up, number_all, put_together, roll_up
from kronos.errors import BadValue

ONE = Groups(np.zeros(3, dtype=np.int64), 1)
FLOATS = st.floats(-1e15, 1e15) | st.floats(-1.0, 1.0) | st.floats(-1e-15, 1e-15) | st.none()
ROWS = st.lists(st.tuples(st.integers(0, 3), FLOATS), min_size=1, max_size=40)


def sums_of(frame: pl.DataFrame, groups: Groups, *, fixed: bool) -> pl.Series:
    """The grouped sums of the frame's only column."""
    return put_together(add_up(frame, groups), fixed=fixed).to_series()


def three(*values: float) -> pl.DataFrame:
    """One group of three rows."""
    return pl.DataFrame({"x": values})


@settings(deadline=None)
@given(ROWS)
def test_sums_equal_those_of_int128(rows: list[tuple[int, float | None]]) -> None:
    """Fixed point and nearest floats both: cutting and putting together lose nothing."""
    frame = pl.DataFrame(rows, schema={"key": pl.Int64, "x": pl.Float64}, orient="row")
    slow = frame.group_by("key").agg(to_fixed(pl.col("x")).sum()).sort("key")
    groups = number_all(frame["key"].to_numpy())
    assert sums_of(frame.select("x"), groups, fixed=True).equals(slow["x"])
    assert sums_of(frame.select("x"), groups, fixed=False).equals(slow.select(from_fixed(pl.col("x"))).to_series())


def test_float_sums_are_rounded_once() -> None:
    """The nearest float to the sum of fractions of very different sizes."""
    values = [1.0 + 2**-52, 2.0**-53 + 2.0**-60, 5e14]
    exact = sum((Fraction(value) for value in values), Fraction(0))
    assert sums_of(three(*values), ONE, fixed=False).item() == float(exact)


@settings(deadline=None)
@given(ROWS)
def test_sums_of_sums_are_the_sums(rows: list[tuple[int, float | None]]) -> None:
    """Rolling groups up by a coarser key equals grouping by that key, one grouping after the other."""
    frame = pl.DataFrame(rows, schema={"key": pl.Int64, "x": pl.Float64}, orient="row")
    keys = frame["key"].to_numpy()
    fine, coarse, values = number_all(keys), number_all(keys // 2), frame.select("x")
    above = number_all(keys[fine.a_row] // 2)
    rolled = put_together(roll_up(add_up(values, fine), [above, above]), fixed=True).to_series()
    expected = sums_of(values, coarse, fixed=True)
    assert rolled.equals(pl.concat([expected, expected]))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 999)), max_size=30))
def test_groups_are_numbered_in_the_order_of_their_keys(rows: list[tuple[int, int]]) -> None:
    """However far apart their codes are."""
    first, second = (np.array([row[n] for row in rows], dtype=np.int64) for n in (0, 1))
    distinct = sorted(set(rows))
    groups = number_all(first, second)
    assert groups.count == len(distinct)
    assert groups.of_row.tolist() == [distinct.index(row) for row in rows]


def test_equal_flags_are_counted_alike_and_null_is_nothing() -> None:
    """A flag seen before, and one that is never set."""
    flags = pl.DataFrame({"a": [True, None, True], "b": [True, False, True], "c": [None, None, False]})
    flags = flags.cast(pl.Boolean)
    assert put_together(add_up(flags, ONE), fixed=True).rows() == [(2, 2, 0)]


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e300])
def test_what_cannot_be_summed_exactly_is_refused(value: float) -> None:
    """By name, before anything is added."""
    with pytest.raises(BadValue, match="x to add up"):
        add_up(three(1.0, value, 2.0), ONE)


def test_one_large_value_among_many_rows_is_summed() -> None:
    """The bound is on the sum, not on the largest value times the rows."""
    many = pl.Series([5e19, *[1.0] * 999], dtype=pl.Float64)
    groups = Groups(np.zeros(1000, dtype=np.int64), 1)
    assert sums_of(pl.DataFrame({"x": many}), groups, fixed=False).item() == 5e19
