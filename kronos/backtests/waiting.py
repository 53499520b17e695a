"""Waiting without being deaf: whatever a runner waits for, its watch is asked about twice a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, TypeVar

from kronos.core.backtests.runner import Watch
from kronos.errors import BacktestFailed

Heard = Callable[[str], None]
"""Told a line whenever the one who computes says how far it is."""

POLL_S: Final = 0.5
_T = TypeVar("_T")


def unheard(line: str) -> None:
    """Nobody listens."""


def by_deadline(watch: Watch, seconds: float | None, what: str) -> Watch:
    """The watch, which from so many seconds on fails instead; `what` did not end. None: never."""
    if seconds is None:
        return watch
    deadline = time.monotonic() + seconds

    def look() -> None:
        watch()
        if time.monotonic() > deadline:
            raise BacktestFailed(f"{what} did not end within its deadline of {seconds:g} seconds")

    return look


def pause(seconds: float, watch: Watch) -> None:
    """Do nothing for a while."""
    until = time.monotonic() + seconds
    watch()
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, POLL_S))
        watch()


def result_of(work: Callable[[], _T], seconds: float, watch: Watch) -> _T | None:
    """What the work gives, done in a thread of its own; None when it takes longer. The work must not raise."""
    results: SimpleQueue[_T] = SimpleQueue()
    Thread(target=lambda: results.put(work()), daemon=True).start()
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        watch()
        try:
            return results.get(timeout=min(left, POLL_S))
        except Empty:
            continue
    return None
