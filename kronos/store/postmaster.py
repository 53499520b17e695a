"""One Postgres process over one cluster: launch, wait until ready, recover after a kill, stop.

Every process of the server inherits the lock on a file, so 'is any of them alive' is asked of the kernel and
cannot be fooled by a zombie, by a reused process id or by a stale postmaster.pid.
"""

from __future__ import annotations

import os
import signal
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import psutil

from kronos.errors import DatabaseUnavailable
from kronos.store.cluster import Cluster
from kronos.store.locks import is_held, try_lock

READY_S = 120.0
"""How long crash recovery may take before starting is given up."""
_STOP_S = 30.0
_POLL_S = 0.01
_LOG_BYTES = 10_000_000
_PORT_TRIES = 5
# below the ranges from which Linux and macOS hand out ports to outgoing connections
_PORTS = range(15432, 32000)

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postmaster:
    """Controls the server of a cluster; every method expects the caller to hold the home's lock."""

    def __init__(self, cluster: Cluster, home: Path) -> None:
        self.cluster = cluster
        self._alive_lock = home / "alive"
        self._port_note = home / "port"

    @property
    def port(self) -> int:
        """Port of the running server, as noted when it was launched."""
        return int(self._port_note.read_text())

    def start(self) -> None:
        """Return with the server accepting connections, whatever state it was in."""
        if self.serving() and _until(lambda: self._ready() or not self.serving(), READY_S) and self._ready():
            return
        self._clear()
        for port in islice(self._free_ports(), _PORT_TRIES):
            self._launch(port)
            if self._came_up():
                return
            if _is_free(port):
                break
        raise DatabaseUnavailable(f"the embedded Postgres did not start: {self._last_words()}")

    def stop(self) -> None:
        """Shut down: sessions are ended and the data is left clean, or else recoverable."""
        # a fast shutdown in the middle of crash recovery never ends (seen on 18.4); an immediate one loses nothing
        signs = (signal.SIGINT, signal.SIGQUIT) if self._ready() else (signal.SIGQUIT,)
        for sign in signs:
            pid = self._pid()
            if pid is None or not self.serving():
                break
            os.kill(pid, sign)
            if _until(lambda: not is_held(self._alive_lock), _STOP_S):
                return
        self._clear()

    def _pid(self) -> int | None:
        lines = self._pid_file()
        return int(lines[0]) if lines and lines[0].strip().isdigit() else None

    def _pid_file(self) -> list[str]:
        try:
            return (self.cluster.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def serving(self) -> bool:
        """Whether the process named in postmaster.pid is this cluster's living postmaster."""
        pid = self._pid()
        if pid is None or not is_held(self._alive_lock):
            return False
        try:
            process = psutil.Process(pid)
            return process.status() != psutil.STATUS_ZOMBIE and str(self.cluster.data) in process.cmdline()
        except psutil.NoSuchProcess:
            return False

    def _ready(self) -> bool:
        """Whether connections are accepted; after a crash of one of its processes a server that was may not be."""
        lines = self._pid_file()
        if len(lines) < 8 or lines[7].strip() != "ready" or not self.serving():
            return False
        asked = [str(self.cluster.programs / "pg_isready"), "--host=127.0.0.1", f"--port={self.port}", "--quiet"]
        return self.cluster.account.run(asked).returncode == 0

    def _came_up(self) -> bool:
        """Wait until the launched server is ready (True) or has ended (False)."""
        settled = _until(lambda: self._ready() or not is_held(self._alive_lock), READY_S)
        if not settled:
            self.stop()
        return self._ready()

    def _launch(self, port: int) -> None:
        self._port_note.write_text(f"{port}\n")
        self._trim_log()
        options = [f"-c {name}={value}" for name, value in _SETTINGS.items()]
        options += [f"-c port={port}", f"-c cluster_name={self.cluster.name}"]
        lock = try_lock(self._alive_lock)
        if lock is None:
            raise DatabaseUnavailable(f"a server still runs on {self.cluster.data}")
        try:
            paths = ["-D", str(self.cluster.data), "-l", str(self.cluster.log)]
            command = [str(self.cluster.programs / "pg_ctl"), "start", "-W", *paths, "-o", " ".join(options)]
            self.cluster.account.run(command, pass_fds=[lock])
        finally:
            os.close(lock)

    def _clear(self) -> None:
        """Make way after a kill: end processes that outlived their postmaster, then drop its pid file.

        Postgres would trust the pid file, and refuse to start when that process id is a zombie or was reused.
        """
        deadline = time.monotonic() + _STOP_S
        while is_held(self._alive_lock):
            for process in self._orphans():
                process.kill()
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(f"processes of a dead server still hold {self.cluster.data}")
            time.sleep(_POLL_S)
        (self.cluster.data / "postmaster.pid").unlink(missing_ok=True)

    def _orphans(self) -> Iterator[psutil.Process]:
        title = f"postgres: {self.cluster.name}:"
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if (words and words[0].startswith(title)) or str(self.cluster.data) in words:
                yield process

    def _free_ports(self) -> Iterator[int]:
        """The port used last, then others from a place that differs between homes."""
        if self._port_note.exists() and _is_free(self.port):
            yield self.port
        offset = zlib.crc32(self.cluster.name.encode()) % len(_PORTS)
        yield from (port for port in (*_PORTS[offset:], *_PORTS[:offset]) if _is_free(port))

    def _trim_log(self) -> None:
        if self.cluster.log.exists() and self.cluster.log.stat().st_size > _LOG_BYTES:
            self.cluster.log.replace(self.cluster.log.with_suffix(".log.old"))

    def _last_words(self) -> str:
        if not self.cluster.log.exists():
            return f"it wrote no {self.cluster.log}"
        lines = self.cluster.log.read_text(errors="replace").splitlines()
        telling = [line for line in lines[-50:] if "FATAL" in line or "PANIC" in line] or lines[-1:]
        return f"{telling[-1] if telling else 'it said nothing'} (see {self.cluster.log})"


def _until(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
