"""Functions for `Isolated` to serve: good ones, and each kind of bad one. A subject's body says what is wanted."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl

from kronos.core.backtests.runner import Produced
from kronos.core.backtests.spec import Task
from kronos.core.frames import DECISIONS, OUTCOMES, QUARANTINE
from kronos.errors import (
    BacktestFailed,
    BadValue,
    DatabaseUnavailable,
    KronosError,
    LakeUnavailable,
    NotFound,
    TaskRefused,
    WorkerDied,
)
from kronos_tests.backtests.tasks import decision, outcome
from kronos_tests.frames import frame


def wanted(task: Task) -> dict[str, Any]:
    """What the task's first config asks the function to do."""
    return task.subjects[0].config_body


def fixed(task: Task) -> Produced:
    """Rows with every kind of value, missing ones too, that depend on the task."""
    rows = [decision(f"d{n}", score=task.seed / 3, classes=["A", "B"], class_probabilities=[0.1, 0.9]) for n in "12"]
    came = [outcome("d1", **{"return": 1 / 3}), outcome("d2", horizon=5, **{"return": None})]
    rejected = [{"source_table": "decisions", "source_key": "d3", "rule": "NOT_FINITE", "value": "weight=NaN"}]
    return Produced(frame(DECISIONS, rows), frame(OUTCOMES, came), frame(QUARANTINE, rejected))


_FAILURES: dict[str, KronosError] = {
    "no such engine": NotFound("engine", "FOO"),
    "lake away": LakeUnavailable("the lake is away"),
    "database away": DatabaseUnavailable("the database is away"),
    "helper died": WorkerDied(["2024-01"]),
    "failed": BacktestFailed("failed"),
    "refused": TaskRefused("refused"),
    "failed for good": BacktestFailed("failed", final=True),
}


def told(task: Task) -> Produced:
    """Does what the config says: print, write a note with its process id and niceness, wait, fail, or die."""
    wish = wanted(task)
    if "note" in wish:
        Path(wish["note"]).write_text(f"{os.getpid()} {os.nice(0)}")
    if "chatter" in wish:
        sys.stdout.write("to stdout\n")
        sys.stdout.flush()
        os.write(1, b'{"ok": false}\n' * wish["chatter"])
        sys.stderr.write("to stderr\n")
    if "wait" in wish:
        time.sleep(wish["wait"])
    if "refuse" in wish:
        raise BadValue("lookback", wish["refuse"], "a number")
    if "fail" in wish:
        raise _FAILURES[wish["fail"]]
    if "stumble" in wish:
        raise ZeroDivisionError(wish["stumble"])
    if "die" in wish:
        sys.stderr.write("last words\n")
        sys.stderr.flush()
        os.kill(os.getpid(), getattr(signal, wish["die"]))
    if "leave" in wish:
        os.closerange(3, 64)
        time.sleep(wish.get("after", 0))
        os._exit(wish["leave"])
    return fixed(task)


def empty(_: Task) -> Produced:
    """No rows at all."""
    return Produced(pl.DataFrame(schema=DECISIONS), pl.DataFrame(schema=OUTCOMES))
