"""Neighbours and scenarios that the runner refuses, or keeps failing at: missed by the gates, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from kronos.core.backtests.runner import Produced, Watch
from kronos.core.backtests.spec import Task
from kronos.core.changes.model import Experiment, PeriodResult
from kronos.core.gates.model import GateVerdict
from kronos.core.gates.page import markdown
from kronos.core.gates.record import VerdictRecord
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import BacktestFailed, TaskRefused
from kronos.services.backtest import run_backtest
from kronos.services.experiments import experiment_results, requeue
from kronos.services.gate_evidence import read_backtest
from kronos.services.verdicts import judge_experiment
from kronos.store.database import Database
from kronos_tests.services.backtest_world import NOW, Direct, World, backtest_world, policy, short

NEIGHBOURS = 3
MOST = policy().scheduler.retries.attempts
DOWN = BacktestFailed("the cluster is down")
Which = Callable[[Task], bool]


class Breaks(Direct):
    """Does not play some tasks; `asked`: for which it was asked nevertheless, by piece and config."""

    def __init__(self, which: Which, error: BacktestFailed) -> None:
        super().__init__()
        self.which, self.error = which, error
        self.asked: list[tuple[str, str]] = []

    def run(self, task: Task, watch: Watch) -> Produced:
        if self.which(task):
            self.asked.append((task.piece, task.subjects[0].config_id))
            raise self.error
        return super().run(task, watch)


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    terms = policy().model_copy(update={"backtests": short(neighbours=NEIGHBOURS, fold_months=12)})
    with backtest_world(database, tmp_path, terms) as found:
        yield found


def tried(world: World, which: Which, error: BacktestFailed) -> tuple[Experiment, list[tuple[str, str]]]:
    """An experiment, run as often as it comes back from the queue, and what was asked for in vain."""
    runner, experiment = Breaks(which, error), world.queued()
    while world.now(experiment).status is ExperimentStatus.QUEUED_FOR_BACKTEST:
        with suppress(BacktestFailed):
            bench = replace(world, runner=runner).bench()
            run_backtest(bench, experiment.experiment_id, world.admitted(experiment), "run")
    return world.now(experiment), runner.asked


def continued(world: World, experiment: Experiment, runner: Direct) -> Experiment:
    """The experiment after a person continued testing it, run as often as it comes back from the queue."""
    requeue(world.workplace, experiment.experiment_id, "ben", "the cluster is up")
    while world.now(experiment).status is ExperimentStatus.QUEUED_FOR_BACKTEST:
        with suppress(BacktestFailed):
            bench = replace(world, runner=runner).bench()
            run_backtest(bench, experiment.experiment_id, world.admitted(experiment), "run")
    return world.now(experiment)


def whole_of(world: World, experiment: Experiment) -> PeriodResult:
    whole = experiment_results(world.database, experiment.experiment_id).whole
    assert whole is not None and experiment.status is ExperimentStatus.AWAITING_REVIEW
    return whole


def judged(world: World, experiment: Experiment) -> VerdictRecord:
    return judge_experiment(world.workplace, world.pipeline, experiment.experiment_id, NOW.date())


def doubt(found: VerdictRecord, **of: str) -> tuple[str, str]:
    """Reason and words of the one finding of it, which is not sure."""
    findings = [one for gate in found.report["gates"] for one in gate["findings"]]
    (one,) = (one for one in findings if of.items() <= one.items())
    assert one["verdict"] == GateVerdict.INCONCLUSIVE
    return one["reason"], one["detail"]


def neighbourhood(world: World, experiment: Experiment) -> tuple[VerdictRecord, str]:
    """The verdict, and why it is not sure of the neighbourhood of the parameters."""
    found = judged(world, experiment)
    return found, doubt(found, metric="neighbourhood of the parameters")[0]


def is_neighbour(task: Task) -> bool:
    return "~" in task.subjects[0].config_id


def is_long(task: Task) -> bool:
    """One of the neighbours."""
    return is_neighbour(task) and task.subjects[0].config_body["lookback"] > 63


def test_a_refused_neighbour_is_asked_for_once_and_named_on_the_page(world: World) -> None:
    done, asked = tried(world, is_neighbour, TaskRefused("too wild"))
    assert [piece for piece, _ in asked] == ["fold-001"] * NEIGHBOURS
    left_out = whole_of(world, done).detail["neighbours_left_out"]
    assert left_out == {name: "too wild" for _, name in asked}
    found, reason = neighbourhood(world, done)
    assert reason == "NO_NEIGHBOURS" and found.report["about"]["neighbours"] == []
    assert markdown(found).count("too wild") == NEIGHBOURS


def test_a_neighbour_that_keeps_failing_is_missing_rather_than_the_end_of_the_experiment(world: World) -> None:
    """In the second fold: what the first has of it is no run of it."""
    done, asked = tried(world, lambda task: is_long(task) and task.piece == "fold-002", DOWN)
    (name,) = {name for _, name in asked}
    assert len(asked) == MOST
    whole = whole_of(world, done)
    assert whole.detail["neighbours_left_out"] == {name: "the cluster is down"} and name not in whole.detail["beside"]
    found, reason = neighbourhood(world, done)
    assert reason == "NEIGHBOUR_FAILED" and len(found.report["about"]["neighbours"]) == NEIGHBOURS - 1
    assert "the cluster is down" in markdown(found)


def test_a_neighbour_that_would_fail_again_is_not_tried_again_and_no_refusal(world: World) -> None:
    done, asked = tried(world, is_long, BacktestFailed("out of memory", final=True))
    assert [piece for piece, _ in asked] == ["fold-001"] and len(world.attempts(done.experiment_id)) == 1
    assert neighbourhood(world, done)[1] == "NEIGHBOUR_FAILED"


def test_a_refusal_outlives_the_attempt_in_which_it_was_given(world: World) -> None:
    lost = iter([True, False])

    def breaks(task: Task) -> bool:
        return is_long(task) or (task.piece == "fold-002" and next(lost, False))

    class Breaking(Breaks):
        def run(self, task: Task, watch: Watch) -> Produced:
            self.error = TaskRefused("too wild") if is_long(task) else DOWN
            return super().run(task, watch)

    runner, experiment = Breaking(breaks, DOWN), world.queued()
    for _ in range(2):
        with suppress(BacktestFailed):
            bench = replace(world, runner=runner).bench()
            run_backtest(bench, experiment.experiment_id, world.admitted(experiment), "run")
    assert len(world.attempts(experiment.experiment_id)) == 2
    assert [(piece, "~" in name) for piece, name in runner.asked] == [("fold-001", True), ("fold-002", False)]
    assert list(whole_of(world, world.now(experiment)).detail["neighbours_left_out"].values()) == ["too wild"]


def test_a_scenario_that_keeps_failing_is_not_played_and_the_gates_are_told(world: World) -> None:
    done, asked = tried(world, lambda task: task.scenario is not None, DOWN)
    assert len(asked) == MOST
    assert whole_of(world, done).detail["scenarios"]["gaps"]["refused"] == "the cluster is down"
    assert doubt(judged(world, done), slice="scenario:gaps") == ("NOT_PLAYED", "the cluster is down")


def is_gaps(task: Task) -> bool:
    return task.scenario is not None


def test_a_scenario_that_failed_is_played_when_testing_goes_on_and_nothing_else_is(world: World) -> None:
    done, _ = tried(world, is_gaps, DOWN)
    again = continued(world, done, runner := Direct())
    assert runner.ran == ["scenario-gaps+2"]
    undisturbed, _ = tried(world, lambda _: False, DOWN)
    played, expected = (whole_of(world, one).detail["scenarios"]["gaps"]["configs"] for one in (again, undisturbed))
    assert played[again.proposed_config_id] == expected[undisturbed.proposed_config_id]


def test_a_scenario_that_is_refused_is_not_asked_for_when_testing_goes_on(world: World) -> None:
    done, _ = tried(world, is_gaps, TaskRefused("no such regime"))
    again = continued(world, done, runner := Direct())
    assert runner.ran == []
    assert whole_of(world, again).detail["scenarios"]["gaps"]["refused"] == "no such regime"


def test_what_fails_again_is_tried_again_whenever_a_person_asks(world: World) -> None:
    done, _ = tried(world, is_gaps, DOWN)
    again = continued(world, done, first := Breaks(is_gaps, DOWN))
    assert [piece for piece, _ in first.asked] == ["scenario-gaps+2"] * MOST
    assert whole_of(world, again).detail["scenarios"]["gaps"]["refused"] == "the cluster is down"
    again = continued(world, again, second := Direct())
    assert second.ran == ["scenario-gaps+3"] and "refused" not in whole_of(world, again).detail["scenarios"]["gaps"]


def test_a_neighbour_that_failed_is_run_in_the_folds_it_lacks_alone(world: World) -> None:
    done, asked = tried(world, lambda task: is_long(task) and task.piece == "fold-002", DOWN)
    (name,) = {name for _, name in asked}
    again = continued(world, done, runner := Direct())
    assert runner.ran == ["fold-002+2"]
    whole = whole_of(world, again)
    assert whole.detail["neighbours_left_out"] == {} and len(judged(world, again).report["about"]["neighbours"]) == 3
    undisturbed, _ = tried(world, lambda _: False, DOWN)
    twin = name.replace(again.proposed_config_id, undisturbed.proposed_config_id)
    assert whole.detail["beside"][name] == whole_of(world, undisturbed).detail["beside"][twin]


def test_a_neighbour_that_fails_again_is_left_out_of_the_rest_and_not_tried_when_its_attempt_is(world: World) -> None:
    done, _ = tried(world, lambda task: is_long(task) or is_gaps(task), BacktestFailed("out of memory", final=True))
    gaps = iter([True, False])

    class Once(Breaks):
        def run(self, task: Task, watch: Watch) -> Produced:
            self.error = DOWN if is_gaps(task) else BacktestFailed("still out of memory", final=True)
            return super().run(task, watch)

    again = continued(world, done, runner := Once(lambda task: is_long(task) or (is_gaps(task) and next(gaps)), DOWN))
    assert [piece for piece, _ in runner.asked] == ["fold-001+2", "scenario-gaps+2"]
    assert runner.ran == ["scenario-gaps+2"]
    assert list(whole_of(world, again).detail["neighbours_left_out"].values()) == ["still out of memory"]


def test_what_is_tried_again_is_no_part_of_the_result_that_stands(world: World) -> None:
    """The neighbour is whole again, but the attempt ends before there is another result."""
    done, _ = tried(world, lambda task: is_long(task) or is_gaps(task), BacktestFailed("out of memory", final=True))
    before = read_backtest(world.database, done).pieces
    requeue(world.workplace, done.experiment_id, "ben", "more memory")
    bench = replace(world, runner=Breaks(is_gaps, DOWN)).bench()
    with pytest.raises(BacktestFailed):
        run_backtest(bench, done.experiment_id, world.admitted(done), "run")
    assert read_backtest(world.database, world.now(done)).pieces == before
    assert world.attempts(done.experiment_id)[-1].gained == 2


@pytest.mark.parametrize(("error", "tries"), [(TaskRefused("lookback is at most 50"), 1), (DOWN, MOST)])
def test_without_the_configs_that_are_compared_there_is_no_experiment(
    world: World, error: BacktestFailed, tries: int
) -> None:
    ended, asked = tried(world, lambda task: not is_neighbour(task), error)
    assert (ended.status, len(asked)) == (ExperimentStatus.REJECTED, tries)
    assert str(error) in ended.metadata["reason"]
