"""One attempt at a backtest: checkpoints, resumption, and every way in which it can end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from rich.console import Console

from kronos.cli.render_backtests import print_scenarios
from kronos.core.backtests.attempts import AttemptOutcome
from kronos.core.backtests.runner import Produced
from kronos.core.backtests.spec import Subject, Task
from kronos.core.changes.chain import verify
from kronos.core.changes.model import Experiment
from kronos.core.frames import BACKTESTS, PIECE_KEY
from kronos.core.scenarios.battery import WINDOWS, Battery, HistoricalWindow
from kronos.core.vocabulary import EvidenceLabel, ExpectedOutcome, ExperimentStatus
from kronos.errors import BacktestFailed, ChangeRefused
from kronos.lake.backtests import BacktestRecord, lake_of
from kronos.lake.tables import TABLES
from kronos.sandbox.backtest import produce
from kronos.services import backtest as backtest_service
from kronos.services.backtest import piece_tables, run_backtest
from kronos.services.experiments import cancel, experiment_results, requeue
from kronos.services.gate_evidence import read_backtest
from kronos.settings import RecordedBy
from kronos.store.backtests import specs_of, tell
from kronos.store.change_log import entries
from kronos.store.database import Database, Role
from kronos_tests import backtesting
from kronos_tests.builders import at, decision, insert, regime
from kronos_tests.services.backtest_world import (
    BATTERY,
    BODY,
    END,
    PIECES,
    START,
    Direct,
    World,
    backtest_world,
    policy,
)

QUEUED, RUNNING, REVIEW, REJECTED = (
    ExperimentStatus.QUEUED_FOR_BACKTEST,
    ExperimentStatus.RUNNING_BACKTESTS,
    ExperimentStatus.AWAITING_REVIEW,
    ExperimentStatus.REJECTED,
)


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    with backtest_world(database, tmp_path) as found:
        yield found


def ran(world: World, experiment: Experiment, run_id: str = "run") -> Experiment | None:
    """The experiment after one more attempt."""
    return run_backtest(world.bench(), experiment.experiment_id, world.admitted(experiment), run_id)


def numbers(world: World, experiment: Experiment) -> str:
    """What is stored of an experiment's results, ids, times and lake versions aside."""
    with world.database.connect(Role.READER) as session:
        specs = specs_of(session, experiment.experiment_id)
    return backtesting.numbers(experiment_results(world.database, experiment.experiment_id).to_json_dict(), specs)


def rows(world: World, experiment: Experiment, table: str) -> pl.DataFrame:
    """The lake's rows of an experiment, its own ids aside."""
    lf = BacktestRecord(world.pipeline.lake, str(experiment.experiment_id)).scan(table)
    names = {experiment.proposed_config_id: "proposed"}
    df = lf.with_columns(
        pl.col("config_id").replace(names), experiment_id=pl.col("experiment_id").str.slice(36)
    ).collect()
    return df.drop("decision_id", "portfolio_id", strict=False).sort(
        pl.all().exclude(pl.List(pl.String), pl.List(pl.Float64))
    )


def test_a_backtest_ends_in_review_with_results_of_every_period(world: World) -> None:
    done = ran(world, world.queued())
    assert done is not None and done.status is REVIEW and done.leased_until is None
    found = experiment_results(world.database, done.experiment_id)
    whole = found.whole
    assert whole is not None and (whole.period_start, whole.period_end) == (START, END)
    assert len(found.periods) == 5 and whole.evidence is EvidenceLabel.HUMAN_TRIGGERED
    assert set(whole.by_regime) == {"CALM", "STRESS"} and set(whole.by_market) == {"US_EQ", "US_FUT"}


def test_every_number_has_its_interval_count_or_reason(world: World) -> None:
    done = ran(world, world.queued())
    assert done is not None
    whole = experiment_results(world.database, done.experiment_id).whole
    assert whole is not None
    for name in whole.metrics:
        assert name in whole.detail["observations"]
        assert name in whole.detail["intervals"] or name in whole.detail["interval_undefined"]


def test_the_incumbent_runs_beside_and_in_every_scenario(world: World) -> None:
    done = ran(world, world.queued())
    assert done is not None
    whole = experiment_results(world.database, done.experiment_id).whole
    assert whole is not None
    assert [one["role"] for one in whole.detail["beside"].values()] == ["base and incumbent"]
    assert set(whole.detail["scenarios"]) == {"summer", "gaps"}
    for one in whole.detail["scenarios"].values():
        assert {"metrics"} <= set(one["configs"][done.proposed_config_id])


