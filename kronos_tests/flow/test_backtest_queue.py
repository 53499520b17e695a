"""What the proof of the queue makes of times, pages, runs and processes; `make prove` runs it over the real daemon."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import dagster as dg
import pytest

from kronos.core.backtests.attempts import Attempt
from kronos.core.scheduling.policy import CLASS_LIMITS, MOST_BACKTESTS
from kronos.core.vocabulary import ResourceClass
from kronos_tests.core.backtests.test_attempts import attempt
from kronos_tests.proofs.backtest_queue import most_at_once, over_caps
from kronos_tests.queue_truth import Outside, Page, Place, Run, Stage, contradictions, moved_back, still_under_way, told

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


X, OTHER = UUID(int=1), UUID(int=2)
STARTED, QUEUED, STARTING, SUCCESS = (
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.SUCCESS,
)
RUN = Run("r", STARTED, [(X, 1)], CPU, 77)
THERE = frozenset({77})
WAITING, ADMITTED, AT_WORK, AGAIN = (
    Page({X: Place(0, Stage.OVER)}),
    Page({X: Place(1, Stage.ADMITTED)}),
    Page({X: Place(1, Stage.TAKEN_UP)}, {X: "r"}),
    Page({X: Place(1, Stage.OVER)}),
)
GONE = Page({})
WAY = [WAITING, ADMITTED, AT_WORK, AGAIN, Page({X: Place(2, Stage.ADMITTED)}), GONE]


def between(
    before: Page,
    after: Page,
    run: Run | None = RUN,
    workers: frozenset[int] = THERE,
    playing: frozenset[int] = frozenset(),
) -> list[str]:
    """What contradicts pages between which this one run is seen, and these processes."""
    return contradictions(before, Outside([run] if run else [], workers, playing), after)


@pytest.mark.parametrize("first", range(len(WAY)))
@pytest.mark.parametrize("last", range(len(WAY)))
def test_an_experiment_that_goes_back_is_found_and_one_that_goes_forward_is_not(first: int, last: int) -> None:
    assert bool([*moved_back(WAY[first], WAY[last])]) == (last < first)


def test_an_attempt_under_way_with_its_run_and_worker_contradicts_nothing() -> None:
    assert still_under_way(AT_WORK, AT_WORK) == [X]
    assert between(AT_WORK, AT_WORK) == between(AT_WORK, AT_WORK, playing=THERE) == []


@pytest.mark.parametrize(
    ("run", "workers", "said"),
    [
        (None, THERE, "there is no run r"),
        (replace(RUN, run_id="s"), THERE, "there is no run r"),
        (replace(RUN, members=[(OTHER, 1)]), THERE, "in run r, which is not for it"),
        (replace(RUN, members=[(X, 0)]), THERE, "in run r, which is not for it"),
        (replace(RUN, status=QUEUED), THERE, "its run r is QUEUED"),
        (replace(RUN, status=STARTING), THERE, "its run r is STARTING"),
        (replace(RUN, status=SUCCESS), THERE, "its run r is SUCCESS"),
        (replace(RUN, process=78), THERE, "process 78 of its run r is not there"),
        (replace(RUN, process=None), THERE, "process None of its run r is not there"),
        (RUN, frozenset[int](), "process 77 of its run r is not there"),
    ],
)
def test_a_page_on_which_an_attempt_is_under_way_without_its_run_or_worker_is_found(
    run: Run | None, workers: frozenset[int], said: str
) -> None:
    (found,) = between(AT_WORK, AT_WORK, run, workers=workers)
    assert found.startswith(f"attempt 1 of {X} is under way") and found.endswith(said)


@pytest.mark.parametrize("pages", [(ADMITTED, AT_WORK), (AT_WORK, GONE), (AT_WORK, AGAIN), (ADMITTED, ADMITTED)])
def test_what_began_or_ended_between_the_pages_needs_no_run(pages: tuple[Page, Page]) -> None:
    assert between(*pages, run=None) == []


def test_a_run_and_its_worker_may_outlive_the_attempt() -> None:
    assert between(GONE, GONE) == between(AGAIN, AGAIN) == between(GONE, GONE, replace(RUN, status=SUCCESS)) == []


@pytest.mark.parametrize("status", [QUEUED, STARTED, SUCCESS])
def test_a_run_for_an_attempt_that_still_waits_is_found(status: dg.DagsterRunStatus) -> None:
    run = replace(RUN, status=status)
    assert between(WAITING, WAITING, run) == [f"run r is for attempt 1 of {X}, which is OVER 0 later"]
    assert between(WAITING, ADMITTED, run) == []


def test_an_attempt_that_changes_its_run_is_found() -> None:
    found = between(AT_WORK, replace(AT_WORK, run_ids={X: "s"}))
    assert found == [f"attempt 1 of {X} was in run r and then in run s"]


@pytest.mark.parametrize("pages", [(AGAIN, AGAIN), (AGAIN, GONE), (GONE, GONE), (ADMITTED, ADMITTED)])
def test_a_backtest_that_is_played_and_not_on_the_pages_is_found(pages: tuple[Page, Page]) -> None:
    (found,) = between(*pages, playing=THERE)
    assert found.startswith("process 77 plays a backtest in run r, and") and str(X) in found


@pytest.mark.parametrize("pages", [(WAITING, AT_WORK), (ADMITTED, AT_WORK), (AT_WORK, GONE), (WAITING, GONE)])
def test_a_backtest_may_be_played_where_its_attempt_was_under_way_between_the_pages(pages: tuple[Page, Page]) -> None:
    assert between(*pages, playing=THERE) == []


@pytest.mark.parametrize("run", [None, replace(RUN, process=78), replace(RUN, status=SUCCESS)])
def test_a_backtest_that_is_played_outside_all_runs_is_found(run: Run | None) -> None:
    assert between(ADMITTED, GONE, run, playing=THERE) == [
        "process 77 plays a backtest, and no run that has begun is in it"
    ]


def going(*classes: ResourceClass, status: dg.DagsterRunStatus = STARTING) -> list[str]:
    """What contradicts runs of these classes that the run queue let go."""
    runs = [Run(str(number), status, [], name) for number, name in enumerate(classes)]
    return contradictions(GONE, Outside(runs, frozenset(), frozenset()), GONE)


def test_runs_that_go_on_beyond_a_cap_are_found() -> None:
    assert going(GPU, GPU) == ["2 GPU_HEAVY runs go on"]
    assert going(*[CPU] * CLASS_LIMITS[CPU]) == going(GPU, GPU, status=QUEUED) == []
    assert going(*[CPU] * 2, GPU, *[MIXED] * 2) == [f"{MOST_BACKTESTS + 1} runs go on"]


def as_json(running: list[tuple[int, str | None, str | None]], waits: bool = False) -> dict[str, Any]:
    """The command's page with the experiment running so (attempt, start, run), or waiting."""
    keys = ("attempt", "started_at", "run_id")
    return {
        "running": [{"experiment_id": str(X), **dict(zip(keys, one, strict=True))} for one in running],
        "waiting": [{"experiment_id": str(X)}] if waits else [],
    }


