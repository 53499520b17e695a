"""Backtests in the lake: a piece is replaced as a whole, and one experiment's rows look like the observe flow's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from kronos.core.frames import CELLS, FACT_KEYS, PIECE_KEY
from kronos.errors import LakeUnavailable, NotFound
from kronos.lake.backtests import TABLES, BacktestRecord, lake_of
from kronos.lake.tables import Lake
from kronos_tests.frames import frame

CELL_TABLE, FACT_TABLE = "backtest_cells", "backtest_facts"
ONE, OTHER = "experiment-1", "experiment-2"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(str(tmp_path / "lake"))


def write(lake: Lake, experiment: str, piece: str, *due: int, months: tuple[str, ...] = ("2020-01",)) -> str:
    """A piece with a row per number and month."""
    rows = [
        {"piece": piece, "month": month, "experiment_id": experiment, "due": number}
        for month in months
        for number in due
    ]
    return lake_of(lake, experiment).replace(CELL_TABLE, frame(PIECE_KEY | CELLS, rows), {"piece": [piece]})


def held(record: BacktestRecord, *months: str) -> list[int]:
    """The numbers of a record's rows."""
    return sorted(record.scan("cells", months or None).collect()["due"].to_list())


def test_a_record_is_one_experiments_rows_in_the_observe_flows_contract(lake: Lake) -> None:
    write(lake, ONE, "fold-001", 1, 2)
    write(lake, ONE, "scenario-x", 3)
    write(lake, OTHER, "fold-001", 4)
    record = BacktestRecord(lake, ONE)
    assert held(record) == [1, 2, 3]
    assert dict(record.scan("cells").collect_schema()) == CELLS


def test_a_record_is_read_by_months(lake: Lake) -> None:
    write(lake, ONE, "fold-001", 1, months=("2020-01", "2020-02"))
    write(lake, ONE, "fold-002", 2, months=("2020-02", "2020-03"))
    assert held(BacktestRecord(lake, ONE), "2020-02") == [1, 2]
    assert held(BacktestRecord(lake, ONE), "2020-01", "2020-03") == [1, 2]


def test_a_record_at_its_marks_is_as_it_was_then(lake: Lake) -> None:
    write(lake, ONE, "fold-001", 1)
    mark = write(lake, ONE, "fold-002", 2)
    write(lake, ONE, "fold-001", 9)
    write(lake, OTHER, "fold-001", 8)
    assert held(BacktestRecord(lake, ONE, {CELL_TABLE: mark})) == [1, 2]
    assert held(BacktestRecord(lake, ONE)) == [2, 9]


def test_a_mark_of_another_lake_shows_nothing_of_this_one(lake: Lake, tmp_path: Path) -> None:
    mark = write(Lake(str(tmp_path / "other")), ONE, "fold-001", 1)
    write(lake, ONE, "fold-001", 2)
    assert held(BacktestRecord(lake, ONE, {CELL_TABLE: mark})) == []


def test_an_experiment_without_rows_and_a_lake_without_backtests_are_empty(lake: Lake) -> None:
    assert held(BacktestRecord(lake, ONE)) == [] and BacktestRecord(lake, ONE).version("cells") is None
    write(lake, OTHER, "fold-001", 1)
    assert held(BacktestRecord(lake, ONE)) == []


def test_what_backtests_do_not_have_is_empty(lake: Lake) -> None:
    record = BacktestRecord(lake, ONE)
    assert record.scan("superseded_facts").collect().is_empty() and record.version("superseded_facts") is None
    with pytest.raises(NotFound):
        record.scan("nothing of this name")


@pytest.mark.parametrize("name", TABLES)
def test_every_table_of_a_record_has_the_contract_of_its_observed_twin(lake: Lake, name: str) -> None:
    assert BacktestRecord(lake, ONE).scan(name).collect_schema() == lake.scan(name).collect_schema()
    assert lake.scan(TABLES[name]).collect_schema().names()[:1] == list(PIECE_KEY)


