"""The lake: whole months in one commit, old versions readable, several writers at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from kronos.core.facts import facts_schema
from kronos.core.frames import CONFUSION_CELLS, FACT_KEYS
from kronos.errors import BadValue, LakeUnavailable, NotFound
from kronos.lake.tables import Lake, holds

TABLE = "confusion_cells"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(str(tmp_path / "lake"))


def cells(month: str, *counts: int) -> pl.DataFrame:
    """Confusion cells of a month that differ in their count."""
    columns = {name: [None] * len(counts) for name in CONFUSION_CELLS} | {"month": [month] * len(counts), "n": counts}
    return pl.DataFrame(columns, schema=CONFUSION_CELLS)


def counts(lake: Lake, *months: str, mark: str | None = None) -> list[int]:
    """Counts held of the months, or of all."""
    return sorted(lake.scan(TABLE, months or None, mark=mark).collect()["n"].to_list())


def test_before_the_first_write_a_table_is_empty_and_keeps_its_contract(lake: Lake) -> None:
    """No folder is needed to read nothing."""
    assert dict(lake.scan(TABLE).collect_schema()) == CONFUSION_CELLS
    assert (lake.scan(TABLE).collect().height, lake.version(TABLE), lake.months(TABLE)) == (0, None, [])


def test_write_replaces_exactly_its_months(lake: Lake) -> None:
    """A month without rows becomes empty, other months stay."""
    lake.write_months(TABLE, pl.concat([cells("2020-01", 1), cells("2020-02", 2), cells("2020-03", 3)]), MONTHS)
    lake.write_months(TABLE, cells("2020-01", 7, 8), ["2020-01", "2020-02"])
    assert counts(lake) == [3, 7, 8]
    assert (counts(lake, "2020-01"), lake.months(TABLE)) == ([7, 8], ["2020-01", "2020-03"])


MONTHS = ["2020-01", "2020-02", "2020-03"]


def test_replacing_several_months_is_one_commit(lake: Lake) -> None:
    """A reader sees all of them old or all of them new."""
    lake.write_months(TABLE, cells("2020-01", 1), MONTHS)
    before = lake.version(TABLE)
    lake.write_months(TABLE, pl.concat([cells(month, 5) for month in MONTHS]), MONTHS)
    assert before is not None
    assert lake.version(TABLE) == before + 1


def test_old_version_stays_readable_by_its_mark(lake: Lake) -> None:
    """What a build recorded is what it wrote, whatever came later."""
    mark = lake.write_months(TABLE, cells("2020-01", 1), ["2020-01"])
    lake.write_months(TABLE, cells("2020-01", 2), ["2020-01"])
    assert (counts(lake, mark=mark), counts(lake)) == ([1], [2])


def test_versions_never_expire(lake: Lake, tmp_path: Path) -> None:
    """Log and files are kept as evidence."""
    lake.write_months(TABLE, cells("2020-01", 1), ["2020-01"])
    configuration = DeltaTable(f"{lake.uri}/{TABLE}").metadata().configuration
    assert configuration["delta.logRetentionDuration"] == "interval 36500 days"
    assert configuration["delta.deletedFileRetentionDuration"] == "interval 36500 days"


def test_mark_of_another_lake_is_not_held(lake: Lake, tmp_path: Path) -> None:
    """A recreated lake does not pass for the one a build wrote to."""
    mark = lake.write_months(TABLE, cells("2020-01", 1), ["2020-01"])
    other = Lake(str(tmp_path / "other"))
    other.write_months(TABLE, cells("2020-01", 2), ["2020-01"])
    assert holds(lake.mark(TABLE), mark)
    assert not holds(other.mark(TABLE), mark)
    assert counts(other, mark=mark) == []


def test_rows_keep_their_order(lake: Lake) -> None:
    """Files are sorted as the frames are: row groups prune."""
    df = pl.concat([cells(month, *range(40_000)) for month in MONTHS])
    lake.write_months(TABLE, df, MONTHS)
    for month in MONTHS:
        assert lake.scan(TABLE, [month]).collect()["n"].to_list() == list(range(40_000))


def test_new_horizon_adds_columns_and_older_months_lack_them(lake: Lake) -> None:
    """The set of horizons is data."""
    first, second = facts_schema([1]), facts_schema([1, 5])
    rows = {"month": ["2020-01"], "decision_id": ["a"]}
    lake.write_months("decision_facts", _facts(rows, first), ["2020-01"])
    lake.write_months("decision_facts", _facts(rows | {"month": ["2020-02"]}, second), ["2020-02"])
    lake.write_months("decision_facts", _facts(rows, first), ["2020-01"])
    held = lake.scan("decision_facts").collect()
    assert set(held.columns) == set(second)
    assert held.columns[: len(FACT_KEYS)] == list(FACT_KEYS)
    assert held["due_date_h5"].null_count() == 2


def _facts(rows: dict[str, list[str]], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    return pl.DataFrame({name: rows.get(name, [None]) for name in schema}, schema=schema)


def test_row_outside_the_replaced_months_is_refused(lake: Lake) -> None:
    """It would land beside its month's old rows."""
    with pytest.raises(BadValue, match="2020-02"):
        lake.write_months(TABLE, cells("2020-02", 1), ["2020-01"])