def test_a_window_that_is_not_wholly_within_the_dates_is_not_read(world: World) -> None:
    """Its figures would be of a part of it, under the name of the whole."""
    half = HistoricalWindow(name="half", about="begins too early", start=date(1994, 12, 1), end=date(1995, 2, 1))
    object.__setattr__(world.pipeline.policy.backtests, "battery", Battery(scenarios=(half,)))
    done = ran(world, world.queued())
    assert done is not None
    whole = experiment_results(world.database, done.experiment_id).whole
    assert whole is not None and whole.detail["windows_left_out"] == {}
    assert whole.detail["scenarios"]["half"]["refused"] == f"not within the dates {START} to {END}"


@pytest.mark.parametrize("upstream_decided", [None, date(1996, 1, 8), date(1996, 1, 3)])
def test_labels_are_those_known_at_the_pieces_decisions_whatever_upstream_decided(
    world: World, upstream_decided: date | None
) -> None:
    """The newest label before the piece came days late: until then the one before it counted."""
    insert(world.database, regimes=[regime(date(1996, 1, 2), "STRESS", recorded_at=at(date(1996, 1, 5), 6))])
    if upstream_decided is not None:
        insert(world.database, engine_decisions=[decision("live", upstream_decided)])
    fold = {"start": date(1996, 1, 3), "end": date(1996, 1, 9), "train_until": date(1995, 12, 1), "data_until": END}
    subjects = (Subject(config_id="new", config_body=BODY),)
    task = Task(piece="fold", experiment_id="x", engine_name="PORTFOLIO", markets=("US_EQ",), subjects=subjects, **fold)
    facts = piece_tables(world.pipeline, task, produce(task), "fold@build")[BACKTESTS + "facts"]
    first = facts.filter(pl.col("as_of_date") <= date(1996, 1, 4))
    assert set(first["regime"]) == {"CALM"} and "STRESS" in facts["regime"]


def test_outcomes_that_the_calendar_evaluates_after_the_data_ends_are_rejected(world: World) -> None:
    """Those of 21 sessions from the 9th of December: 21 calendar days would still be in time."""

    def undated(task: Task) -> Produced:
        made = produce(task)
        late = made.decisions.filter(as_of_date=date(1996, 12, 9)).select("decision_id")
        again = made.outcomes.join(late, on="decision_id").unique("decision_id").with_columns(
            pl.lit(21, pl.Int32).alias("horizon"), pl.lit(None, pl.Date).alias("eval_date")
        )  # fmt: skip
        return replace(made, outcomes=pl.concat([made.outcomes, again]))

    world.runner.gives = undated
    done = ran(world, world.queued())
    assert done is not None
    whole = experiment_results(world.database, done.experiment_id).whole
    assert whole is not None and whole.provenance["rows"]["rejected AFTER_DATA_UNTIL"] > 0
    evaluated = rows(world, done, "decision_facts").select(pl.max_horizontal("^eval_date_h.*$").max())
    assert evaluated.item() <= END


def test_the_default_battery_names_the_windows_of_other_dates(world: World) -> None:
    object.__setattr__(world.pipeline.policy.backtests, "battery", None)
    done = ran(world, world.queued())
    assert done is not None
    whole = experiment_results(world.database, done.experiment_id).whole
    assert whole is not None and not {one.name for one in WINDOWS} & set(whole.detail["scenarios"])
    assert whole.detail["windows_left_out"]["pandemic-2020"] == "2020-02-19 to 2020-03-23"
    with Console(file=StringIO(), width=200) as console, console.capture() as shown:
        print_scenarios(whole, console)
    assert "outside these dates and so not read: crash-1987 (1987-08-25 to 1987-12-04)" in shown.get()


def test_provenance_is_enough_to_run_it_again(world: World) -> None:
    done = ran(world, world.queued())
    assert done is not None
    whole = experiment_results(world.database, done.experiment_id).whole
    with world.database.connect(Role.READER) as session:
        (spec,) = specs_of(session, done.experiment_id)
    assert whole is not None and whole.provenance["spec"] == spec.digest and spec.battery == BATTERY
    assert whole.provenance["code_version"] == "test" and set(whole.provenance["lake"]) == {
        name for name in TABLES if name.startswith(BACKTESTS)
    }


