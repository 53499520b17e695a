"""Which processes of this machine work on backtests: each says so in Kronos's home, since no command line tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

_FOLDER: Final = "backtests-at-work"
_SAME_START_S: Final = 2.0
"""Apart from which the starts of two processes under one number lie; one process's differ less when a clock is set."""


@dataclass(frozen=True)
class Working:
    """Processes of this machine. runs: those that are at work on backtests. runners: all they started, below them."""

    runs: tuple[psutil.Process, ...] = ()
    runners: tuple[psutil.Process, ...] = ()


@contextmanager
def at_work(home: Path) -> Iterator[None]:
    """For the block this process counts as one that works on backtests, with all it starts."""
    me = psutil.Process()
    mark = home / _FOLDER / f"{me.pid}-{me.create_time()}"
    mark.parent.mkdir(exist_ok=True)
    mark.touch()
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def working(home: Path) -> Working:
    """Who is at work for the home. What ended without a word is forgotten."""
    runs: dict[int, psutil.Process] = {}
    below: dict[int, psutil.Process] = {}
    for mark in sorted((home / _FOLDER).glob("*-*")):
        pid, _, started = mark.name.partition("-")
        try:
            process = psutil.Process(int(pid))
            if abs(process.create_time() - float(started)) <= _SAME_START_S:
                below |= {one.pid: one for one in process.children(recursive=True)}
                runs[process.pid] = process
        except psutil.NoSuchProcess:
            mark.unlink(missing_ok=True)
    return Working(tuple(runs.values()), tuple(one for pid, one in below.items() if pid not in runs))
