"""What a backtest runner is asked for and gives back, whoever it is: the sandbox, upstream's API, or any command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, Self, TypeAlias

import polars as pl

from kronos.core.backtests.spec import Task
from kronos.core.frames import DECISIONS, OUTCOMES, QUARANTINE, conform, empty
from kronos.core.scenarios.battery import Scenario

Watch: TypeAlias = Callable[[], None]
"""Called about once a second while a runner works. It raises when the work has to stop: the runner then ends whatever
it started and lets the exception pass."""


@dataclass(frozen=True)
class Produced:
    """Decisions (frames.DECISIONS) and outcomes (frames.OUTCOMES) of one task, of all its subjects and markets.

    rejected: rows the runner gave that break the contract, as frames.QUARANTINE.
    """

    decisions: pl.DataFrame
    outcomes: pl.DataFrame
    rejected: pl.DataFrame = field(default_factory=lambda: empty(QUARANTINE))

    def __post_init__(self) -> None:
        object.__setattr__(self, "decisions", conform(self.decisions, DECISIONS, "backtest decisions"))
        object.__setattr__(self, "outcomes", conform(self.outcomes, OUTCOMES, "backtest outcomes"))

    @classmethod
    def nothing(cls) -> Self:
        """No rows."""
        return cls(empty(DECISIONS), empty(OUTCOMES))


class Ability(StrEnum):
    """What a probe needs of a runner."""

    REPEAT = "REPEAT"  # runs the same task twice, rather than remembering it
    ALTER = "ALTER"  # plays `task.altered`


class Runner(Protocol):
    """Runs one task at a time; the same task gives the same rows, byte for byte."""

    def unable(self, ability: Ability) -> str | None:
        """Why the runner cannot be probed in a way; None: it can."""

    def unsupported(self, scenario: Scenario) -> str | None:
        """Why the runner cannot play a scenario; None: it can."""

    def run(self, task: Task, watch: Watch) -> Produced:
        """Decisions of [task.start, task.end] and what came of them by task.data_until.

        Raises `TaskRefused` where a subject or the scenario is not to be played, any other `BacktestFailed` where
        playing it failed.
        """

    def close(self) -> None:
        """End what serves further tasks; a closed runner is not used again."""


@dataclass(frozen=True)
class ChosenRunner:
    """A runner by name, how to open it, the markets it decides in, and a digest of what else it was told to be.

    identity: None where the name says it all.
    """

    name: str
    open: Callable[[], Runner]
    markets: tuple[str, ...]
    identity: str | None = None
