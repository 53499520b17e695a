"""Dagster's web UI and daemon as children of `kronos up`: started in their own session, and never left behind."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

from kronos.errors import BadValue, KronosError, PortBusy
from kronos.services.guard import Stack, guarded

LOOPBACK = "127.0.0.1"
LOOK_S: Final = 5.0
"""Between two looks at what runs."""
Look = Callable[[Stack], None]


class AlreadyRunning(KronosError):
    """Another `kronos up` works on the same home."""


@contextmanager
def single_instance(home: Path) -> Iterator[None]:
    """Hold the home's lock; the kernel releases it however this process ends."""
    path = home / "up.lock"
    try:
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise BadValue("KRONOS_HOME", str(home), f"a folder that can be written ({error.strerror})") from None
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


def serve_dagster(home: Path, workspace: Path, port: int, env: dict[str, str], look: Look) -> int:
    """Run Dagster's UI and daemon until one of them ends or this process is told to stop; return its exit code."""
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(workspace), "-h", LOOPBACK, "-p", str(port)]
    return serve(home, command, env, look)


def serve(home: Path, command: list[str], env: dict[str, str], look: Look) -> int:
    """Run a command until it ends or this process does, killed or not; nothing that it started outlives it.

    look: called with what runs every few seconds.
    """
    child = subprocess.Popen(command, env={**os.environ, **env}, start_new_session=True, stdin=subprocess.DEVNULL)
    stack = Stack.of(child.pid)
    _remember(home, stack)
    with guarded(stack):
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return child.wait(LOOK_S)
                look(stack)
        finally:
            stop_recorded(home)


def stop_recorded(home: Path) -> None:
    """Stop the stack this home recorded, with all its descendants; a process id reused by a stranger is left alone."""
    record = home / "stack.json"
    try:
        stack = Stack(**json.loads(record.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return
    stack.stop()
    record.unlink(missing_ok=True)


def _remember(home: Path, stack: Stack) -> None:
    temporary = home / "stack.json.new"
    temporary.write_text(json.dumps(asdict(stack)))
    temporary.replace(home / "stack.json")
