"""Shorthands of the tests with child processes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import psutil

LONGEST_S = 60.0


def python(program: str) -> list[str]:
    """A command that runs the program in a bare interpreter."""
    return [sys.executable, "-I", "-S", "-c", program]


def nothing() -> None:
    """A watch that never stops anything."""


def until(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true in good time."""
    deadline = time.monotonic() + LONGEST_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def gone(pid: int) -> bool:
    """Whether the process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Stopped(Exception):
    """Raised by a watch."""


class StopsOnce:
    """A watch that raises `Stopped` as soon as a condition holds."""

    def __init__(self, condition: Callable[[], bool]) -> None:
        self._condition, self.asked = condition, 0

    def __call__(self) -> None:
        self.asked += 1
        if self._condition():
            raise Stopped