def test_what_other_code_wrote_meanwhile_is_not_taken_for_its_own(world: World) -> None:
    """Code `one` is preempted, code `two` makes the same pieces and is preempted too, and `one` goes on."""
    experiment = world.queued()
    for code, fails in (("one", "fold-003"), ("two", "fold-004"), ("one", None)):
        label = pl.lit(code).alias("label")
        world.runner.gives = lambda task, label=label: replace(
            made := produce(task), decisions=made.decisions.with_columns(label)
        )
        world.runner.fails = {fails: BacktestFailed("told to leave")} if fails else {}
        bench = replace(world.bench(), workplace=replace(world.workplace, code_version=code))
        with pytest.raises(BacktestFailed) if fails else nullcontext():
            run_backtest(bench, experiment.experiment_id, world.admitted(experiment), "run")
    backtest = read_backtest(world.database, world.now(experiment))
    assert backtest.whole.provenance["code_version"] == "one"
    replay = backtest.record(world.pipeline.lake).scan("decision_facts").collect()
    assert set(replay["label"]) == {"one"}
    days = replay.filter(config_id=experiment.proposed_config_id, experiment_id=str(experiment.experiment_id))
    assert (days["as_of_date"].min(), days["as_of_date"].dt.year().n_unique()) == (START, 2)


def test_what_was_made_while_the_code_was_changed_does_not_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed() -> None:
        raise ChangeRefused("the code was a when this process began and is b now: begin again")

    monkeypatch.setattr(backtest_service, "require_unchanged", changed)
    experiment = world.queued()
    with pytest.raises(ChangeRefused, match="begin again"):
        ran(world, experiment)
    (attempt,) = world.attempts(experiment.experiment_id)
    assert (attempt.outcome, attempt.pieces_after) == (AttemptOutcome.CRASHED, 0) and "begin again" in str(attempt.why)
    assert world.now(experiment).status is QUEUED


def test_a_resumed_backtest_equals_an_undisturbed_one(world: World) -> None:
    """And it makes no piece twice but the one at which it crashed."""
    undisturbed, disturbed = world.queued(), world.queued(lookback=63)
    assert ran(world, undisturbed) is not None
    world.runner.ran.clear()
    world.runner.fails["fold-003"] = BacktestFailed("the child died")
    with pytest.raises(BacktestFailed):
        ran(world, disturbed)
    assert world.now(disturbed).status is QUEUED
    assert ran(world, disturbed) is not None
    assert world.runner.ran.count("fold-003") == 2 and len(world.runner.ran) == PIECES + 1
    assert numbers(world, disturbed) == numbers(world, undisturbed)
    for table in ("decision_facts", "cells"):
        assert_frame_equal(rows(world, disturbed, table), rows(world, undisturbed, table))


def test_a_backtest_goes_through_the_cells_of_live_decisions(world: World) -> None:
    """What the cells say of the replay is the weighted sum of its facts' returns."""
    done = ran(world, world.queued())
    assert done is not None
    facts, cells = (
        rows(world, done, table).filter(pl.col("experiment_id") == "") for table in ("decision_facts", "cells")
    )
    book = cells.filter(pl.col("cube") == "regime", pl.col("horizon") == 1)["weighted_return"].sum()
    assert book == pytest.approx((facts["weight"] * facts["return_h1"]).sum(), abs=1e-9)


def test_other_code_makes_every_piece_anew(world: World) -> None:
    experiment = world.queued()
    world.runner.fails["fold-002"] = BacktestFailed("the child died")
    with pytest.raises(BacktestFailed):
        ran(world, experiment)
    object.__setattr__(world.workplace, "code_version", "other")
    assert ran(world, experiment) is not None
    assert world.runner.ran.count("fold-001") == 2


def resumed(world: World, **changes: Any) -> int:
    """How often the first fold was made, where the second crashed and then something of the pipeline was changed."""
    experiment = world.queued()
    world.runner.fails["fold-002"] = BacktestFailed("the child died")
    with pytest.raises(BacktestFailed):
        ran(world, experiment)
    other = replace(world, pipeline=replace(world.pipeline, **changes))
    assert ran(other, experiment) is not None
    return world.runner.ran.count("fold-001")


def test_other_cuts_make_every_piece_anew(world: World) -> None:
    cuts = world.pipeline.policy.model_copy(update={"stability_cuts": (0.1, 0.2, 0.3)})
    assert resumed(world, policy=cuts) == 2


def test_so_does_another_way_to_tell_when_a_label_was_recorded(world: World) -> None:
    assert resumed(world, recorded_by=RecordedBy.AS_OF_DATE) == 2


def test_another_deadline_makes_no_piece_anew(world: World) -> None:
    later = world.pipeline.policy.model_copy(update={"deadline_after_close": timedelta(hours=9)})
    assert resumed(world, policy=later) == 1


