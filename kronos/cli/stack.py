"""Dagster's web UI and daemon as children of `kronos up`: started in their own session, and never left behind."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from kronos.errors import KronosError, PortBusy

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 20.0


class AlreadyRunning(KronosError):
    """Another `kronos up` works on the same home."""


@contextmanager
def single_instance(home: Path) -> Iterator[None]:
    """Hold the home's lock; the kernel releases it however this process ends."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / "up.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = path.read_text().strip() or "unknown"
            raise AlreadyRunning(f"another `kronos up` (process {holder}) is using {home}: stop it first") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)


def require_free_port(port: int, variable: str) -> None:
    """Raise `PortBusy` when something listens on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            message = f"port {port} is taken on {LOOPBACK}: free it, or set {variable} to another port"
            raise PortBusy(message) from None


def serve_dagster(home: Path, workspace: Path, port: int, env: dict[str, str]) -> int:
    """Run Dagster's UI and daemon until one of them ends or this process is told to stop; return its exit code."""
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(workspace), "-h", LOOPBACK, "-p", str(port)]
    child = subprocess.Popen(command, env={**os.environ, **env}, start_new_session=True, stdin=subprocess.DEVNULL)
    _remember(home, child.pid)
    try:
        return child.wait()
    finally:
        stop_recorded(home)


def stop_recorded(home: Path) -> None:
    """Stop the stack this home recorded, with all its descendants; a process id reused by a stranger is left alone."""
    record = home / "stack.json"
    try:
        entry = json.loads(record.read_text())
    except (FileNotFoundError, ValueError):
        return
    _stop(_members(int(entry["pid"]), float(entry["started"]), str(entry["mark"])))
    record.unlink(missing_ok=True)


def _remember(home: Path, pid: int) -> None:
    entry = {"pid": pid, "started": psutil.Process(pid).create_time(), "mark": _mark(pid)}
    temporary = home / "stack.json.new"
    temporary.write_text(json.dumps(entry))
    temporary.replace(home / "stack.json")


def _mark(pid: int) -> str:
    """The session id names the stack's processes even after their parent was killed."""
    return str(os.getsid(pid))


def _members(pid: int, started: float, session: str) -> list[psutil.Process]:
    members: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            is_root = process.pid == pid and abs(process.create_time() - started) < 1.0
            in_session = str(os.getsid(process.pid)) == session and process.create_time() >= started - 1.0
            if is_root or in_session:
                members.update({p.pid: p for p in [process, *process.children(recursive=True)]})
        except (psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            continue
    members.pop(os.getpid(), None)
    return list(members.values())


def _stop(processes: list[psutil.Process]) -> None:
    for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        for process in processes:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        _, processes = psutil.wait_procs(processes, timeout=patience)
