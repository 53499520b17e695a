"""Cells built by processes: the same rows, and clear ends."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from kronos.errors import BadValue, NotFound, NothingObserved, WorkerDied
from kronos.lake.tables import Lake
from kronos.services import cell_builds
from kronos.services.cell_builds import cell_builder, worker_processes, write_cells
from kronos.services.pipeline import CELL_TABLES, FACT_TABLES
from kronos.store.month_builds import MonthBuild
from kronos_tests.frames import POLICY, History

PARENT = """
import os, time
from kronos.services.cell_builds import worker_processes

if __name__ == "__main__":
    with worker_processes(1) as processes:
        print(processes.submit(os.getpid).result(), flush=True)
        time.sleep(600)
"""


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of decisions is many, and there are two cores."""
    monkeypatch.setattr(cell_builds, "MANY_DECISIONS", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def facts_in(lake: Lake) -> list[MonthBuild]:
    """A random history's facts, written and recorded."""
    batch = History(7).facts()
    months = sorted(batch.facts["month"].unique())
    marks = {
        table: lake.write_months(table, df, months)
        for table, df in zip(FACT_TABLES, (batch.facts, batch.superseded), strict=True)
    }
    return [MonthBuild(month, "", "", marks) for month in months]


def test_processes_write_what_this_process_writes(many: None, tmp_path: Path) -> None:
    """Rows, their order and the numbers of rows."""
    here, there = Lake(str(tmp_path / "here")), Lake(str(tmp_path / "there"))
    expected = write_cells(here, POLICY, facts_in(here))
    with cell_builder(there, POLICY, decisions=1) as builder:
        assert builder.at_once == 2
        assert builder.build(facts_in(there)).rows == expected.rows
    for table in CELL_TABLES:
        assert_frame_equal(there.scan(table).collect(), here.scan(table).collect())


def test_few_decisions_stay_in_this_process(tmp_path: Path) -> None:
    """Starting processes would take longer than they save."""
    with cell_builder(Lake(str(tmp_path)), POLICY, decisions=500_000) as builder:
        assert builder.at_once == 1


def test_dead_worker_is_named_by_its_months(many: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the machine has no memory left for it."""
    monkeypatch.setattr(cell_builds, "write_cells", die)
    with cell_builder(Lake(str(tmp_path)), POLICY, decisions=1) as builder, pytest.raises(WorkerDied) as death:
        builder.build([MonthBuild(month, "", "", {}) for month in ("2020-01", "2020-02")])
    assert "2020-01 to 2020-02 died" in str(death.value)


def die(*_: object) -> None:
    """End at once, like a process out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_errors_of_a_worker_arrive_as_they_were_raised(
    many: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused by name there is refused by name here."""
    monkeypatch.setattr(cell_builds, "write_cells", refuse)
    with cell_builder(Lake(str(tmp_path)), POLICY, decisions=1) as builder, pytest.raises(BadValue, match="pnl"):
        builder.build([MonthBuild("2020-01", "", "", {})])


def refuse(*_: object) -> None:
    """As of a value that cannot be added up."""
    raise BadValue("pnl to add up", float("nan"), "a finite number")


@pytest.mark.parametrize(
    "error", [BadValue("x", 1.5, "more"), NotFound("config", "a", ["b"]), NothingObserved(), WorkerDied(["2020-01"])]
)
def test_errors_can_be_sent_between_processes(error: Exception) -> None:
    """Message and values arrive."""
    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301 - its own words
    assert (type(arrived), str(arrived), vars(arrived)) == (type(error), str(error), vars(error))


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    """Nothing is left behind that holds memory."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 60
    while running(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(worker)


def running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_workers_leave_an_interrupt_to_their_parent() -> None:
    """Ctrl-C reaches the whole group; only one of it answers."""
    with worker_processes(1) as processes:
        worker = processes.submit(os.getpid).result()
        os.kill(worker, signal.SIGINT)
        assert processes.submit(os.getpid).result() == worker