def test_month_that_is_none_is_refused(lake: Lake) -> None:
    """Months go into a predicate."""
    with pytest.raises(BadValue, match="YYYY-MM"):
        lake.write_months(TABLE, cells("x", 1), ["x' OR 1=1 --"])


def test_unknown_table_is_refused(lake: Lake) -> None:
    """With the known ones."""
    with pytest.raises(NotFound, match="cells"):
        lake.scan("sells")


def test_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    """Also for root: a file stands where the folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeUnavailable, match="cannot be written"):
        Lake(str(tmp_path / "file" / "lake")).write_months(TABLE, cells("2020-01", 1), ["2020-01"])


def test_damaged_table_is_one_clear_error(lake: Lake) -> None:
    """A broken log is not an empty table."""
    lake.write_months(TABLE, cells("2020-01", 1), ["2020-01"])
    for entry in Path(lake.uri, TABLE, "_delta_log").glob("*.json"):
        entry.write_text("{")
    with pytest.raises(LakeUnavailable, match="cannot be read"):
        lake.scan(TABLE)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_data_file_cut_short_is_said_to_be_unreadable(lake: Lake, share: float) -> None:
    """Polars panics on it, which is no Exception: whoever reads the lake hears the same as of any other damage."""
    lake.write_months(TABLE, cells("2020-01", *range(5_000)), ["2020-01"])
    for file in Path(lake.uri, TABLE).rglob("*.parquet"):
        whole = file.read_bytes()
        file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(LakeUnavailable, match="cannot be read"):
        lake.collect(lake.scan(TABLE, ["2020-01"]))


WRITER = """
import sys
import polars as pl
from kronos.lake.tables import Lake
from kronos_tests.lake.test_tables import TABLE, cells
lake = Lake(sys.argv[1])
sys.stdin.readline()
for n in range(12):
    lake.write_months(TABLE, cells(sys.argv[2], n), [sys.argv[2]])
"""


def test_writers_of_different_months_both_succeed(lake: Lake) -> None:
    """Two processes create the table and commit into each other's way; no commit is lost."""
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, lake.uri, month], stdin=subprocess.PIPE) for month in MONTHS[:2]
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.close()
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    assert counts(lake) == [11, 11]
    assert_frame_equal(lake.scan(TABLE, ["2020-01"]).collect(), cells("2020-01", 11))


def test_version_is_deltas_own_also_of_another_writers_commit(lake: Lake) -> None:
    lake.write_months(TABLE, cells("2020-01", 1), ["2020-01"])
    Lake(lake.uri).write_months(TABLE, cells("2020-01", 2), ["2020-01"])
    assert lake.version(TABLE) == DeltaTable(f"{lake.uri}/{TABLE}").version() == 2
