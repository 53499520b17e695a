"""Neighbours of a config: one number a tenth away, nothing else."""

from __future__ import annotations

from kronos.core.backtests.neighbours import LeftOut, left_out, neighbours

BODY = {"description": "x", "lookback": 60, "gross": 1.5, "long_short": True, "noise": 0.0, "risk": {"cap": 3}}


def names(body: dict[str, object] = BODY, seed: int = 1) -> list[str]:
    return [one.name for one in neighbours(body, seed)]


def test_every_number_moves_a_tenth_down_and_up_and_whole_ones_at_least_by_one() -> None:
    assert sorted(names()) == [
        "gross=1.35", "gross=1.65", "lookback=54", "lookback=66", "risk.cap=2", "risk.cap=4",
    ]  # fmt: skip


def test_a_neighbour_differs_in_one_number() -> None:
    by_name = {one.name: one.body for one in neighbours(BODY, 1)}
    assert by_name["risk.cap=4"] == {**BODY, "risk": {"cap": 4}}
    assert by_name["gross=1.35"] == {**BODY, "gross": 1.35}


def test_the_two_of_a_parameter_stand_together() -> None:
    found = [name.partition("=")[0] for name in names()]
    assert found[::2] == found[1::2]


def test_the_order_is_the_seeds_and_not_the_bodys() -> None:
    assert names() == names(dict(reversed(BODY.items())))
    assert len({tuple(names(seed=seed)) for seed in range(8)}) > 1


def test_whole_zero_has_neighbours_and_a_fraction_of_zero_none() -> None:
    assert names({"skip": 0, "noise": 0.0}) == ["skip=-1", "skip=1"]


def test_a_body_without_numbers_has_none() -> None:
    assert names({"style": "momentum", "on": True}) == []


def test_what_is_left_out_is_told_apart_from_what_probes_found() -> None:
    probed = {"new": {"day": "2020-03-02", "repeat": {"refused": "no"}}}
    found = [None, {"new~a=1": {"refused": "too low"}}, {"new~a=3": {"failed": "died"}}, probed]
    assert left_out(found, LeftOut.REFUSED) == {"new~a=1": "too low"}
    assert left_out(found, LeftOut.FAILED) == {"new~a=3": "died"}