def test_only_one_run_works_on_an_attempt(world: World) -> None:
    experiment = world.queued()
    attempt = world.admitted(experiment)
    assert run_backtest(world.bench(), experiment.experiment_id, attempt, "first") is not None
    assert run_backtest(world.bench(), experiment.experiment_id, attempt, "second") is None
    assert [one.run_id for one in world.attempts(experiment.experiment_id)] == ["first"]


def test_a_run_told_to_leave_returns_to_the_queue_with_its_checkpoints(world: World) -> None:
    experiment = world.queued()
    attempt = world.admitted(experiment)
    with world.database.connect() as session:
        tell(session, experiment.experiment_id, attempt, "TIER1_RUNNING US_EQ", forced=False)
    assert run_backtest(world.bench(), experiment.experiment_id, attempt, "run") is None
    (one,) = world.attempts(experiment.experiment_id)
    assert one.outcome is AttemptOutcome.PREEMPTED and one.why == "TIER1_RUNNING US_EQ"
    assert world.now(experiment).status is QUEUED and world.runner.closed == 1


def test_a_run_leaves_by_itself_before_the_window(world: World) -> None:
    experiment = world.queued()
    attempt = world.admitted(experiment, leave_in=-1.0)
    assert run_backtest(world.bench(), experiment.experiment_id, attempt, "run") is None
    assert world.attempts(experiment.experiment_id)[0].outcome is AttemptOutcome.PREEMPTED


def test_what_is_cancelled_while_it_runs_leaves_nothing(world: World) -> None:
    experiment = world.queued()
    attempt = world.admitted(experiment)
    cancel(world.workplace, experiment.experiment_id, "ben", "no longer wanted")
    assert run_backtest(world.bench(), experiment.experiment_id, attempt, "run") is None
    assert world.attempts(experiment.experiment_id)[0].outcome is AttemptOutcome.CANCELLED
    assert world.now(experiment).status is REJECTED and world.runner.ran == []


def test_an_attempt_that_lost_the_experiment_in_the_middle_writes_no_result(database: Database, tmp_path: Path) -> None:
    eager = policy()
    terms = eager.backtests.model_copy(update={"heartbeat": timedelta(0)})
    with backtest_world(database, tmp_path, eager.model_copy(update={"backtests": terms})) as world:
        experiment = world.queued()

        class Cancelled(Direct):
            def run(self, task: Any, watch: Any) -> Any:
                made = super().run(task, watch)
                if task.piece == "fold-002":
                    cancel(world.workplace, experiment.experiment_id, "ben", "changed my mind")
                return made

        object.__setattr__(world, "runner", Cancelled())
        assert ran(world, experiment) is None
        assert experiment_results(world.database, experiment.experiment_id).periods == ()
        assert world.runner.ran == ["fold-001", "fold-002"]


def test_a_failure_that_would_come_again_rejects_the_experiment(world: World) -> None:
    experiment = world.queued()
    world.runner.fails["fold-001"] = BacktestFailed("the config is refused: no such market", final=True)
    with pytest.raises(BacktestFailed):
        ran(world, experiment)
    now = world.now(experiment)
    assert now.status is REJECTED and "no such market" in now.metadata["reason"]


def test_a_backtest_in_which_nothing_is_decided_rejects_the_experiment_with_the_reason(world: World) -> None:
    experiment = world.queued()
    world.runner.gives = lambda _: Produced.nothing()
    with pytest.raises(BacktestFailed, match="from 1995-01-03 to 1996-12-31: no decisions"):
        ran(world, experiment)
    now = world.now(experiment)
    assert now.status is REJECTED and "decides nothing on these dates" in now.metadata["reason"]
    assert len(world.attempts(experiment.experiment_id)) == 1


def test_a_config_that_decides_nothing_beside_a_base_that_does_is_rejected_with_the_reason(world: World) -> None:
    experiment = world.queued()

    def of_the_base_alone(task: Task) -> Produced:
        made, base = produce(task), pl.col("config_id") == experiment.base_config_id
        decisions = made.decisions.filter(base)
        return replace(made, decisions=decisions, outcomes=made.outcomes.join(decisions, on="decision_id", how="semi"))

    world.runner.gives = of_the_base_alone
    with pytest.raises(BacktestFailed, match=f"{experiment.proposed_config_id} from 1995-01-03 to 1996-12-31: no dec"):
        ran(world, experiment)
    assert world.now(experiment).status is REJECTED