@pytest.mark.parametrize("before", WAY)
def test_the_commands_page_is_read_like_the_pages_around_it(before: Page) -> None:
    """One that says what they say contradicts neither."""
    place = before.at(X)
    running = [(place.attempt, "noon" if place.stage is Stage.TAKEN_UP else None, before.run_ids.get(X))]
    waits = before is not GONE and place.stage is Stage.OVER
    same = told(as_json([] if waits or before is GONE else running, waits), before)
    assert [*moved_back(before, same), *moved_back(same, before)] == []


@pytest.mark.parametrize(
    ("pages", "page"),
    [
        ((GONE, GONE), as_json([], waits=True)),
        ((WAITING, WAITING), as_json([])),
        ((WAITING, WAITING), as_json([(1, None, None)])),
        ((AT_WORK, AT_WORK), as_json([], waits=True)),
        ((AT_WORK, AT_WORK), as_json([(1, None, None)])),
        ((AT_WORK, AT_WORK), as_json([(1, "noon", "s")])),
        ((AT_WORK, AT_WORK), as_json([(2, "noon", "r")])),
        ((AGAIN, AGAIN), as_json([(1, "noon", "r")])),
    ],
)
def test_a_commands_page_that_says_other_than_those_around_it_is_found(
    pages: tuple[Page, Page], page: dict[str, Any]
) -> None:
    before, after = pages
    said = told(page, before)
    assert [*moved_back(before, said), *moved_back(said, after)]
