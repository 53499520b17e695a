"""What a Dagster Pipes process writes into its messages file, read while it writes.

A custom message whose payload has the key `kronos` is an answer to us; all others are progress. There is one answer:

    {"kronos": "refused", "config_id": "...", "why": "..."}   this config of the task is none for the engine
    {"kronos": "refused", "scenario": "...", "why": "..."}    the task's scenario cannot be played
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, get_args

from dagster_pipes import PIPES_PROTOCOL_VERSION_FIELD, Method

from kronos.backtests.waiting import Heard
from kronos.core.backtests.spec import Task
from kronos.errors import BadValue

_METHODS: Final = frozenset(get_args(Method))
_LONGEST_LINE: Final = 1 << 20
_LONGEST_HEARD: Final = 500
_LONGEST_SHOWN: Final = 100
_ANSWER: Final = "kronos"
_REFUSED: Final = "refused"


class Messages:
    """The messages so far about a task. `heard` is told logs and custom messages, each as one line."""

    def __init__(self, path: Path, task: Task, heard: Heard) -> None:
        self._path, self._task, self._heard = path, task, heard
        self._offset, self._rest = 0, b""
        self._seen: set[str] = set()
        self.exception: str | None = None
        """What the process said it failed with."""
        self.refusal: str | None = None
        """What it said first of what it refuses, and why."""

    @property
    def missing(self) -> str | None:
        """The first of the messages every process sends that has not come."""
        return next((method for method in ("opened", "closed") if method not in self._seen), None)

    def read(self, *, to_end: bool = False) -> None:
        """Take what was written since; at the end nothing may be left over.

        `BadValue` for what is no message, and for an answer that says nothing about the task.
        """
        while chunk := self._chunk():
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._take(line)
            if len(self._rest) > _LONGEST_LINE:
                raise _garbage(self._rest)
        if to_end and self._rest:
            raise _garbage(self._rest)

    def _chunk(self) -> bytes:
        if not self._path.exists():
            return b""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            chunk = file.read(_LONGEST_LINE)
        self._offset += len(chunk)
        return chunk

    def _take(self, line: bytes) -> None:
        message = _parsed(line)
        method, params = message["method"], message.get("params") or {}
        self._seen.add(method)
        if method == "closed" and params.get("exception"):
            self.exception = _exception(params["exception"])
        if method == "log":
            self._heard(str(params.get("message"))[:_LONGEST_HEARD])
        if method == "report_custom_message":
            self._hear(params.get("payload"))

    def _hear(self, payload: object) -> None:
        self._heard(json.dumps(payload)[:_LONGEST_HEARD])
        if isinstance(payload, dict) and _ANSWER in payload:
            said = _refusal(payload, self._task)
            self.refusal = self.refusal or said


def _refusal(payload: dict[str, Any], task: Task) -> str:
    """What is refused of the task, and why, in words."""
    if payload[_ANSWER] != _REFUSED:
        raise BadValue(f"{_ANSWER!r} of a custom message", payload[_ANSWER], repr(_REFUSED))
    named = payload.keys() - {_ANSWER, "why"}
    if named not in ({"config_id"}, {"scenario"}):
        raise BadValue("keys of a refusal", sorted(payload), "kronos, why, and config_id or scenario")
    (key,) = named
    scenario = [task.scenario.name] if task.scenario is not None else []
    known = scenario if key == "scenario" else [one.config_id for one in task.subjects]
    if payload[key] not in known:
        raise BadValue(f"{key} of a refusal", payload[key], f"one of the task's: {', '.join(known) or 'it has none'}")
    why = payload.get("why")
    if not isinstance(why, str) or not why.strip():
        raise BadValue("why of a refusal", why, "a reason in words")
    return f"{key.removesuffix('_id')} {payload[key]!r} of {task.piece}: {why.strip()[:_LONGEST_HEARD]}"


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise _garbage(line) from None
    sound = isinstance(message, dict) and PIPES_PROTOCOL_VERSION_FIELD in message
    if not sound or not isinstance(message.get("params"), dict | None) or message.get("method") not in _METHODS:
        raise _garbage(line)
    return dict(message)


def _exception(said: object) -> str:
    words = said.get("message") if isinstance(said, dict) else said
    return str(words).strip()[:_LONGEST_HEARD]


def _garbage(line: bytes) -> BadValue:
    return BadValue(
        "a line of its messages", line[:_LONGEST_SHOWN].decode(errors="replace"), "a message of Dagster Pipes"
    )
