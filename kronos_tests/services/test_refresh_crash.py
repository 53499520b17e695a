"""A refresh killed at any write is completed by the next one, with the same rows as an undisturbed one."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from kronos.core.policy import ObservationPolicy
from kronos.lake.tables import TABLES, Lake
from kronos.services.pipeline import Pipeline
from kronos.services.refresh import refresh_cells, refresh_facts
from kronos.services.staleness import stale_cell_months, stale_fact_months
from kronos.settings import Dialect, RecordedBy
from kronos.sources.reader import SourceReader
from kronos.store.database import Database, Role
from kronos_tests.builders import decision, insert, outcome

TODAY = date(2020, 6, 1)

DYING = """
import os, signal, sys
from kronos.lake.tables import Lake
from kronos.store.database import Database
from kronos_tests.services.test_refresh_crash import refresh

left, write = int(sys.argv[3]), Lake.write_months

def dying(self, *arguments):
    global left
    mark = write(self, *arguments)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return mark

Lake.write_months = dying
refresh(Database(sys.argv[1]), sys.argv[2])
"""


def refresh(database: Database, lake: str) -> None:
    """Bring a lake up to date."""
    policy = ObservationPolicy()
    with SourceReader(database.url, Dialect.SPEC, RecordedBy.RECORDED, policy) as source:
        pipeline = Pipeline(source, Lake(lake), database, policy, RecordedBy.RECORDED)
        refresh_facts(pipeline, stale_fact_months(pipeline, TODAY), today=TODAY)
        refresh_cells(pipeline, stale_cell_months(pipeline))


def fill(database: Database) -> None:
    """Two months that are not neighbours, so two chunks."""
    made = [decision("m", date(2020, 3, 2)), decision("a", date(2020, 5, 4))]
    insert(database, engine_decisions=made, decision_outcomes=[outcome(row) for row in made])


@pytest.mark.parametrize("write", range(1, 11))
def test_killed_refresh_is_completed_by_the_next(database: Database, tmp_path: Path, write: int) -> None:
    """Killed after each of its ten lake writes in turn."""
    torn, whole = str(tmp_path / "torn"), str(tmp_path / "whole")
    fill(database)
    command = [sys.executable, "-c", DYING, database.url, torn, str(write)]
    assert subprocess.run(command).returncode == -9
    refresh(database, torn)
    refresh(database, whole)
    for table in TABLES:
        assert_frame_equal(Lake(torn).scan(table).collect(), Lake(whole).scan(table).collect(), check_row_order=False)


def test_half_written_overwrite_is_not_taken_for_history(database: Database, tmp_path: Path) -> None:
    """Killed between superseded and current facts: the next run compares with the last complete build."""
    lake = str(tmp_path / "lake")
    fill(database)
    refresh(database, lake)
    with database.connect(Role.UPSTREAM) as connection:
        connection.execute("UPDATE source.decision_outcomes SET pnl = 99 WHERE eval_date < '2020-04-01'")
    command = [sys.executable, "-c", DYING, database.url, lake, "1"]
    assert subprocess.run(command).returncode == -9
    refresh(database, lake)
    superseded = Lake(lake).scan("superseded_facts").collect()
    assert superseded.select("pnl", "superseded_date").rows() == [(10.0, TODAY)]


def test_two_refreshes_at_once_give_what_one_gives(database: Database, tmp_path: Path) -> None:
    """The second waits for the months of the first and rebuilds the same."""
    both, one = str(tmp_path / "both"), str(tmp_path / "one")
    fill(database)
    command = [sys.executable, "-c", DYING, database.url, both, "-1"]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    refresh(database, one)
    for table in TABLES:
        assert_frame_equal(Lake(both).scan(table).collect(), Lake(one).scan(table).collect(), check_row_order=False)
