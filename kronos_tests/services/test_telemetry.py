"""What a machine says of itself: sizes that are its own, and what is in use without the backtests."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from kronos.core.scheduling.snapshot import Nodes
from kronos.services import telemetry
from kronos.services.presence import Working
from kronos.services.telemetry import IoMeasure, Reading, node_name, take_reading
from kronos_tests.backtests.children import gone, until

MEMORY_MB = 150
FAMILY = f"""
import os, sys
if os.fork() == 0:
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)"])
kept = b"x" * ({MEMORY_MB} << 20)
while True: pass
"""
"""Works without end, holds some memory, and has a child under another command line."""


@pytest.fixture
def busy() -> Iterator[psutil.Process]:
    """A backtest's process with its child."""
    family = subprocess.Popen([sys.executable, "-c", FAMILY], start_new_session=True)
    process = psutil.Process(family.pid)
    assert until(lambda: process.memory_info().rss >> 20 > MEMORY_MB and len(_others(process)) == 1)
    yield process
    with suppress(ProcessLookupError):
        os.killpg(family.pid, signal.SIGKILL)
    family.wait()


def _others(process: psutil.Process) -> list[psutil.Process]:
    """Its children that are no copies of it any more."""
    return [child for child in process.children() if FAMILY not in child.cmdline()]


def test_sizes_are_the_machines_and_use_is_within_them(tmp_path: Path) -> None:
    reading = take_reading(Working(), tmp_path, 0.1)
    assert reading.cpu == 1000 * psutil.cpu_count()
    assert reading.memory == psutil.virtual_memory().total >> 20
    assert 0 <= reading.cpu_used <= 1.5 * reading.cpu  # processor time is counted in ticks
    assert 0 <= reading.memory_used <= reading.memory
    assert 0 <= (reading.gpu_used or 0) <= (reading.gpu or 0)
    assert reading.io_pressure is None or 0 <= reading.io_pressure <= 1000
    assert reading.load_1m >= 0 and 0 < reading.disk_free_mb <= psutil.disk_usage(str(tmp_path)).total >> 20


def test_a_reading_is_json_and_has_the_columns_of_a_node(tmp_path: Path) -> None:
    said = take_reading(Working(), tmp_path, 0.05).to_json_dict()
    assert Reading(**json.loads(json.dumps(said))).to_json_dict() == said
    of_others = {"ids", "alive", "taken_at", "disk_full", "gpu_unread"}
    assert {column.name for column in fields(Nodes)} - of_others <= set(said) and "disk_free_mb" in said


def test_a_machine_has_a_name() -> None:
    assert node_name() and node_name() == node_name()


def test_memory_of_runners_is_left_out(busy: psutil.Process, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a machine of 8 GB of which one is in use. What a run itself holds is reserved nowhere, and counts."""
    fixed = SimpleNamespace(total=8_000 << 20, available=7_000 << 20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: fixed)
    assert take_reading(Working(), tmp_path, 0.01).memory_used == 1_000
    used = take_reading(Working(runners=(busy,)), tmp_path, 0.01).memory_used
    assert 0 <= used <= 1_000 - MEMORY_MB
    assert take_reading(Working(runs=(busy,)), tmp_path, 0.01).memory_used == 1_000


def test_processor_time_of_backtests_is_left_out(
    busy: psutil.Process, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a second of which others and the backtest together worked 60 seconds' worth."""
    clock, worked = iter([0.0, 1.0] * 2), iter([0.0, 60.0] * 2)

    def until_it_worked(_: float) -> None:
        before = busy.cpu_times().user
        assert until(lambda: busy.cpu_times().user >= before + 0.3)

    monkeypatch.setattr(telemetry, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=until_it_worked))
    monkeypatch.setattr(telemetry, "_busy_seconds", lambda: next(worked))
    assert take_reading(Working(), tmp_path).cpu_used == 60_000
    assert 0 <= take_reading(Working(runs=(busy,)), tmp_path).cpu_used <= 59_700


