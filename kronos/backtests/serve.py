"""The child of `isolated`: python -m kronos.backtests.serve module:function. Answers tasks until its input ends."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kronos.backtests.isolated import DECISIONS_FILE, OUTCOMES_FILE, REJECTED_FILE
from kronos.core.backtests.runner import Produced
from kronos.core.backtests.spec import Task
from kronos.errors import BacktestFailed, BadValue, KronosError, NotFound, TaskRefused


def main(function: str) -> None:
    """Serve the function; what it prints goes to stderr, so that nothing but answers is on stdout."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module, _, name = function.partition(":")
    produce: Callable[[Task], Produced] = getattr(importlib.import_module(module), name)
    for line in sys.stdin:
        answers.write(json.dumps(_answer(produce, json.loads(line))) + "\n")
        answers.flush()


def _answer(produce: Callable[[Task], Produced], request: dict[str, Any]) -> dict[str, Any]:
    folder = Path(request["folder"])
    try:
        produced = produce(Task.model_validate(request["task"]))
    except KronosError as error:
        # a bad value speaks of the task: of what the function could not reach other errors do
        refused = isinstance(error, TaskRefused | BadValue | NotFound)
        return {"error": str(error), "refused": refused, "final": isinstance(error, BacktestFailed) and error.final}
    produced.decisions.write_ipc(folder / DECISIONS_FILE)
    produced.outcomes.write_ipc(folder / OUTCOMES_FILE)
    produced.rejected.write_ipc(folder / REJECTED_FILE)
    return {"ok": True}


if __name__ == "__main__":
    main(sys.argv[1])
