"""Tables as they were at marks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from kronos.core.frames import CONFUSION_CELLS
from kronos.lake.pinned import PinnedRecord, marks_now
from kronos.lake.tables import Lake
from kronos_tests.lake.test_tables import TABLE, cells

BOTH = ("cells", TABLE)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake in which one table was written once."""
    found = Lake(str(tmp_path / "lake"))
    found.write_months(TABLE, cells("2020-01", 1), ["2020-01"])
    return found


def counts(lake: Lake, marks: Mapping[str, str]) -> list[int]:
    return PinnedRecord(lake, marks).scan(TABLE, ["2020-01"]).collect()["n"].to_list()


def test_what_was_written_since_is_not_read(lake: Lake) -> None:
    marks = marks_now(lake, BOTH)
    lake.write_months(TABLE, cells("2020-01", 2, 3), ["2020-01"])
    assert counts(lake, marks) == [1] and counts(lake, marks_now(lake, BOTH)) == [2, 3]


def test_a_table_that_was_not_there_has_no_mark_and_no_rows_whatever_came_later(lake: Lake) -> None:
    assert set(marks_now(lake, BOTH)) == {TABLE} and counts(lake, {}) == []
    assert dict(PinnedRecord(lake, {}).scan(TABLE).collect_schema()) == CONFUSION_CELLS


def test_its_version_is_the_one_that_is_read(lake: Lake) -> None:
    marks, version = marks_now(lake, BOTH), lake.version(TABLE)
    lake.write_months(TABLE, cells("2020-01", 2), ["2020-01"])
    pinned = PinnedRecord(lake, marks)
    assert (pinned.version(TABLE), pinned.version("cells")) == (version, None) and version != lake.version(TABLE)