def test_what_backtests_use_is_never_more_than_everything(
    busy: psutil.Process, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two counters that are read one after the other may disagree."""
    monkeypatch.setattr(telemetry, "_busy_seconds", lambda: 0.0)
    fixed = SimpleNamespace(total=8_000 << 20, available=7_999 << 20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: fixed)
    reading = take_reading(Working(runners=(busy,)), tmp_path, 0.1)
    assert (reading.cpu_used, reading.memory_used) == (0, 0)


def test_a_process_that_is_gone_counts_no_longer(busy: psutil.Process) -> None:
    mine = [busy, *busy.children()]
    assert telemetry._cpu_seconds(mine) > 0 and telemetry._resident(mine) >> 20 > MEMORY_MB
    os.killpg(busy.pid, signal.SIGKILL)
    busy.wait()
    assert until(lambda: all(gone(one.pid) for one in mine))
    assert telemetry._resident(mine) == 0


SOME = "some avg10=99.00 avg60=1.00 avg300=0.00 total=1\n"
FULL = "full avg10=12.34 avg60=1.00 avg300=0.00 total=1\n"
UNREADABLE = (IoMeasure.UNREADABLE, None)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (SOME + FULL, (IoMeasure.PRESSURE, 123)),
        (SOME, UNREADABLE),
        ("", UNREADABLE),
        (SOME + FULL.replace("12.34", "much"), UNREADABLE),
        (b"\xff" + FULL.encode(), UNREADABLE),
    ],
)
def test_io_pressure_is_the_share_of_time_in_which_everybody_waits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | bytes, expected: tuple[IoMeasure, int | None]
) -> None:
    path = tmp_path / "io"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setattr(telemetry, "_PRESSURE", path)
    assert telemetry._io_pressure(0.5) == expected


@pytest.mark.parametrize(
    ("iowait", "expected"),
    [(0.0421, (IoMeasure.IOWAIT, 42)), (1.7, (IoMeasure.IOWAIT, 1000)), (-0.1, (IoMeasure.IOWAIT, 0))],
)
def test_where_the_kernel_has_no_pressure_the_wait_of_processors_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, iowait: float, expected: tuple[IoMeasure, int]
) -> None:
    monkeypatch.setattr(telemetry, "_PRESSURE", tmp_path / "pressure" / "io")
    assert telemetry._io_pressure(iowait) == expected


def test_a_pressure_that_is_switched_off_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def off() -> str:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(telemetry, "_PRESSURE", SimpleNamespace(read_text=off))
    assert telemetry._io_pressure(0.5) == (IoMeasure.IOWAIT, 500)


def test_a_pressure_that_may_not_be_read_is_not_taken_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden() -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(telemetry, "_PRESSURE", SimpleNamespace(read_text=forbidden))
    assert telemetry._io_pressure(0.5) == UNREADABLE


def test_the_wait_of_processors_is_that_over_the_sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Half a processor's time of ten seconds."""
    clock, waited = iter([0.0, 10.0]), iter([100.0, 105.0])
    monkeypatch.setattr(telemetry, "_PRESSURE", tmp_path / "nothing")
    monkeypatch.setattr(telemetry, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None))
    monkeypatch.setattr(telemetry, "_waited_seconds", lambda: next(waited))
    reading = take_reading(Working(), tmp_path)
    assert (reading.io_measure, reading.io_pressure) == (IoMeasure.IOWAIT, 500)


def test_a_system_that_counts_no_wait_either_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(telemetry, "_PRESSURE", tmp_path / "nothing")
    monkeypatch.setattr(telemetry, "_waited_seconds", lambda: None)
    reading = take_reading(Working(), tmp_path, 0.01)
    assert (reading.io_measure, reading.io_pressure) == (IoMeasure.NONE, None)


@pytest.mark.parametrize(
    ("program", "size", "used"),
    [("echo 37; echo 0", 2000, 370), ("echo '[N/A]'; echo 100", 1000, 1000), ("exit 9", None, None), ("echo", 0, 0)],
)
def test_gpus_are_those_the_driver_tells_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, size: int | None, used: int | None
) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text(f"#!/bin/sh\n{program}\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    reading = take_reading(Working(), tmp_path, 0.01)
    assert (reading.gpu, reading.gpu_used) == (size, used)


def test_without_a_driver_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert telemetry._gpus() == []


def test_a_driver_that_is_too_slow_tells_of_no_gpus_nor_of_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\nexec sleep 60\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(telemetry, "_GPU_TIMEOUT_S", 0.1)
    assert telemetry._gpus() is None