def test_an_experiment_that_fails_too_often_is_rejected_with_the_reason(world: World) -> None:
    experiment = world.queued()
    most = world.pipeline.policy.scheduler.retries.attempts
    for number in range(most):
        assert world.now(experiment).status is QUEUED
        world.runner.fails["fold-001"] = BacktestFailed(f"crash {number}")
        with pytest.raises(BacktestFailed):
            ran(world, experiment)
    now = world.now(experiment)
    assert now.status is REJECTED and f"crash {most - 1}" in now.metadata["reason"]


@pytest.mark.parametrize("kind", [BacktestFailed, RuntimeError])
def test_a_failure_in_characters_that_the_database_cannot_hold_is_told_without_them(
    world: World, kind: type[Exception]
) -> None:
    """What a server answers or a command writes may be any bytes."""
    experiment = world.queued()
    world.runner.fails["fold-001"] = kind("no \0 such \udce9 market")
    with pytest.raises(kind):
        ran(world, experiment)
    (attempt,) = world.attempts(experiment.experiment_id)
    assert (attempt.outcome, attempt.why) == (AttemptOutcome.CRASHED, "no \ufffd such \ufffd market")
    assert world.now(experiment).status is QUEUED


def test_a_final_failure_and_a_refusal_in_such_characters_stay_what_they_are(world: World) -> None:
    experiment, other = world.queued(), world.queued(lookback=42)
    world.runner.fails["fold-001"] = BacktestFailed("no \0 such market", final=True)
    with pytest.raises(BacktestFailed):
        ran(world, experiment)
    now = world.now(experiment)
    assert now.status is REJECTED and "no \ufffd such market" in now.metadata["reason"]
    world.runner.fails["scenario-gaps"] = BacktestFailed("too \0 few \ud800 sessions", final=True)
    done = ran(world, other)
    assert done is not None
    whole = experiment_results(world.database, done.experiment_id).whole
    assert whole is not None and whole.detail["scenarios"]["gaps"]["refused"] == "too \ufffd few \ufffd sessions"


def test_a_scenario_that_cannot_be_played_is_a_stated_outcome(world: World) -> None:
    world.runner.fails["scenario-gaps"] = BacktestFailed("too few sessions", final=True)
    done = ran(world, world.queued())
    assert done is not None
    whole = experiment_results(world.database, done.experiment_id).whole
    assert whole is not None and whole.detail["scenarios"]["gaps"]["refused"] == "too few sessions"


def test_an_unexpected_error_is_not_swallowed(world: World) -> None:
    experiment = world.queued()
    world.runner.fails["fold-001"] = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        ran(world, experiment)
    assert world.attempts(experiment.experiment_id)[0].outcome is AttemptOutcome.CRASHED


def test_continued_testing_reaches_further_and_keeps_the_earlier_result(world: World) -> None:
    experiment = world.queued(end_date=END.replace(year=1995))
    assert ran(world, experiment) is not None
    requeue(world.workplace, experiment.experiment_id, "ben", "another year", end_date=END)
    again = ran(world, experiment, "second")
    assert again is not None and again.status is REVIEW
    whole = experiment_results(world.database, experiment.experiment_id).whole
    assert whole is not None and whole.period_end == END


@pytest.mark.parametrize(
    ("author", "outcome", "label"),
    [
        ("Kronos", ExpectedOutcome.CANDIDATE, EvidenceLabel.AUTO_PRESCREEN),
        ("Kronos", ExpectedOutcome.NEGATIVE_CONTROL, EvidenceLabel.CONTROL),
    ],
)
def test_the_label_is_of_the_path_taken(
    world: World, author: str, outcome: ExpectedOutcome, label: EvidenceLabel
) -> None:
    done = ran(world, world.queued(author, expected_outcome=outcome))
    assert done is not None
    assert {one.evidence for one in experiment_results(world.database, done.experiment_id).periods} == {label}


def test_every_move_is_in_the_chain(world: World) -> None:
    experiment = world.queued()
    assert ran(world, experiment) is not None
    with world.database.connect(Role.READER) as session:
        found = list(entries(session))
    assert verify(found).broken is None
    moves = [entry.to_status for entry in found if entry.subject == "experiment"]
    assert moves == ["PENDING", QUEUED, RUNNING, REVIEW]


def test_pieces_of_an_experiment_lie_apart_from_those_of_others(world: World) -> None:
    first, second = world.queued(), world.queued(lookback=42)
    assert ran(world, first) is not None and ran(world, second) is not None
    for one in (first, second):
        own = lake_of(world.pipeline.lake, str(one.experiment_id)).scan(f"{BACKTESTS}cells")
        assert own.select(*PIECE_KEY).unique().collect().height == PIECES
    assert set(rows(world, first, "cells")["config_id"]) == {"proposed", "portfolio-momentum-hasty"}
