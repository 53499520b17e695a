"""A function in a child process: its rows come back as they were, its end is told, and the next task works again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kronos.backtests.isolated import Isolated
from kronos.backtests.processes import Limits
from kronos.core.backtests.runner import Produced, Runner
from kronos.core.backtests.spec import Subject, Task
from kronos.core.scenarios.battery import SYNTHETIC
from kronos.errors import BacktestFailed, TaskRefused
from kronos_tests.backtests import served
from kronos_tests.backtests.children import Stopped, StopsOnce, gone, nothing, until
from kronos_tests.backtests.tasks import TASK

NICE = 11


@contextmanager
def opened(function: str = "told", limits: Limits = Limits(nice=NICE)) -> Iterator[Runner]:  # noqa: B008 - frozen
    runner = Isolated(f"kronos_tests.backtests.served:{function}", limits)
    try:
        yield runner
    finally:
        runner.close()


@pytest.fixture
def runner() -> Iterator[Runner]:
    """A runner around `told`."""
    with opened() as made:
        yield made


def wanting(**wishes: Any) -> Task:
    """A task whose config asks for something."""
    return TASK.model_copy(update={"subjects": (Subject(config_id="new", config_body=wishes),)})


def same(one: Produced, other: Produced) -> bool:
    pairs = (one.decisions, other.decisions), (one.outcomes, other.outcomes), (one.rejected, other.rejected)
    return all(left.equals(right) and left.schema == right.schema for left, right in pairs)


def noted(note: Path) -> tuple[int, int]:
    """Process id and niceness of the child that served last."""
    assert until(lambda: note.exists() and len(note.read_text().split()) == 2)
    pid, niceness = note.read_text().split()
    return int(pid), int(niceness)


@pytest.mark.parametrize("function", ["fixed", "empty"])
def test_rows_are_those_of_a_direct_call(function: str) -> None:
    with opened(function) as made:
        for seed in (1, 7):
            task = TASK.model_copy(update={"seed": seed})
            assert same(made.run(task, nothing), getattr(served, function)(task))


def test_a_task_with_a_scenario_arrives_as_it_is() -> None:
    task = TASK.model_copy(update={"scenario": SYNTHETIC[0], "scenario_seed": 3})
    with opened("fixed") as made:
        assert same(made.run(task, nothing), served.fixed(task))


def test_one_child_serves_one_task_after_the_other_and_is_niced(runner: Runner, tmp_path: Path) -> None:
    notes = [tmp_path / "1", tmp_path / "2"]
    for note in notes:
        runner.run(wanting(note=str(note)), nothing)
    assert noted(notes[0]) == noted(notes[1])
    pid, niceness = noted(notes[0])
    assert pid != os.getpid() and niceness == max(NICE, os.nice(0))


def test_what_the_function_prints_does_not_disturb(runner: Runner) -> None:
    """Not even where it looks like an answer, on the very descriptor, and more than a pipe holds."""
    task = wanting(chatter=20_000)
    for _ in range(2):
        assert same(runner.run(task, nothing), served.fixed(task))


@pytest.mark.parametrize("number", ["SIGKILL", "SIGSEGV"])
def test_a_child_that_was_killed_is_named_with_its_signal_and_the_next_task_works(runner: Runner, number: str) -> None:
    with pytest.raises(BacktestFailed, match=f"signal {number} and said last: last words") as failed:
        runner.run(wanting(die=number), nothing)
    assert not failed.value.final
    assert same(runner.run(TASK, nothing), served.fixed(TASK))


def test_a_child_killed_between_two_tasks_fails_one_and_not_the_next(runner: Runner, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    runner.run(wanting(note=str(note)), nothing)
    pid, _ = noted(note)
    os.kill(pid, 9)
    assert until(lambda: gone(pid))
    with pytest.raises(BacktestFailed, match="signal SIGKILL"):
        runner.run(TASK, nothing)
    assert same(runner.run(TASK, nothing), served.fixed(TASK))


@pytest.mark.parametrize("after", [0, 0.5])
def test_a_child_that_hangs_up_is_waited_for_to_say_how_it_ended(runner: Runner, after: float) -> None:
    with pytest.raises(BacktestFailed, match="exit code 3 and said last: nothing"):
        runner.run(wanting(leave=3, after=after), nothing)


def test_a_watch_that_raises_ends_the_child_and_passes(runner: Runner, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(Stopped):
        runner.run(wanting(note=str(note), wait=600), StopsOnce(note.exists))
    pid, _ = noted(note)
    assert until(lambda: gone(pid))
    assert same(runner.run(TASK, nothing), served.fixed(TASK))


def test_the_watch_is_asked_all_the_while(runner: Runner, tmp_path: Path) -> None:
    watch = StopsOnce(lambda: watch.asked >= 3)
    with pytest.raises(Stopped):
        runner.run(wanting(wait=600), watch)
    assert watch.asked == 3


def test_a_refused_task_is_final_and_the_child_lives_on(runner: Runner, tmp_path: Path) -> None:
    notes = [tmp_path / "1", tmp_path / "2"]
    with pytest.raises(BacktestFailed, match="fold-001: lookback has value 'abc': expected a number") as failed:
        runner.run(wanting(note=str(notes[0]), refuse="abc"), nothing)
    assert failed.value.final
    runner.run(wanting(note=str(notes[1])), nothing)
    assert noted(notes[0]) == noted(notes[1])


@pytest.mark.parametrize(
    ("failure", "final", "kind"),
    [
        ("no such engine", True, TaskRefused),
        ("refused", True, TaskRefused),
        ("failed for good", True, BacktestFailed),
        ("failed", False, BacktestFailed),
        ("lake away", False, BacktestFailed),
        ("database away", False, BacktestFailed),
        ("helper died", False, BacktestFailed),
    ],
)
def test_only_what_the_same_task_would_meet_again_is_final_and_only_what_speaks_of_it_a_refusal(
    runner: Runner, failure: str, final: bool, kind: type[BacktestFailed]
) -> None:
    with pytest.raises(BacktestFailed, match="fold-001: ") as failed:
        runner.run(wanting(fail=failure), nothing)
    assert (failed.value.final, type(failed.value)) == (final, kind)


def test_an_unexpected_error_is_not_final_and_says_its_last_line(runner: Runner) -> None:
    with pytest.raises(BacktestFailed, match="exit code 1 and said last: ZeroDivisionError: by what") as failed:
        runner.run(wanting(stumble="by what"), nothing)
    assert not failed.value.final
    assert same(runner.run(TASK, nothing), served.fixed(TASK))


def test_a_function_that_is_not_there_is_a_failure_with_a_reason() -> None:
    with opened("nowhere") as made, pytest.raises(BacktestFailed, match="has no attribute 'nowhere'"):
        made.run(TASK, nothing)


def test_closing_ends_the_child_and_may_be_done_twice(runner: Runner, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    runner.run(wanting(note=str(note)), nothing)
    pid, _ = noted(note)
    runner.close()
    assert until(lambda: gone(pid))
    runner.close()


def test_a_child_beyond_its_memory_is_a_failure_and_not_ours() -> None:
    with opened("fixed", Limits(memory_mb=20)) as made, pytest.raises(BacktestFailed, match="at most 20 MB") as failed:
        made.run(TASK, nothing)
    assert failed.value.final


def test_what_cannot_be_played_is_for_the_function_to_say() -> None:
    scenario = SYNTHETIC[0]
    assert Isolated("x:y", Limits()).unsupported(scenario) is None
    assert Isolated("x:y", Limits(), lambda one: f"no {one.name}").unsupported(scenario) == f"no {scenario.name}"
