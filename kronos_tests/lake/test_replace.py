"""Replacing rows by the values of their columns."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from kronos.core.frames import REPORT_ROWS
from kronos.errors import LakeUnavailable
from kronos.lake.tables import Lake
from kronos_tests.frames import frame

TABLE = "engine_reports"


def _rows(period: str, engine: str, *values: float) -> pl.DataFrame:
    row = {"month": period, "period": period, "engine_name": engine}
    return frame(REPORT_ROWS, [row | {"value": value} for value in values])


def _held(lake: Lake) -> list[tuple[str, str, float]]:
    return sorted(lake.scan(TABLE).select("period", "engine_name", "value").collect().rows())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two engines in December, one of them in January."""
    lake = Lake(str(tmp_path))
    rows = pl.concat([_rows("2017-12", "A", 1.0, 2.0), _rows("2017-12", "B", 3.0), _rows("2018-01", "A", 4.0)])
    lake.replace(TABLE, rows, {"period": ["2017-12", "2018-01"], "engine_name": ["A", "B"]})
    return lake


def test_only_rows_with_all_the_values_are_replaced(lake: Lake) -> None:
    lake.replace(TABLE, _rows("2017-12", "A", 9.0), {"period": ["2017-12"], "engine_name": ["A"]})
    assert _held(lake) == [("2017-12", "A", 9.0), ("2017-12", "B", 3.0), ("2018-01", "A", 4.0)]


def test_replacing_with_nothing_removes(lake: Lake) -> None:
    lake.replace(TABLE, _rows("2017-12", "A"), {"period": ["2017-12"]})
    assert _held(lake) == [("2018-01", "A", 4.0)]


def test_a_row_outside_what_is_replaced_is_refused(lake: Lake) -> None:
    before = _held(lake)
    with pytest.raises(LakeUnavailable, match="validation"):
        lake.replace(TABLE, _rows("2018-01", "A", 9.0), {"period": ["2017-12"]})
    assert _held(lake) == before


def test_a_quote_in_a_name_is_only_a_name(lake: Lake) -> None:
    odd = "O'Neil') OR ('1'='1"
    lake.replace(TABLE, _rows("2017-12", odd, 5.0), {"period": ["2017-12"], "engine_name": [odd]})
    lake.replace(TABLE, _rows("2017-12", odd, 6.0), {"period": ["2017-12"], "engine_name": [odd]})
    assert ("2017-12", odd, 6.0) in _held(lake) and len(_held(lake)) == 5
