"""What is tried again of a backtest: what failed in earlier rounds, and nothing that was refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from kronos.core.backtests.again import Missing, missing, newest_scenarios, tried_again
from kronos.core.backtests.neighbours import LeftOut
from kronos.core.backtests.spec import BacktestSpec, Subject, SubjectRole
from kronos_tests.core.backtests.specs import spec

NEAR = ("new~a=1", "new~a=3")
FAILED, REFUSED, RAN = {"failed": "died"}, {"refused": "too low"}, dict[str, Any]()


@dataclass(frozen=True)
class Piece:
    """What is kept of a piece."""

    piece: str
    found: dict[str, Any] = field(default_factory=dict)
    failed: bool = False
    attempt: int = 1


def near() -> BacktestSpec:
    """Three folds, two scenarios that are played, and two neighbours."""
    made = [Subject(config_id=name, config_body={}, roles=(SubjectRole.NEIGHBOUR,)) for name in NEAR]
    return spec(subjects=(*spec().subjects, *made))


def kept(**found: dict[str, Any]) -> list[Piece]:
    """Pieces of the three folds, with what was found in some: `f2` is the second, `f2_3` the same in round 3."""
    names = {f"f{number}": {} for number in (1, 2, 3)} | found
    return [Piece(f"fold-00{name[1:].replace('_', '+')}", said) for name, said in names.items()]


def asked(pieces: list[Piece], number: int = 2) -> list[tuple[str, ...]]:
    return [
        (one.piece, *(who.config_id for who in one.subjects if who.is_neighbour))
        for one in tried_again(near(), pieces, number)
    ]


def test_where_nothing_failed_nothing_is_tried_again() -> None:
    assert asked(kept()) == [] == asked([])
    assert asked(kept(f1={NEAR[0]: REFUSED})) == []


def test_a_neighbour_is_tried_in_the_fold_where_it_failed_and_all_after_it() -> None:
    found = kept(f2={NEAR[0]: FAILED}, f3={NEAR[1]: FAILED})
    assert asked(found) == [("fold-002+2", NEAR[0]), ("fold-003+2", *NEAR)]


def test_the_compared_configs_are_run_again_in_scenarios_alone() -> None:
    failed = Piece("scenario-crisis", failed=True)
    tasks = list(tried_again(near(), [*kept(f3={NEAR[0]: FAILED}), failed], 2))
    assert [[one.config_id for one in task.subjects] for task in tasks] == [[NEAR[0]], ["new", "base"]]


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        ({"f2_2": {NEAR[0]: RAN}, "f3_2": {NEAR[0]: RAN}}, None),
        ({"f2_2": {NEAR[0]: RAN}, "f3_2": {NEAR[0]: FAILED}}, Missing(LeftOut.FAILED, "died", "fold-003")),
        ({"f2_2": {NEAR[0]: REFUSED}}, Missing(LeftOut.REFUSED, "too low", "fold-002")),
        ({"f2_2": {NEAR[0]: RAN}}, Missing(LeftOut.FAILED, "died", "fold-003")),  # the round was given up there
        ({"f3_2": {NEAR[1]: RAN}}, Missing(LeftOut.FAILED, "died", "fold-002")),
        ({"f2_2": {NEAR[0]: RAN}, "f3_3": {NEAR[0]: RAN}}, None),
    ],
)
def test_a_neighbour_is_whole_once_it_was_run_in_every_fold(again: dict[str, Any], expected: Missing | None) -> None:
    assert missing(near(), kept(f2={NEAR[0]: FAILED}, **again)).get(NEAR[0]) == expected


def test_a_scenario_is_what_it_was_when_it_was_last_tried() -> None:
    failed, played = Piece("scenario-crisis", failed=True), Piece("scenario-crisis+10")
    between = Piece("scenario-crisis+9", failed=True)
    assert newest_scenarios([played, between, failed]) == {"crisis": played}
    assert asked([failed, between, played], 11) == []
    assert asked([failed, between], 10) == [("scenario-crisis+10",)]
