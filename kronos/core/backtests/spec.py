"""What a backtest is: configs over markets and dates, cut into pieces with a checkpoint after each.

A spec is data: stored with the experiment, and enough to run the same backtest again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from kronos.core.canonical import canonical_hash
from kronos.core.scenarios.battery import Battery, Scenario, by_running
from kronos.errors import BadValue

REPLAY: Final = ""
"""Scenario of what happened as it happened."""

SEPARATOR: Final = "/"
"""Between an experiment's id and a scenario's name in the experiment_id of a scenario's rows."""

_SCENARIO: Final = "scenario-"
_DAY: Final = timedelta(days=1)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Subject(_Strict):
    """A config that is run: the proposed one, or one it is compared with."""

    config_id: str
    config_body: dict[str, Any]


class Fold(_Strict):
    """A stretch of decision dates. Whatever is fitted for it is fitted on data up to `train_until` alone."""

    start: date
    end: date
    train_until: date


class BacktestSpec(_Strict):
    """Everything that decides what a backtest gives, besides the code and the data.

    subjects: the proposed config first. incumbent: the config that was active, if any. Outcomes are those evaluated by
    `end`; decisions after the last date with one stay without. seed: of whatever the runner draws; scenarios draw from
    the battery's own.
    """

    experiment_id: str
    engine_name: str
    runner: str
    markets: tuple[str, ...]
    start: date
    end: date
    subjects: Annotated[tuple[Subject, ...], Field(min_length=1)]
    incumbent: str | None = None
    folds: Annotated[tuple[Fold, ...], Field(min_length=1)]
    battery: Battery
    seed: Annotated[int, Field(ge=0)]

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: equal for equal specs."""
        return canonical_hash(self.model_dump(mode="json"))


class Task(_Strict):
    """One piece of a spec, as a runner gets it: JSON both ways."""

    piece: str
    experiment_id: str
    """Of the rows to be made: the experiment's own, with the scenario's name behind it in a scenario."""
    engine_name: str
    markets: tuple[str, ...]
    subjects: tuple[Subject, ...]
    start: date
    end: date
    train_until: date
    data_until: date
    """Nothing later may be looked at, not even for outcomes."""
    scenario: Scenario | None = None
    scenario_seed: int = 0
    seed: int = 0


def walk_forward(start: date, end: date, months: int, embargo_days: int) -> tuple[Fold, ...]:
    """Folds of so many calendar months that cover [start, end], each fitted on what ends `embargo_days` before it.

    The first fold begins at `start`, the others on the first of a month; `BadValue` unless start <= end and
    months >= 1.
    """
    if end < start:
        raise BadValue("end of a backtest", end.isoformat(), f"a date not before its start {start.isoformat()}")
    if months < 1 or embargo_days < 0:
        raise BadValue("months and embargo of a fold", (months, embargo_days), "at least 1 month and 0 days")
    folds = []
    first = start
    while first <= end:
        after = _months_later(first, months)
        last = min(end, after - _DAY)
        folds.append(Fold(start=first, end=last, train_until=first - _DAY * (embargo_days + 1)))
        first = after
    return tuple(folds)


def count_folds(start: date, end: date, months: int) -> int:
    """How many folds `walk_forward` makes of some dates."""
    return (end.year * 12 + end.month - start.year * 12 - start.month) // months + 1


def tasks(spec: BacktestSpec) -> Iterator[Task]:
    """The pieces of a backtest in order: the replay fold by fold, then one for each scenario that has to be played."""
    for number, fold in enumerate(spec.folds, start=1):
        yield _task(spec, f"fold-{number:03}", fold.start, fold.end, fold.train_until)
    for scenario in by_running(spec.battery):
        # begins where the first fold does, so its embargo is that fold's
        before = spec.folds[0].train_until
        yield _task(spec, f"{_SCENARIO}{scenario.name}", spec.start, spec.end, before, scenario, spec.battery.seed)


def scenario_of(piece: str) -> str | None:
    """Name of the scenario that a piece plays; None for a fold of the replay."""
    return piece.removeprefix(_SCENARIO) if piece.startswith(_SCENARIO) else None


def stream_of(experiment_id: str, scenario: str = REPLAY) -> str:
    """What stands in the experiment_id column of an experiment's rows: scenarios never pool with the replay."""
    return experiment_id if scenario == REPLAY else f"{experiment_id}{SEPARATOR}{scenario}"


def experiment_of(stream: str) -> str:
    """The experiment's id in what `stream_of` made of it."""
    return stream.partition(SEPARATOR)[0]


def _task(
    spec: BacktestSpec,
    piece: str,
    start: date,
    end: date,
    train_until: date,
    scenario: Scenario | None = None,
    scenario_seed: int = 0,
) -> Task:
    return Task(
        piece=piece,
        experiment_id=stream_of(spec.experiment_id, scenario.name if scenario else REPLAY),
        engine_name=spec.engine_name,
        markets=spec.markets,
        subjects=spec.subjects,
        start=start,
        end=end,
        train_until=train_until,
        data_until=spec.end,
        scenario=scenario,
        scenario_seed=scenario_seed,
        seed=spec.seed,
    )


def _months_later(day: date, months: int) -> date:
    """The first of the month so many months later."""
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)
