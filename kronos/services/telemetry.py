"""What this machine is and what is in use on it besides the backtests."""

from __future__ import annotations

import csv
import errno
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import psutil

from kronos.services.presence import Working

SAMPLE_S: Final = 0.5
_PRESSURE: Final = Path("/proc/pressure/io")
_FULL_PRESSURE: Final = re.compile(r"^full avg10=(\d+\.\d+) ", re.MULTILINE)
_NOT_TOLD: Final = (errno.ENOENT, errno.EOPNOTSUPP)
"""Of a kernel without this file, or with one that is switched off."""
_GPU_QUERY: Final = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
_GPU_TIMEOUT_S: Final = 5.0


class IoMeasure(StrEnum):
    """What tells how long tasks wait for a disk."""

    PRESSURE = "PRESSURE"
    """The kernel: share of the last ten seconds in which every task with work to do waited."""
    IOWAIT = "IOWAIT"
    """Time processors idle until a disk answers, added up over them and at most all: no less than the pressure, since
    some processor idles while every task waits."""
    NONE = "NONE"
    """Nothing on this machine."""
    UNREADABLE = "UNREADABLE"
    """The kernel says something that nobody understands."""


@dataclass(frozen=True)
class Reading:
    """Thousandths of a processor or GPU, megabytes, thousandths of the time that tasks wait for a disk.

    cpu_used leaves the backtests' own processes out, memory_used their runners alone: those have a limit, which is
    reserved; what a run holds beside it is in use as what others hold. gpu_used and io_pressure are everybody's.
    io_pressure is None where io_measure is NONE or UNREADABLE; gpu and gpu_used are where there is a driver that did
    not answer.
    """

    cpu: int
    memory: int
    gpu: int | None
    cpu_used: int
    memory_used: int
    gpu_used: int | None
    io_pressure: int | None
    io_measure: IoMeasure
    load_1m: float
    disk_free_mb: int

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)


def node_name() -> str:
    """This machine's name among the nodes."""
    return platform.node() or "localhost"


def take_reading(ours: Working, folder: Path, sample: float = SAMPLE_S) -> Reading:
    """Read this machine over `sample` seconds.

    ours: the backtests' processes. folder: of the disk whose free space is told.
    """
    mine = (*ours.runs, *ours.runners)
    before, busy_before, waited_before = _cpu_seconds(mine), _busy_seconds(), _waited_seconds()
    started = time.monotonic()
    time.sleep(sample)
    passed = time.monotonic() - started
    busy, own = _busy_seconds() - busy_before, _cpu_seconds(mine) - before
    waited = None if waited_before is None else (_waited_seconds() or 0.0) - waited_before
    memory = psutil.virtual_memory()
    gpus = _gpus()
    io_measure, io_pressure = _io_pressure(None if waited is None else waited / passed)
    return Reading(
        cpu=1000 * (psutil.cpu_count() or 1),
        memory=memory.total >> 20,
        gpu=None if gpus is None else 1000 * len(gpus),
        cpu_used=max(0, round(1000 * (busy - own) / passed)),
        memory_used=max(0, (memory.total - memory.available - _resident(ours.runners)) >> 20),
        gpu_used=None if gpus is None else sum(10 * percent for percent in gpus),
        io_pressure=io_pressure,
        io_measure=io_measure,
        load_1m=round(psutil.getloadavg()[0], 2),
        disk_free_mb=psutil.disk_usage(str(folder)).free >> 20,
    )


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # guests are in user time already, and what was stolen was not ours to use
    counted = [value for name, value in times._asdict().items() if name not in ("guest", "guest_nice", "steal")]
    return float(sum(counted) - idle)


def _cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Their processor seconds so far; one that has ended meanwhile counts no longer, so others seem to use more."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def _resident(processes: Iterable[psutil.Process]) -> int:
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _waited_seconds() -> float | None:
    """Seconds of all processors with nothing to do but wait for a disk; None where the system does not count them."""
    waited: float | None = getattr(psutil.cpu_times(), "iowait", None)
    return waited


def _io_pressure(iowait: float | None) -> tuple[IoMeasure, int | None]:
    """Thousandths of the time that tasks wait for a disk, and what says so; iowait: processors that waited."""
    try:
        found = _FULL_PRESSURE.search(_PRESSURE.read_text())
    except OSError as error:
        if error.errno not in _NOT_TOLD:
            return IoMeasure.UNREADABLE, None
        if iowait is None:
            return IoMeasure.NONE, None
        return IoMeasure.IOWAIT, min(1000, max(0, round(1000 * iowait)))
    except UnicodeDecodeError:
        return IoMeasure.UNREADABLE, None
    return (IoMeasure.PRESSURE, round(10 * float(found[1]))) if found else (IoMeasure.UNREADABLE, None)


def _gpus() -> list[int] | None:
    """Percent in use of each GPU; none where there is no driver, None where it does not answer."""
    if shutil.which(_GPU_QUERY[0]) is None:
        return []
    try:
        done = subprocess.run(_GPU_QUERY, capture_output=True, text=True, timeout=_GPU_TIMEOUT_S, check=True)
    except (subprocess.SubprocessError, OSError):
        return None
    return [int(row[0]) for row in csv.reader(done.stdout.splitlines()) if row and row[0].strip().isdigit()]
