"""Errors Kronos raises on purpose. Each keeps the offending values as attributes and reads as one sentence."""

from __future__ import annotations

import math
import re
from typing import Final

_NOT_HELD: Final = re.compile(r"[\x00\ud800-\udfff]")
_DOUBLE_BITS: Final = 1024


def holdable(words: str) -> str:
    """The words with a mark for each character that Postgres cannot hold: NUL and lone surrogates."""
    return _NOT_HELD.sub("\N{REPLACEMENT CHARACTER}", words)


class KronosError(Exception):
    """Base of every error a user can act on; the CLI prints it as one line, without a traceback."""

    def __reduce__(self) -> tuple[object, ...]:
        # pickled by what it holds: the message does not tell the arguments it was made of
        return _again, (type(self), self.args), self.__dict__


def _again(kind: type[KronosError], args: tuple[object, ...]) -> KronosError:
    return kind.__new__(kind, *args)


class BadValue(KronosError):
    """A named value does not meet its expectation."""

    def __init__(self, name: str, value: object, expectation: str) -> None:
        self.name, self.value, self.expectation = name, value, expectation
        super().__init__(f"{name} has value {_shown(value)}: expected {expectation}")


def _shown(value: object) -> str:
    """As Python writes it; a whole number beyond any double by its size: Python may refuse to write all its digits."""
    if isinstance(value, int) and value.bit_length() > _DOUBLE_BITS:
        return f"about {'-' if value < 0 else ''}1e{int(math.log10(abs(value)))}"
    return repr(value)


class DatabaseUnavailable(KronosError):
    """The database cannot be reached, refuses the login, or the embedded server will not start."""


class MigrationConflict(KronosError):
    """The database's migration history and sql/migrations disagree."""


class ConfigConflict(KronosError):
    """A config cannot be registered or activated as asked; `rule` names the database's constraint."""

    def __init__(self, message: str, rule: str | None = None) -> None:
        self.rule = rule
        super().__init__(message)


class AlertConflict(KronosError):
    """An alert cannot be answered as asked; `rule` names the database's constraint."""

    def __init__(self, message: str, rule: str | None = None) -> None:
        self.rule = rule
        super().__init__(message)


class ChangeRefused(KronosError):
    """A proposal or experiment cannot change as asked; `rule` names the database's constraint where one refused."""

    def __init__(self, message: str, rule: str | None = None) -> None:
        self.rule = rule
        super().__init__(message)


class NotAllowed(KronosError):
    """Who asks may not do this, or did not show who he is; `rule` names what the database refused by."""

    def __init__(self, message: str, rule: str | None = None) -> None:
        self.rule = rule
        super().__init__(message)


class BacktestFailed(KronosError):
    """A runner did not give what it was asked for; final: asked again it would not either.

    Its message may hold what somebody else's code said, in whatever characters.
    """

    def __init__(self, message: str, *, final: bool = False) -> None:
        self.final = final
        super().__init__(holdable(message))


class TaskRefused(BacktestFailed):
    """A runner would not play the config, or the scenario, of a task, and says why; final."""

    def __init__(self, message: str) -> None:
        super().__init__(message, final=True)


class LakeUnavailable(KronosError):
    """The lake location cannot be read or written."""


class WorkerDied(KronosError):
    """A process that was building months ended before it answered."""

    def __init__(self, months: list[str]) -> None:
        self.months = months
        super().__init__(
            f"the process building {months[0]} to {months[-1]} died, perhaps of too little memory: run again"
        )


class SourceMismatch(KronosError):
    """The source database does not hold the tables or columns its dialect promises."""


class NotFound(KronosError):
    """A named thing does not exist."""

    def __init__(self, kind: str, name: str, known: list[str] | None = None) -> None:
        self.kind, self.name, self.known = kind, name, known or []
        hint = f"; known: {', '.join(self.known)}" if self.known else ""
        super().__init__(f"{kind} {name!r} does not exist{hint}")


class NotJudged(KronosError):
    """An experiment has no verdict yet. status: where it stands instead."""

    def __init__(self, experiment_id: str, status: str, hint: str = "") -> None:
        self.experiment_id, self.status, self.hint = experiment_id, status, hint
        super().__init__(f"experiment {experiment_id} has no verdict: its status is {status}{hint and f', {hint}'}")


class NothingObserved(KronosError):
    """The lake holds no decisions yet."""

    def __init__(self) -> None:
        super().__init__("nothing has been observed yet: run `kronos up` first")


class PortBusy(KronosError):
    """A port Kronos was told to serve on is taken."""
