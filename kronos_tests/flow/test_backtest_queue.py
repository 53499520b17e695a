"""What the proof of the queue makes of the times of attempts; `make prove` runs it over the real daemon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from kronos.core.backtests.attempts import Attempt
from kronos.core.vocabulary import ResourceClass
from kronos_tests.core.backtests.test_attempts import attempt
from kronos_tests.proofs.backtest_queue import most_at_once, over_caps

CPU, GPU, MIXED = ResourceClass
NOON = datetime(2024, 6, 3, 12, tzinfo=UTC)


def under_way(first: float, last: float | None, number: int = 0) -> Attempt:
    """An attempt from one minute after noon to another, of the experiment of that number."""
    at: dict[str, Any] = {"admitted_at": NOON + timedelta(minutes=first)}
    at["ended_at"] = None if last is None else NOON + timedelta(minutes=last)
    return attempt(experiment_id=UUID(int=number), **at)


@pytest.mark.parametrize(
    ("times", "most"),
    [
        ([], 0),
        ([(0, 5)], 1),
        ([(0, 5), (5, 9)], 1),
        ([(0, 5), (4.999, 9)], 2),
        ([(0, 9), (1, 2), (3, 4)], 2),
        ([(0, 9), (1, 5), (4, 6), (8, 9)], 3),
        ([(0, None), (100, 101)], 2),
    ],
)
def test_attempts_at_once_are_those_that_overlap(times: list[tuple[float, float | None]], most: int) -> None:
    attempts = [under_way(first, last) for first, last in times]
    assert most_at_once(attempts) == most_at_once(reversed(attempts)) == most


def said(*classes: ResourceClass, lasted: float = 2.0) -> list[str]:
    """Of experiments of these classes that were admitted a minute after each other."""
    attempts = [under_way(number, number + lasted, number) for number in range(len(classes))]
    return over_caps(attempts, {UUID(int=number): name for number, name in enumerate(classes)})


def test_a_cap_of_a_class_that_was_exceeded_for_a_moment_is_found() -> None:
    assert said(GPU, GPU, lasted=1.001) == ["2 GPU_HEAVY were under way"]
    assert said(GPU, GPU, lasted=1.0) == []


def test_the_cap_of_all_classes_is_found_where_each_class_keeps_its_own() -> None:
    assert said(CPU, CPU, GPU, MIXED, lasted=9.0) == []
    assert said(CPU, CPU, GPU, MIXED, MIXED, lasted=9.0) == ["5 were under way"]