def test_facts_show_the_horizons_they_were_written_with(lake: Lake) -> None:
    schema = PIECE_KEY | FACT_KEYS | {"return_h5": pl.Float64}
    row = {"piece": "fold-001", "month": "2020-01", "decision_id": "d1", "return_h5": 0.01}
    lake_of(lake, ONE).replace(FACT_TABLE, frame(schema, [row]), {"piece": ["fold-001"]})
    found = BacktestRecord(lake, ONE).scan("decision_facts").collect()
    assert found.columns == [*FACT_KEYS, "return_h5"] and found["return_h5"].to_list() == [0.01]


def test_the_version_of_a_record_is_its_own_tables(lake: Lake) -> None:
    write(lake, ONE, "fold-001", 1)
    before = BacktestRecord(lake, ONE).version("cells")
    write(lake, OTHER, "fold-001", 1)
    assert before is not None and BacktestRecord(lake, ONE).version("cells") == before
    write(lake, ONE, "fold-002", 1)
    assert BacktestRecord(lake, ONE).version("cells") == before + 1


def test_writing_a_piece_again_replaces_exactly_it(lake: Lake) -> None:
    for experiment in (ONE, OTHER):
        for number, piece in enumerate(("fold-001", "fold-002", "scenario-x")):
            write(lake, experiment, piece, number)
    write(lake, ONE, "fold-002", 7, 8)
    assert held(BacktestRecord(lake, ONE)) == [0, 2, 7, 8]
    assert held(BacktestRecord(lake, OTHER)) == [0, 1, 2]


def test_writing_a_piece_with_the_same_rows_changes_nothing_that_is_read(lake: Lake) -> None:
    write(lake, ONE, "fold-001", 1, 2)
    before = BacktestRecord(lake, ONE).scan("cells").collect()
    write(lake, ONE, "fold-001", 1, 2)
    assert BacktestRecord(lake, ONE).scan("cells").collect().equals(before)


def test_a_piece_without_rows_becomes_empty(lake: Lake) -> None:
    write(lake, ONE, "fold-001", 1)
    write(lake, ONE, "fold-001")
    assert held(BacktestRecord(lake, ONE)) == []


def test_rows_of_another_piece_are_refused(lake: Lake) -> None:
    write(lake, ONE, "fold-001", 1)
    row = {"piece": "fold-002", "month": "2020-01", "due": 2}
    with pytest.raises(LakeUnavailable):
        lake_of(lake, ONE).replace(CELL_TABLE, frame(PIECE_KEY | CELLS, [row]), {"piece": ["fold-001"]})
    assert held(BacktestRecord(lake, ONE)) == [1]


WRITER = """
import sys
from kronos.lake.tables import Lake
from kronos_tests.lake.test_backtests import write
lake, experiment, piece = Lake(sys.argv[1]), sys.argv[2], sys.argv[3]
sys.stdin.readline()
for n in range(8):
    write(lake, experiment, piece, n, 100 + n)
"""


@pytest.mark.parametrize("pieces", [[(ONE, "fold-001"), (ONE, "fold-002")], [(ONE, "fold-001"), (OTHER, "fold-001")]])
def test_two_writers_of_different_pieces_both_land(lake: Lake, pieces: list[tuple[str, str]]) -> None:
    """Neither table exists when they begin, and each commits into the other's way."""
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, lake.uri, *piece], stdin=subprocess.PIPE) for piece in pieces
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.close()
    assert [writer.wait(timeout=300) for writer in writers] == [0, 0]
    rows = [lake_of(lake, name).scan(CELL_TABLE).select("experiment_id", "piece", "due") for name in (ONE, OTHER)]
    found = pl.concat(rows).collect().sort(pl.all()).rows()
    assert found == sorted((*piece, number) for piece in pieces for number in (7, 107))


def test_a_mark_is_read_again_however_often_the_log_was_summed_up_since(lake: Lake) -> None:
    """Both sides of every checkpoint."""
    marks = [write(lake, ONE, f"fold-{number:03}", number) for number in range(25)]
    assert list(Path(lake_of(lake, ONE).uri, CELL_TABLE, "_delta_log").glob("*.checkpoint.parquet"))
    for number, mark in enumerate(marks):
        assert held(BacktestRecord(lake, ONE, {CELL_TABLE: mark})) == list(range(number + 1))
