"""What failed in a backtest that was completed nevertheless, and is tried again when a person continues testing.

Nothing that was kept is changed: a piece tried again is one more piece, named after the round. A round ends with a
completed backtest, so whatever fails again is left alone until the next one. What a runner refuses stays refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from kronos.core.backtests.attempts import Attempt, AttemptOutcome
from kronos.core.backtests.neighbours import LeftOut
from kronos.core.backtests.spec import BacktestSpec, Task, again, is_probe, round_of, scenario_of, tasks


class Kept(Protocol):
    """What is kept of a piece; failed: whether a scenario failed, rather than that it is not to be played."""

    @property
    def piece(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def failed(self) -> bool: ...
    @property
    def found(self) -> Mapping[str, Any] | None: ...


_Kept = TypeVar("_Kept", bound=Kept)


@dataclass(frozen=True)
class Missing:
    """Why a neighbour has not the whole replay; since: the first fold that has none of it, nor any after that."""

    kind: LeftOut
    why: str
    since: str


def last_completed(attempts: Iterable[Attempt]) -> tuple[int, int]:
    """The round that is under way, from 1, and the attempt that completed the one before; 0: there was none."""
    completed = [one.attempt for one in attempts if one.outcome is AttemptOutcome.COMPLETED]
    return len(completed) + 1, max(completed, default=0)


def tried_again(spec: BacktestSpec, earlier: Sequence[Kept], number: int) -> Iterator[Task]:
    """The pieces of a round, over what failed in the rounds before; earlier: all that was kept in them.

    Scenarios as they were, folds with the neighbours they lack alone.
    """
    played, folds = newest_scenarios(earlier), folds_of(spec)
    lacking = {name: one for name, one in missing(spec, earlier).items() if one.kind is LeftOut.FAILED}
    for task in tasks(spec):
        named = {"piece": again(task.piece, number)}
        if task.piece in folds:
            at = folds.index(task.piece)
            late = {name for name, one in lacking.items() if folds.index(one.since) <= at}
            subjects = tuple(one for one in task.subjects if one.config_id in late)
            if subjects:
                yield task.model_copy(update={**named, "subjects": subjects})
        elif task.scenario is not None and task.scenario.name in played and played[task.scenario.name].failed:
            yield task.model_copy(update=named)


def folds_of(spec: BacktestSpec) -> list[str]:
    """Names of the replay's pieces, in order."""
    return [one.piece for one in tasks(spec) if one.scenario is None and not is_probe(one.piece)]


def newest_scenarios(pieces: Iterable[_Kept]) -> dict[str, _Kept]:
    """By scenario what was kept when it was last tried."""
    ordered = sorted(pieces, key=lambda one: round_of(one.piece))
    return {name: one for one in ordered if (name := scenario_of(one.piece)) is not None}


def missing(spec: BacktestSpec, pieces: Iterable[Kept]) -> dict[str, Missing]:
    """The neighbours that were not run to the end, by config id, after all rounds."""
    found = {one.piece: one.found or {} for one in pieces}
    folds = folds_of(spec)
    now: dict[str, Missing] = {}
    for fold in folds:
        for name, said in found.get(fold, {}).items():
            if name not in now and (one := _missing(said, fold)) is not None:
                now[name] = one
    for number in sorted({round_of(piece) for piece in found} - {1}):
        after = {name: _after(folds, found, name, one, number) for name, one in now.items()}
        now = {name: one for name, one in after.items() if one is not None}
    return now


def _after(
    folds: Sequence[str], found: Mapping[str, Mapping[str, Any]], name: str, before: Missing, number: int
) -> Missing | None:
    """What a neighbour lacks after a round, which may have ended before it was tried in every fold."""
    for fold in folds[folds.index(before.since) :]:
        said = found.get(again(fold, number), {}).get(name)
        if said is None:
            return replace(before, since=fold)
        failed = _missing(said, fold)
        if failed is not None:
            return failed
    return None


def _missing(said: Mapping[str, Any], fold: str) -> Missing | None:
    kind = next((one for one in LeftOut if one.value in said), None)
    return None if kind is None else Missing(kind, str(said[kind.value]), fold)
