"""What a backtest is: configs over markets and dates, cut into pieces with a checkpoint after each.

A spec is data: stored with the experiment, and enough to run the same backtest again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from kronos.core.canonical import canonical_hash
from kronos.core.controls.model import ControlTransform
from kronos.core.frames import BACKTESTS
from kronos.core.scenarios.battery import Battery, Scenario, by_running
from kronos.errors import BadValue

REPLAY: Final = ""
"""Scenario of what happened as it happened."""

SEPARATOR: Final = "/"
"""Between an experiment's id and a scenario's name in the experiment_id of a scenario's rows."""

_SCENARIO: Final = "scenario-"
_PROBE: Final = "probe-"
_BUILD: Final = "@"
_AGAIN: Final = "+"
_DAY: Final = timedelta(days=1)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SubjectRole(StrEnum):
    """What a config is in a backtest; the base is often the incumbent too."""

    PROPOSED = "proposed"
    BASE = "base"
    INCUMBENT = "incumbent"
    NEIGHBOUR = "neighbour"  # the proposed one with one parameter changed a little


class Subject(_Strict):
    """A config that is run: the proposed one, or one it is compared with.

    config_body: what the engine gets. control: laid over the rows it gives; the engine never sees it.
    """

    config_id: str
    config_body: dict[str, Any]
    roles: tuple[SubjectRole, ...] = ()
    control: ControlTransform | None = None

    @property
    def role(self) -> str:
        """Its roles as people read them."""
        return " and ".join(self.roles)

    @property
    def is_neighbour(self) -> bool:
        """Whether it is there only to see whether the proposed config stands on a peak."""
        return SubjectRole.NEIGHBOUR in self.roles


class Fold(_Strict):
    """A stretch of decision dates. Whatever is fitted for it is fitted on data up to `train_until` alone."""

    start: date
    end: date
    train_until: date


class BacktestSpec(_Strict):
    """Everything that decides what a backtest gives, besides the code and the data.

    subjects: the proposed config first. incumbent: the config that was active, if any. Outcomes are those evaluated by
    `end`; decisions after the last date with one stay without. seed: of whatever the runner draws; scenarios draw from
    the battery's own. probes: dates on which the proposed config and those it is compared with are tried for what they
    look at; freshness_sessions: how much of the newest data a probe of freshness changes. left_out: neighbours that the
    engine's schema refuses, and why. observed_as: digest of what gives facts and cells their meaning; runner_is: of
    what the runner was told to be. None: kept before these were part of a spec, or the runner's name says it all.
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
    probes: tuple[date, ...] = ()
    freshness_sessions: Annotated[int, Field(ge=1)] = 42
    left_out: dict[str, str] = Field(default_factory=dict)
    observed_as: str | None = None
    runner_is: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: equal for equal specs, and of those kept long ago what it was then."""
        later = {name for name in ("observed_as", "runner_is") if getattr(self, name) is None}
        return canonical_hash(self.model_dump(mode="json", exclude=later))


class Altered(_Strict):
    """Data that did not happen: prices of [start, end] multiplied by noise, later returns the real ones again."""

    start: date
    end: date
    seed: int = 0


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
    altered: Altered | None = None


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
    """The pieces of a backtest in order: the replay fold by fold, the scenarios that have to be played, the probes.

    Neighbours are run in the replay alone. A probe's task is what it is compared with: see `probes`.
    """
    for number, fold in enumerate(spec.folds, start=1):
        yield _task(spec, f"fold-{number:03}", fold.start, fold.end, fold.train_until, subjects=spec.subjects)
    for scenario in by_running(spec.battery):
        # begins where the first fold does, so its embargo is that fold's
        before = spec.folds[0].train_until
        yield _task(spec, f"{_SCENARIO}{scenario.name}", spec.start, spec.end, before, scenario, spec.battery.seed)
    for number, day in enumerate(spec.probes, start=1):
        fold = next(one for one in spec.folds if one.start <= day <= one.end)
        piece = f"{_PROBE}{number:03}"
        yield _task(spec, piece, day, day, fold.train_until, stream=piece)


def count_pieces(start: date, end: date, months: int, battery: Battery, probes: int) -> int:
    """How many pieces `tasks` makes of a backtest that has no spec yet."""
    return count_folds(start, end, months) + len(by_running(battery)) + probes


def is_probe(piece: str) -> bool:
    """Whether a piece only tries what its subjects look at, and leaves no rows."""
    return piece.startswith(_PROBE)


def build_of(spec_digest: str, code_version: str) -> str:
    """Names what one code makes of one spec: twelve hex digits of their SHA-256."""
    return sha256(f"{spec_digest} {code_version}".encode()).hexdigest()[:12]


def kept_as(piece: str, build: str) -> str:
    """Name of a piece in the lake: no other code and no other spec ever writes over it."""
    return f"{piece}{_BUILD}{build}"


def is_of(kept: pl.Expr, build: str) -> pl.Expr:
    """Whether pieces in the lake are of a build."""
    return kept.str.ends_with(f"{_BUILD}{build}")


def again(piece: str, number: int) -> str:
    """Name under which a piece is tried again in a later round."""
    return f"{piece}{_AGAIN}{number}"


def round_of(piece: str) -> int:
    """The round of testing in which a piece was tried again; 1: it is the first of its name, whenever it was made."""
    return int(piece.partition(_AGAIN)[2] or 1)


def scenario_of(piece: str) -> str | None:
    """Name of the scenario that a piece plays; None for a fold of the replay."""
    return piece.removeprefix(_SCENARIO).partition(_AGAIN)[0] if piece.startswith(_SCENARIO) else None


def stream_of(experiment_id: str, scenario: str = REPLAY) -> str:
    """What stands in the experiment_id column of an experiment's rows: scenarios never pool with the replay."""
    return experiment_id if scenario == REPLAY else f"{experiment_id}{SEPARATOR}{scenario}"


def folder_of(experiment_id: str) -> str:
    """Where in the lake the tables of an experiment's backtests lie, and no others."""
    return f"backtests/{experiment_id}"


def place_of(table: str, experiment_id: str) -> str:
    """Where in the lake a table lies that something about the experiment was read from."""
    return f"{folder_of(experiment_id)}/{table}" if table.startswith(BACKTESTS) else table


def experiment_of(stream: str) -> str:
    """The experiment's id in what `stream_of` made of it."""
    return stream.partition(SEPARATOR)[0]


def experiments_of(streams: str) -> pl.Expr:
    """`experiment_of` a column."""
    return pl.col(streams).str.split(SEPARATOR).list.first()


def _task(
    spec: BacktestSpec,
    piece: str,
    start: date,
    end: date,
    train_until: date,
    scenario: Scenario | None = None,
    scenario_seed: int = 0,
    *,
    subjects: tuple[Subject, ...] | None = None,
    stream: str = REPLAY,
) -> Task:
    return Task(
        piece=piece,
        experiment_id=stream_of(spec.experiment_id, scenario.name if scenario else stream),
        engine_name=spec.engine_name,
        markets=spec.markets,
        subjects=tuple(one for one in spec.subjects if not one.is_neighbour) if subjects is None else subjects,
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
