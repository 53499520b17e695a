"""Metadata reads well."""

from __future__ import annotations

import polars as pl
import pytest

from kronos.defs.presentation import plot, sparkline, table


@pytest.mark.parametrize(
    ("values", "line"),
    [([], ""), ([None], ""), ([1.0, 1.0], "▁▁"), ([0.0, None, 1.0], "▁ █"), ([0.0, 0.5, 1.0], "▁▅█")],
)
def test_a_sparkline_has_a_character_per_value(values: list[float | None], line: str) -> None:
    assert sparkline(values) == line


def test_a_long_table_says_what_it_leaves_out() -> None:
    text = str(table(pl.DataFrame({"n": range(100)}), rows=2).value)
    assert "| 1 |" in text and "| 2 |" not in text and "2 of 100 rows" in text


def test_a_bar_in_a_value_does_not_break_the_table() -> None:
    assert "a\\|b" in str(table(pl.DataFrame({"slice": ["a|b"]})).value)


def test_an_empty_plot_says_so() -> None:
    assert "nothing to show" in str(plot("rows", [], []).value)
