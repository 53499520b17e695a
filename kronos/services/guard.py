"""End a session of processes when the process that started it is gone, however it ended.

    python -m kronos.services.guard PID STARTED SESSION

It waits for the end of its standard input, whose other end the kernel closes with the starter, kill -9 included.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import psutil

STOP_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Stack:
    """A process and its session, which names the others even after their parent was killed."""

    pid: int
    started: float
    session: int

    @classmethod
    def of(cls, pid: int) -> Stack:
        """Of the process that leads it."""
        return cls(pid, psutil.Process(pid).create_time(), os.getsid(pid))

    def members(self) -> list[psutil.Process]:
        """What of it is left, descendants that left the session included; a stranger with a reused id is not."""
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            try:
                is_root = process.pid == self.pid and abs(process.create_time() - self.started) < 1.0
                in_session = os.getsid(process.pid) == self.session and process.create_time() >= self.started - 1.0
                if is_root or in_session:
                    found.update({p.pid: p for p in [process, *process.children(recursive=True)]})
            except (psutil.NoSuchProcess, ProcessLookupError, PermissionError):
                continue
        found.pop(os.getpid(), None)
        return list(found.values())

    def stop(self) -> None:
        """Ask all to end, then end those that do not, and whatever they started meanwhile."""
        left = self.members()
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
            for process in left:
                try:
                    process.send_signal(number)
                except psutil.NoSuchProcess:
                    continue
            _, stubborn = psutil.wait_procs(left, timeout=STOP_SECONDS)
            left = list({*stubborn, *self.members()})


@contextmanager
def guarded(stack: Stack) -> Iterator[None]:
    """A guard stops the stack should this process die inside the `with` block."""
    command = [sys.executable, "-m", __name__, str(stack.pid), repr(stack.started), str(stack.session)]
    # in a session of its own, out of reach of whatever ends this one
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):
        yield


def main() -> None:
    """Wait for the starter's end, then stop what it left."""
    pid, started, session = sys.argv[1:]
    sys.stdin.buffer.read()
    Stack(int(pid), float(started), int(session)).stop()


if __name__ == "__main__":
    main()
