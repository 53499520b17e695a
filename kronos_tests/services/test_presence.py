"""Processes that work on backtests are known, with all they start, and forgotten when they ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from kronos.services.presence import Working, at_work, working
from kronos_tests.backtests.children import until

WORKER = """
import subprocess, sys
from pathlib import Path
from kronos.services.presence import at_work
with at_work(Path(sys.argv[1])):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                             stdout=subprocess.DEVNULL, start_new_session=True)
    print(child.pid, flush=True)
    sys.stdin.readline()
print("done", flush=True)
sys.stdin.readline()
child.kill()
child.wait()
"""


@contextmanager
def worker(home: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A worker and the number of its child, which leads a session of its own as runners' children do."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        yield process, child
    finally:
        process.kill()
        process.communicate()
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def pids(home: Path) -> set[int]:
    found = working(home)
    return {one.pid for one in (*found.runs, *found.runners)}


def test_nobody_works_in_a_new_home(tmp_path: Path) -> None:
    assert working(tmp_path) == Working()


def test_a_worker_counts_with_what_it_starts_while_it_works(tmp_path: Path) -> None:
    with worker(tmp_path) as (process, child):
        found = working(tmp_path)
        assert ([one.pid for one in found.runs], [one.pid for one in found.runners]) == ([process.pid], [child])
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        assert process.poll() is None and pids(tmp_path) == set()


def test_two_homes_know_their_own(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with worker(tmp_path / "one") as (first, child), worker(tmp_path / "two"):
        assert pids(tmp_path / "one") == {first.pid, child}


def test_a_killed_worker_is_forgotten(tmp_path: Path) -> None:
    with worker(tmp_path) as (process, _):
        process.kill()
        process.wait()
        assert until(lambda: pids(tmp_path) == set())
    assert list(tmp_path.rglob("*-*.*")) == []


def test_a_stranger_under_the_number_of_an_old_worker_is_not_one(tmp_path: Path) -> None:
    me = psutil.Process()
    with at_work(tmp_path):
        (mark,) = (tmp_path / "backtests-at-work").iterdir()
        assert pids(tmp_path) >= {me.pid}
        mark.rename(mark.with_name(f"{me.pid}-{me.create_time() - 60}"))
        assert pids(tmp_path) == set()


def test_a_failure_ends_the_work(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="failed"), at_work(tmp_path):
        raise ValueError("failed")
    assert working(tmp_path) == Working()
