"""Runs a Python function as a backtest runner in a child process: niced, limited, and killed without harm.

The child serves one task after the other, so that starting it is paid once. Tasks go to it as lines of JSON, rows come
back as Arrow files.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import polars as pl

from kronos.backtests.processes import Child, Limits, ending, start
from kronos.core.backtests.runner import Ability, Produced, Watch
from kronos.core.backtests.spec import Task
from kronos.core.scenarios.battery import Scenario
from kronos.errors import BacktestFailed, TaskRefused

DECISIONS_FILE: Final = "decisions.arrow"
OUTCOMES_FILE: Final = "outcomes.arrow"
REJECTED_FILE: Final = "rejected.arrow"
_POLL_S: Final = 0.25
_EXIT_S: Final = 5.0


class Isolated:
    """A runner around `module:function`, a function of one Task that returns Produced."""

    def __init__(
        self,
        function: str,
        limits: Limits,
        unsupported: Callable[[Scenario], str | None] = lambda _: None,
        unable: Callable[[Ability], str | None] = lambda _: None,
    ) -> None:
        self._function, self._limits, self._unsupported, self._unable = function, limits, unsupported, unable
        self._child: Child | None = None

    def unsupported(self, scenario: Scenario) -> str | None:
        """Why the function cannot play a scenario."""
        return self._unsupported(scenario)

    def unable(self, ability: Ability) -> str | None:
        """Why the function cannot be probed in a way."""
        return self._unable(ability)

    def run(self, task: Task, watch: Watch) -> Produced:
        """The function's rows for a task; a child that dies, or is stopped by the watch, takes nothing along."""
        with tempfile.TemporaryDirectory(prefix="kronos-backtest-") as folder:
            try:
                answer = self._asked(task, folder, watch)
            except BaseException:
                self.close()
                raise
            if "error" in answer:
                raise _failure(task, answer)
            frames = [pl.read_ipc((Path(folder) / name).read_bytes()) for name in _FILES]
            return Produced(*frames)

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _asked(self, task: Task, folder: str, watch: Watch) -> dict[str, Any]:
        if self._child is None:
            command = [sys.executable, "-m", "kronos.backtests.serve", self._function]
            self._child = start(command, self._limits, talks=True)
        process = self._child.process
        assert process.stdin is not None and process.stdout is not None
        request = json.dumps({"task": task.model_dump(mode="json"), "folder": folder})
        try:
            process.stdin.write(request.encode() + b"\n")
            process.stdin.flush()
        except OSError:
            raise self._died() from None
        line = b""
        while not line.endswith(b"\n"):
            watch()
            self._child.keep_to_limits()
            if select.select([process.stdout], [], [], _POLL_S)[0]:
                said = os.read(process.stdout.fileno(), 65_536)
                if not said:
                    raise self._died()
                line += said
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _died(self) -> BacktestFailed:
        assert self._child is not None
        with suppress(subprocess.TimeoutExpired):
            # it hangs up a moment before it is gone: ended in between it would seem to have died of that
            self._child.process.wait(_EXIT_S)
        self._child.end()
        last = self._child.said.text().splitlines()[-1:] or ["nothing"]
        how = ending(self._child.process.returncode)
        return BacktestFailed(f"the backtest's process ended with {how} and said last: {last[0]}")


def _failure(task: Task, answer: dict[str, Any]) -> BacktestFailed:
    said = f"{task.piece}: {answer['error']}"
    return TaskRefused(said) if answer["refused"] else BacktestFailed(said, final=bool(answer["final"]))


_FILES: Final = (DECISIONS_FILE, OUTCOMES_FILE, REJECTED_FILE)
