"""What this machine is and what is in use on it besides the backtests."""

from __future__ import annotations

import csv
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil

SAMPLE_S: Final = 0.5
_PRESSURE: Final = Path("/proc/pressure/io")
_GPU_QUERY: Final = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
_GPU_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True)
class Reading:
    """Thousandths of a processor or GPU, megabytes, thousandths of the time that tasks wait for a disk.

    cpu_used and memory_used leave the backtests' own processes out; gpu_used and io_pressure are everybody's.
    """

    cpu: int
    memory: int
    gpu: int
    cpu_used: int
    memory_used: int
    gpu_used: int
    io_pressure: int
    load_1m: float
    disk_free_mb: int

    def to_json_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)


def node_name() -> str:
    """This machine's name among the nodes."""
    return platform.node() or "localhost"


def take_reading(ours: Iterable[psutil.Process], folder: Path, sample: float = SAMPLE_S) -> Reading:
    """Read this machine over `sample` seconds.

    ours: the backtests' processes. folder: of the disk whose free space is told.
    """
    mine = {process.pid: process for process in ours}
    before, busy_before = _cpu_seconds(mine), _busy_seconds()
    started = time.monotonic()
    time.sleep(sample)
    passed = time.monotonic() - started
    busy, own = _busy_seconds() - busy_before, _cpu_seconds(mine) - before
    memory = psutil.virtual_memory()
    gpus = _gpus()
    return Reading(
        cpu=1000 * (psutil.cpu_count() or 1),
        memory=memory.total >> 20,
        gpu=1000 * len(gpus),
        cpu_used=max(0, round(1000 * (busy - own) / passed)),
        memory_used=max(0, (memory.total - memory.available - _resident(mine)) >> 20),
        gpu_used=sum(10 * percent for percent in gpus),
        io_pressure=_io_pressure(),
        load_1m=round(psutil.getloadavg()[0], 2),
        disk_free_mb=psutil.disk_usage(str(folder)).free >> 20,
    )


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # guests are in user time already, and what was stolen was not ours to use
    counted = [value for name, value in times._asdict().items() if name not in ("guest", "guest_nice", "steal")]
    return float(sum(counted) - idle)


def _cpu_seconds(processes: dict[int, psutil.Process]) -> float:
    """Their processor seconds so far; one that has ended meanwhile counts no longer, so others seem to use more."""
    total = 0.0
    for process in processes.values():
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def _resident(processes: dict[int, psutil.Process]) -> int:
    total = 0
    for process in processes.values():
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _io_pressure() -> int:
    """Share of the last ten seconds in which every task waited for a disk, where the kernel tells it; else 0."""
    try:
        lines = _PRESSURE.read_text().splitlines()
    except OSError:
        return 0
    full = next((line for line in lines if line.startswith("full")), "full avg10=0")
    return round(10 * float(full.split("avg10=")[1].split()[0]))


def _gpus() -> list[int]:
    """Percent in use of each GPU; none where there is no driver that says."""
    if shutil.which(_GPU_QUERY[0]) is None:
        return []
    try:
        done = subprocess.run(_GPU_QUERY, capture_output=True, text=True, timeout=_GPU_TIMEOUT_S, check=True)
    except (subprocess.SubprocessError, OSError):
        return []
    return [int(row[0]) for row in csv.reader(done.stdout.splitlines()) if row and row[0].strip().isdigit()]
