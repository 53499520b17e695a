"""What a Dagster Pipes process writes into its messages file, read while it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, get_args

from dagster_pipes import PIPES_PROTOCOL_VERSION_FIELD, Method

from kronos.backtests.waiting import Heard
from kronos.errors import BadValue

_METHODS: Final = frozenset(get_args(Method))
_LONGEST_LINE: Final = 1 << 20
_LONGEST_HEARD: Final = 500
_LONGEST_SHOWN: Final = 100


class Messages:
    """The messages so far. `heard` is told logs and custom messages, each as one line."""

    def __init__(self, path: Path, heard: Heard) -> None:
        self._path, self._heard = path, heard
        self._offset, self._rest = 0, b""
        self._seen: set[str] = set()
        self.exception: str | None = None
        """What the process said it failed with."""

    @property
    def missing(self) -> str | None:
        """The first of the messages every process sends that has not come."""
        return next((method for method in ("opened", "closed") if method not in self._seen), None)

    def read(self, *, to_end: bool = False) -> None:
        """Take what was written since; at the end nothing may be left over. `BadValue` for what is no message."""
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
            self._heard(json.dumps(params.get("payload"))[:_LONGEST_HEARD])


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
