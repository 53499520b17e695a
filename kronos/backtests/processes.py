"""Child processes of a runner: niced, in a session of their own, within a memory limit, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import IO, Final, Self, cast

import psutil

from kronos.backtests.launcher import GRACE_S
from kronos.backtests.waiting import POLL_S
from kronos.core.backtests.runner import Watch
from kronos.errors import BacktestFailed

_LAUNCHER: Final = Path(__file__).with_name("launcher.py")
_KEPT_CHARACTERS: Final = 4_000
_DRAIN_S: Final = 1.0
_CHUNK: Final = 65_536


@dataclass(frozen=True)
class Limits:
    """What a child may take: its niceness, unless ours is higher, and the memory it and its own children hold.

    Memory is what is resident: address space says little, allocators reserve gigabytes they never touch.
    """

    nice: int = 10
    memory_mb: int | None = None


class Tail:
    """Reads a stream to its end in a thread of its own and keeps the last of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._kept = b""
        self._reader = Thread(target=self._read, args=[stream], daemon=True)
        self._reader.start()

    def text(self) -> str:
        """The last lines so far, or of all once the writers have ended."""
        return self._kept.decode(errors="replace")[-_KEPT_CHARACTERS:].strip()

    def finish(self) -> None:
        """Wait a moment for what is still on its way."""
        self._reader.join(_DRAIN_S)

    def _read(self, stream: IO[bytes]) -> None:
        # closed under our hands by the end of the child: then there is nothing more to keep
        with suppress(ValueError, OSError), stream:
            while chunk := os.read(stream.fileno(), _CHUNK):
                self._kept = (self._kept + chunk)[-4 * _KEPT_CHARACTERS :]


class Child:
    """A started command that is gone, with all it started in its group, when the `with` block ends.

    `process` is the command itself; its stdin and stdout are pipes if it was started to talk. `said` holds the end of
    its stderr, and of its stdout unless that is talked through.
    """

    def __init__(self, process: subprocess.Popen[bytes], lifeline: int, limits: Limits) -> None:
        self.process, self._limits = process, limits
        self.said = Tail(cast(IO[bytes], process.stderr or process.stdout))
        self._lifeline: int | None = lifeline

    def wait(self, watch: Watch) -> int:
        """Return code of the command (negative: the signal that ended it); asks `watch` twice a second meanwhile."""
        while True:
            watch()
            self.keep_to_limits()
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(POLL_S)

    def keep_to_limits(self) -> None:
        """Raise `BacktestFailed`, finally, when the command holds more memory than it may."""
        most = self._limits.memory_mb
        if most is not None and (held := _resident_mb(self.process.pid)) > most:
            what = f"memory of a backtest is {held:,} MB: expected at most {most:,} MB"
            raise BacktestFailed(f"{what} (KRONOS_POLICY scheduler.needs)", final=True)

    def end(self) -> None:
        """Ask the group to end, kill it once the command has or GRACE_S are over; called again it does nothing."""
        if self._lifeline is None:
            return
        for pipe in (self.process.stdin, self.process.stdout if self.process.stderr else None):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            if self.process.poll() is None:
                self._signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(GRACE_S)
        finally:
            # the watchdog goes last: while it lives the group's number is nobody else's
            self._signal(signal.SIGKILL)
            self.process.wait()
            os.close(self._lifeline)
            self._lifeline = None
        self.said.finish()

    def _signal(self, number: signal.Signals) -> None:
        # macOS answers with the second when only zombies are left
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()


def start(
    command: Sequence[str | Path],
    limits: Limits,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    talks: bool = False,
) -> Child:
    """Start a command at the head of a session and group of its own; when this process dies, the group ends too.

    environment: added to this process's own, from which the settings of Kronos, passwords among them, are taken. A
    command that cannot be started exits with launcher.CANNOT_START.
    """
    held, lifeline = os.pipe()
    limited = [str(held), str(limits.nice)]
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCHER), *limited, *map(str, command)],
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if talks else subprocess.STDOUT,
            cwd=folder,
            env={**_inherited(), **(environment or {})},
            pass_fds=[held],
            start_new_session=True,
        )
    except BaseException:
        os.close(lifeline)
        raise
    finally:
        os.close(held)
    return Child(process, lifeline, limits)


def _resident_mb(pid: int) -> int:
    """Megabytes that a process and its descendants hold; those that end meanwhile hold nothing."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        command = psutil.Process(pid)
        for process in (command, *command.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
    return total >> 20


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("KRONOS_")}


def ending(code: int) -> str:
    """A return code in words: `exit code 3`, `signal SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
