"""What `kronos up` serves ends with it, real processes throughout."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import psutil
import pytest

from kronos.services.guard import Stack

UP = """
import signal, sys
from pathlib import Path
from kronos.cli.stack import serve

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.signal(signal.SIGINT, signal.default_int_handler)
home = Path(sys.argv[1])
family = f"import subprocess, sys, pathlib; {sys.argv[2]}"
serve(home, [sys.executable, "-c", family], {}, lambda _: None)
"""
FAMILY = """
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session={own})
pathlib.Path({pids!r} + '.new').write_text(str(child.pid))
pathlib.Path({pids!r} + '.new').rename({pids!r})
child.wait()
"""

HYDRA = """
import signal, subprocess, sys
sleeper = [sys.executable, '-c', 'import time; time.sleep(600)']
signal.signal(signal.SIGTERM, lambda *_: sys.exit(subprocess.Popen(sleeper).pid * 0))
print('ready', flush=True)
signal.pause()
"""
"""What is told to end starts another, as Dagster's proxy does with its code server."""


def serving(home: Path, *, own_session: bool) -> tuple[subprocess.Popen[bytes], list[psutil.Process]]:
    """A process that serves a parent with a child, once both run, and everything it started."""
    pids = home / "child"
    family = FAMILY.format(own=own_session, pids=str(pids)).strip().replace("\n", "; ")
    up = subprocess.Popen([sys.executable, "-c", UP, str(home), family])
    until(lambda: pids.exists() and len(psutil.Process(up.pid).children(recursive=True)) == 3)
    return up, psutil.Process(up.pid).children(recursive=True)


def until(true: object) -> None:
    """Wait for a condition, a minute at most."""
    deadline = time.monotonic() + 60
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("own_session", [False, True])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_is_served_ends_with_its_server(tmp_path: Path, number: signal.Signals, own_session: bool) -> None:
    """Parent, child and guard, even a child that left the session; killed, told to stop, or interrupted."""
    up, started = serving(tmp_path, own_session=own_session)
    up.send_signal(number)
    up.wait(timeout=60)
    _, left = psutil.wait_procs(started, timeout=60)
    assert left == []


def test_what_is_started_while_stopping_is_stopped_too() -> None:
    """Only a second look finds it."""
    hydra = subprocess.Popen([sys.executable, "-c", HYDRA], stdout=subprocess.PIPE, start_new_session=True)
    assert hydra.stdout is not None
    hydra.stdout.readline()
    stack = Stack.of(hydra.pid)
    reaper = Thread(target=hydra.wait)
    reaper.start()
    stack.stop()
    reaper.join()
    assert stack.members() == []


def test_server_ends_with_what_it_serves(tmp_path: Path) -> None:
    """And its guard with it."""
    up, started = serving(tmp_path, own_session=False)
    started[0].kill()
    assert up.wait(timeout=60) == 0
    _, left = psutil.wait_procs(started, timeout=60)
    assert left == []
    assert not (tmp_path / "stack.json").exists()
