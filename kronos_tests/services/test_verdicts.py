"""An experiment's backtest, judged: over the sandbox's engines, a real database and a real lake."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kronos.core.backtests.attempts import AttemptOutcome
from kronos.core.backtests.runner import Produced
from kronos.core.backtests.spec import Task
from kronos.core.changes.model import Experiment
from kronos.core.frames import CELLS
from kronos.core.gates.evidence import ScenarioLoss
from kronos.core.gates.model import Gate, GateVerdict
from kronos.core.gates.page import markdown
from kronos.core.gates.policy import GatePolicy
from kronos.core.gates.record import VerdictRecord
from kronos.core.scenarios.battery import Battery, HistoricalWindow
from kronos.errors import BacktestFailed, BadValue, ChangeRefused, NotJudged
from kronos.lake.backtests import BacktestRecord, lake_of
from kronos.sandbox.backtest import produce
from kronos.sandbox.configs import CONFIGS, HANDICAPPED_INCUMBENT
from kronos.services.attempts import hand_back
from kronos.services.backtest import run_backtest
from kronos.services.controls import collect_suites, start_suites
from kronos.services.experiments import cancel, requeue
from kronos.services.gate_evidence import Backtest, gate_evidence, observed_now, read_backtest
from kronos.services.gate_policies import change_gate_policy, gate_policy
from kronos.services.performance import Performance
from kronos.services.pipeline import CELL_TABLES
from kronos.services.verdicts import judge_experiment, unjudged_experiments, verdict_history, verdict_of
from kronos.services.workplace import any_config
from kronos.store.database import Database, Role
from kronos.store.trials import count_trials
from kronos_tests.services.backtest_world import BODY, NOW, World, backtest_world, policy, short
from kronos_tests.services.control_world import judge_suite

EARNED = ("return", "pnl", "cost", "turnover", "drawdown")


@contextmanager
def tried(world: World, **changes: Any) -> Iterator[Experiment]:
    """An experiment whose backtest is done."""
    experiment = world.queued(**changes)
    run_backtest(world.bench(), experiment.experiment_id, world.admitted(experiment), "run")
    yield world.now(experiment)


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    terms = policy().model_copy(update={"backtests": short(probes=2, neighbours=2)})
    with backtest_world(database, tmp_path, terms) as found:
        yield found


def judged(world: World, experiment: Experiment) -> VerdictRecord:
    return judge_experiment(world.workplace, world.pipeline, experiment.experiment_id, NOW.date())


def reasons(found: VerdictRecord, gate: Gate) -> set[str]:
    (one,) = (one for one in found.report["gates"] if one["gate"] == gate)
    return {finding["reason"] for finding in one["findings"]}


def test_two_years_are_too_few_for_a_verdict_and_the_page_says_how_many_are_needed(world: World) -> None:
    with tried(world) as experiment:
        found = judged(world, experiment)
    assert found.verdict is not GateVerdict.PASS and Gate.EVIDENCE in found.refused_by
    assert "LOW_POWER" in reasons(found, Gate.EVIDENCE)


def test_the_evidence_is_what_the_backtest_wrote(world: World) -> None:
    """Probed, covered, replayed, its constraints recomputed, with neighbours and scenarios beside."""
    with tried(world) as experiment:
        found = judged(world, experiment)
    assert {"REPRODUCED", "NO_LOOK_AHEAD", "FRESH_INPUTS", "COVERED"} <= reasons(found, Gate.INTEGRITY)
    assert reasons(found, Gate.HARD_CONSTRAINTS) == {"KEPT", "NONE_REPORTED"}
    slices = {one["slice"] for gate in found.report["gates"] for one in gate["findings"]}
    assert {"scenario:gaps", "scenario:summer", "market:US_EQ", "market:US_FUT", "regime:STRESS"} <= slices
    assert len(found.report["about"]["neighbours"]) > 0


def test_the_page_names_the_dates_compared_and_the_windows_outside_them(world: World) -> None:
    object.__setattr__(world.pipeline.policy.backtests, "battery", None)
    with tried(world) as experiment:
        found = judged(world, experiment)
    about, (gate,) = found.report["about"], (one for one in found.report["gates"] if one["gate"] == Gate.EVIDENCE)
    (matched,) = (one for one in gate["findings"] if one["metric"] == "matched dates")
    assert about["compared"]["dates"] == matched["value"]
    assert about["start"] <= about["compared"]["first"] < about["compared"]["last"] <= about["end"]
    said = markdown(found)
    assert f"{about['compared']['dates']} dates, from {about['compared']['first']}" in said
    assert "pandemic-2020 (2020-02-19 to 2020-03-23)" in said and about["windows_before"] == []


def test_the_same_backtest_is_judged_once_and_to_the_same_digest(world: World) -> None:
    with tried(world) as experiment:
        first, second = judged(world, experiment), judged(world, experiment)
    assert first == second and len(verdict_history(world.database, experiment.experiment_id)) == 1


def test_the_incumbents_own_parameters_are_a_duplicate(world: World) -> None:
    from kronos.sandbox.configs import CONFIGS

    body = next(one.body for one in CONFIGS if one.config_id == "portfolio-momentum-hasty")
    with tried(world, proposed_config=body) as experiment:
        found = judged(world, experiment)
    assert found.verdict is GateVerdict.INVALID and "DUPLICATE" in reasons(found, Gate.INTEGRITY)


def original(world: World, experiment: Experiment) -> bool:
    (said,) = {"ORIGINAL", "DUPLICATE"} & reasons(judged(world, experiment), Gate.INTEGRITY)
    return said == "ORIGINAL"


def test_a_registered_config_that_was_never_judged_can_be_proposed(world: World) -> None:
    """What Kronos proposes by itself is nothing else."""
    body = next(one.body for one in CONFIGS if one.engine_name == "PORTFOLIO" and not one.incumbent)
    with tried(world, proposed_config=body) as experiment:
        assert original(world, experiment)


def test_of_the_same_parameters_handed_in_twice_the_one_that_is_seen_later_is_the_duplicate(world: World) -> None:
    """Whichever was handed in or judged first: else so many copies would be as many first looks at one config."""
    later = world.queued(lookback=42)
    cancel(world.workplace, world.queued(lookback=42).experiment_id, "ann", "again by mistake")
    with tried(world, lookback=42) as first:
        run_backtest(world.bench(), later.experiment_id, world.admitted(later), "later")
        assert not original(world, later), "the results of the first could be read"
        assert original(world, first)
    with tried(world, lookback=42) as third:
        assert not original(world, third)


def test_results_that_were_seen_and_never_judged_take_the_parameters(world: World) -> None:
    """Else who does not like what he sees cancels, and tries the same over other dates as a first look."""
    with tried(world, lookback=42) as first:
        cancel(world.workplace, first.experiment_id, "ann", "not these dates")
    with tried(world, lookback=42, start_date=date(1995, 7, 3)) as again:
        assert not original(world, again)


def test_a_config_body_says_nothing_of_the_number_of_trials(world: World) -> None:
    """Only a control may tell from how many it was chosen: outside the sandbox a body may hold any key."""

    def without_the_key(task: Task) -> Produced:
        bodies = [{name: it for name, it in one.config_body.items() if name != "control"} for one in task.subjects]
        plain = zip(task.subjects, bodies, strict=True)
        subjects = tuple(one.model_copy(update={"config_body": body}) for one, body in plain)
        return produce(task.model_copy(update={"subjects": subjects}))

    world.runner.gives = without_the_key
    elsewhere = replace(world, workplace=replace(world.workplace, check_config=any_config))
    sly = {**BODY, "lookback": 50, "control": {"trials": -1_000}}
    with tried(elsewhere, proposed_config=sly) as experiment:
        found = judge_experiment(elsewhere.workplace, world.pipeline, experiment.experiment_id, NOW.date())
    with world.database.connect(Role.READER) as session:
        assert found.report["about"]["trials"] == count_trials(session, "PORTFOLIO").real > 1


def test_evidence_that_ends_too_long_before_the_datas_present_is_stale(world: World) -> None:
    from datetime import timedelta

    with tried(world) as experiment:
        later = NOW.date() + timedelta(days=100)
        found = judge_experiment(world.workplace, world.pipeline, experiment.experiment_id, later)
    assert "STALE" in reasons(found, Gate.INTEGRITY)


def test_evidence_is_as_old_as_the_last_outcome_that_is_there(world: World) -> None:
    """Dates that are due and have no outcome do not make it fresh."""
    until, known = date(1996, 8, 30), date(1996, 9, 3)

    def without_the_last_outcomes(task: Task) -> Produced:
        made = produce(task)
        gone = made.decisions.filter(pl.col("as_of_date") > until)
        return Produced(made.decisions, made.outcomes.join(gone, on="decision_id", how="anti"))

    world.runner.gives = without_the_last_outcomes
    with tried(world) as experiment:
        found = judged(world, experiment)
    assert found.data_until == known and "STALE" in reasons(found, Gate.INTEGRITY)


def test_costs_and_turnover_that_no_outcome_reports_are_unknown(world: World) -> None:
    """They are not taken for free and idle."""

    def silent(task: Task) -> Produced:
        made = produce(task)
        nothing = pl.lit(None, dtype=pl.Float64)
        return Produced(made.decisions, made.outcomes.with_columns(cost=nothing, turnover=nothing))

    world.runner.gives = silent
    with tried(world) as experiment:
        found = judged(world, experiment)
    assert "NO_COSTS" in reasons(found, Gate.STRESS) and "NO_TURNOVER" in reasons(found, Gate.NO_DEGRADATION)


def test_beside_an_incumbent_that_only_forecasts_a_book_is_still_held_to_its_limits(world: World) -> None:
    """And refused: their scores would say nothing of what it risks."""

    def only_the_proposed_earns(task: Task) -> Produced:
        made = produce(task)
        theirs = pl.col("config_id") == HANDICAPPED_INCUMBENT
        weight = pl.when(theirs).then(None).otherwise(10.0 * pl.col("weight")).alias("weight")
        of_them = made.decisions.filter(theirs)["decision_id"]
        earning = ~pl.col("decision_id").is_in(of_them.implode())
        event = (pl.col("return") > 0.0).cast(pl.Float64).alias("event")
        kept = [pl.when(earning).then(pl.col(name)).alias(name) for name in EARNED]
        decisions = made.decisions.with_columns(weight, probability=pl.lit(0.6))
        return Produced(decisions, made.outcomes.with_columns(event, *kept))

    world.runner.gives = only_the_proposed_earns
    with tried(world) as experiment:
        found = judged(world, experiment)
    assert found.report["about"]["metric"] != "sharpe" and found.verdict is GateVerdict.FAIL
    assert "DIFFERENT_KIND" in reasons(found, Gate.INTEGRITY)
    assert "VIOLATED" in reasons(found, Gate.HARD_CONSTRAINTS)


def test_a_result_whose_tables_are_gone_is_invalid(world: World) -> None:
    """Numbers that stand in the database with nothing left to read them again from."""
    with tried(world) as experiment:
        shutil.rmtree(lake_of(world.pipeline.lake, str(experiment.experiment_id)).uri)
        found = judged(world, experiment)
    assert found.verdict is GateVerdict.INVALID and "NO_RECORD" in reasons(found, Gate.INTEGRITY)


def replayed_live(world: World, backtest: Backtest) -> pl.DataFrame:
    """LIVE cells of an incumbent that did what its replay did."""
    record = BacktestRecord(world.pipeline.lake, backtest.spec.experiment_id, backtest.marks)
    of_replay = {"config_id": HANDICAPPED_INCUMBENT, "experiment_id": backtest.spec.experiment_id}
    replayed = record.scan("cells").filter(**of_replay).collect()
    return replayed.select(*CELLS).with_columns(mode=pl.lit("LIVE"), experiment_id=pl.lit(""))


def observe(world: World, cells: pl.DataFrame) -> None:
    world.pipeline.lake.write_months("cells", cells, sorted(cells["month"].unique()))


def test_evidence_is_read_again_as_it_was_whatever_was_observed_since(world: World) -> None:
    with tried(world) as experiment:
        backtest = read_backtest(world.database, experiment)
        live = replayed_live(world, backtest)
        observe(world, live)
        verdict = judged(world, experiment)
        assert "AS_LIVE" in reasons(verdict, Gate.IMPROVEMENT)
        observe(world, live.with_columns(weighted_return=-3.0 * pl.col("weighted_return")))

        def digest(observed: Mapping[str, str]) -> str:
            policy = gate_policy(world.database, "PORTFOLIO").policy
            told = date.fromisoformat(verdict.report["about"]["data_now"])
            return gate_evidence(world.pipeline, backtest, policy, told, observed).digest

        assert digest(verdict.lake) == verdict.evidence_digest != digest(observed_now(world.pipeline.lake))
        assert set(verdict.lake) == {*backtest.marks, *CELL_TABLES}
        again = judged(world, experiment)
        assert "REPLAY_DIFFERS" in reasons(again, Gate.IMPROVEMENT) and again.lake["cells"] != verdict.lake["cells"]


def test_a_replay_is_held_against_what_the_incumbent_did_in_the_replays_markets(world: World) -> None:
    """Elsewhere it may trade as it likes: the replay says nothing of that."""
    with tried(world) as experiment:
        backtest = read_backtest(world.database, experiment)
        live = replayed_live(world, backtest)
        elsewhere = live.filter(pl.col("market_id") == "US_EQ").with_columns(
            market_id=pl.lit("EU_EQ"), weighted_return=-3.0 * pl.col("weighted_return")
        )
        observe(world, pl.concat([live, elsewhere]))
        assert "EU_EQ" not in backtest.spec.markets
        assert "AS_LIVE" in reasons(judged(world, experiment), Gate.IMPROVEMENT)


def test_a_probe_that_was_refused_on_one_of_its_dates_is_no_probe(world: World) -> None:
    """The date it could not be asked about may be the one that leaks."""
    refused: set[str] = set()

    def once_picky(task: Task) -> Produced:
        if task.altered is not None and refused <= {task.piece}:
            refused.add(task.piece)
            raise BacktestFailed("engine failed", final=True)
        return produce(task)

    world.runner.gives = once_picky
    with tried(world) as experiment:
        found = judged(world, experiment)
    (gate,) = (one for one in found.report["gates"] if one["gate"] == Gate.INTEGRITY)
    said = {one["metric"]: one for one in gate["findings"]}
    assert said["probe repeat"]["reason"] == "REPRODUCED" and said["probe future"]["reason"] == "NOT_PROBED"
    assert "1 of its dates" in said["probe future"]["detail"] and "engine failed" in said["probe future"]["detail"]


def test_a_window_of_history_before_the_incumbent_decides_is_about_what_decided_in_it(world: World) -> None:
    """Signals that take a year to be warm say nothing of that year; what decides in it has lost what it lost."""
    with tried(world) as experiment:
        backtest = read_backtest(world.database, experiment)
    proposed, first = backtest.experiment.proposed_config_id, backtest.spec.start
    early = HistoricalWindow(name="early", about="", start=first - timedelta(days=60), end=first - timedelta(days=1))
    inside = HistoricalWindow(name="inside", about="", start=first, end=backtest.spec.end)
    battery = Battery(scenarios=(early, inside))
    loss = {"metrics": {"max_dd": -0.1}, "observations": {"max_dd": 500}, "coverage": {"valid": 500, "due": 500}}

    def losses(**configs: Any) -> list[ScenarioLoss]:
        told = {name: {"about": "", "configs": configs} for name in ("early", "inside")}
        changed = replace(
            backtest,
            spec=backtest.spec.model_copy(update={"battery": battery}),
            whole=replace(backtest.whole, detail={**backtest.whole.detail, "scenarios": told}),
        )
        return list(gate_evidence(world.pipeline, changed, GatePolicy(), NOW.date(), {}).scenarios)

    silent = "one of the two has no number there"
    assert losses() == [ScenarioLoss("inside", "", None, None, silent)]
    assert losses(**{proposed: loss}) == [
        ScenarioLoss("early", "", 0.1, None), ScenarioLoss("inside", "", 0.1, None, silent)
    ]  # fmt: skip
    assert losses(**{str(backtest.spec.incumbent): loss})[0] == ScenarioLoss("early", "", None, 0.1, silent)
    few = loss | {"observations": {"max_dd": 30}}
    assert [one.thin for one in losses(**{proposed: few})] == [
        "the config: 30 dates: 38 needed", "the config: 30 dates: 60 needed"
    ]  # fmt: skip


def test_losses_in_scenarios_are_those_of_single_sessions_whatever_the_horizon(world: World) -> None:
    object.__setattr__(world.pipeline.policy, "primary_horizon", {"PORTFOLIO": 5})
    with tried(world) as experiment:
        backtest = read_backtest(world.database, experiment)
    record = Performance(
        BacktestRecord(world.pipeline.lake, str(experiment.experiment_id), backtest.marks),
        world.pipeline.policy,
        world.pipeline.recorded_by,
    )
    window = backtest.spec.battery.scenarios[0]
    assert isinstance(window, HistoricalWindow)
    single = record.engine_performance(
        "PORTFOLIO", experiment.proposed_config_id, window.start, window.end, horizon=1, mode="BACKTEST",
        experiment_id=str(experiment.experiment_id),
    )  # fmt: skip
    (summer,) = (one for one in _scenarios(world, backtest) if one.name == window.name)
    assert summer.proposed == pytest.approx(-single.metrics["max_dd"]) and summer.refused == summer.thin == ""
    shown = backtest.whole.detail["scenarios"][window.name]["configs"][experiment.proposed_config_id]
    assert shown["metrics"]["max_dd"] != shown["wealth"]["metrics"]["max_dd"]


def _scenarios(world: World, backtest: Backtest) -> tuple[ScenarioLoss, ...]:
    return gate_evidence(world.pipeline, backtest, GatePolicy(), NOW.date(), {}).scenarios


def test_without_outcomes_of_single_sessions_no_scenario_is_judged(world: World) -> None:
    object.__setattr__(world.pipeline.policy, "primary_horizon", {"PORTFOLIO": 5})

    def slow(task: Task) -> Produced:
        made = produce(task)
        return Produced(made.decisions, made.outcomes.filter(pl.col("horizon") != 1))

    world.runner.gives = slow
    with tried(world) as experiment:
        found = _scenarios(world, read_backtest(world.database, experiment))
    assert found and all("no outcome of a single session is due" in one.refused for one in found)


def hiding(piece: str) -> Callable[[Task], Produced]:
    """A runner that tells no outcome of the proposed config in a piece."""

    def gives(task: Task) -> Produced:
        made = produce(task)
        if task.piece != piece:
            return made
        mine = made.decisions.filter(config_id=task.subjects[0].config_id)["decision_id"].implode()
        return Produced(made.decisions, made.outcomes.filter(~pl.col("decision_id").is_in(mine)))

    return gives


def test_a_whole_fold_without_an_outcome_of_the_config_is_missing(world: World) -> None:
    """Who lost in it would else be judged by the other folds alone, with every outcome there."""
    world.runner.gives = hiding("fold-002")
    with tried(world) as experiment:
        found = judged(world, experiment)
    assert found.verdict is GateVerdict.INVALID and "COVERAGE" in reasons(found, Gate.INTEGRITY)
    assert "COVERAGE" in reasons(found, Gate.NO_DEGRADATION)


def test_an_experiment_that_is_not_done_is_not_judged(world: World) -> None:
    with pytest.raises(ChangeRefused, match="QUEUED_FOR_BACKTEST: expected AWAITING_REVIEW"):
        judged(world, world.queued())


def test_before_it_is_judged_an_experiment_has_no_verdict_and_it_is_said_what_it_waits_for(world: World) -> None:
    with pytest.raises(NotJudged, match=r"no verdict: its status is QUEUED_FOR_BACKTEST$"):
        verdict_of(world.database, world.queued(lookback=41).experiment_id)
    with tried(world) as experiment, pytest.raises(NotJudged, match="AWAITING_REVIEW, and it is judged in minutes"):
        verdict_of(world.database, experiment.experiment_id)


def test_what_nobody_judged_is_found_until_it_is(world: World) -> None:
    with tried(world) as experiment:
        waiting = unjudged_experiments(world.database, "test", seconds=0.0)
        judged(world, experiment)
    assert [one.experiment_id for one in waiting] == [experiment.experiment_id]
    assert unjudged_experiments(world.database, "test", seconds=0.0) == []


def test_what_its_run_will_judge_when_the_batch_is_through_is_left_alone(world: World) -> None:
    with tried(world) as experiment:
        other = world.queued(lookback=41)
        attempt = world.admitted(other, lead=experiment)
        during = unjudged_experiments(world.database, "test", seconds=0.0)
        hand_back(world.workplace, other.experiment_id, attempt, AttemptOutcome.LOST, "gone")
        just_after = unjudged_experiments(world.database, "test")
        later = unjudged_experiments(world.database, "test", seconds=0.0)
    assert (during, just_after) == ([], []) and [one.experiment_id for one in later] == [experiment.experiment_id]


def test_a_new_gate_policy_asks_for_a_new_verdict(world: World) -> None:
    with tried(world) as experiment:
        first = judged(world, experiment)
        body = GatePolicy().model_dump(mode="json") | {"evidence": {"detectable_ratio": 2.0}}
        change_gate_policy(world.as_admin(), "*", body, "larger edges only", 1)
        again = judged(world, experiment)
    assert unjudged_experiments(world.database, "test", seconds=0.0) == []
    assert (first.policy_version, again.policy_version, again.look) == (1, 2, 1)


def test_other_code_judges_again_what_no_suite_proves_and_leaves_alone_what_one_does(world: World) -> None:
    with tried(world) as experiment:
        first = judged(world, experiment)
        object.__setattr__(world.workplace, "code_version", "edited")
        waiting = unjudged_experiments(world.database, "edited", seconds=0.0)
        again = judged(world, experiment)
    assert [one.experiment_id for one in waiting] == [experiment.experiment_id]
    assert (first.code_version, again.code_version, again.look) == ("test", "edited", 1)
    assert (again.verdict, again.evidence_digest) == (first.verdict, first.evidence_digest)
    assert verdict_of(world.database, experiment.experiment_id) == again == judged(world, experiment)
    assert unjudged_experiments(world.database, "edited", seconds=0.0) == []
    start_suites(world.workplace, world.pipeline.lake, NOW, experiment.engine_name)
    judge_suite(world)
    assert len(collect_suites(world.workplace, NOW)) == 1
    object.__setattr__(world.workplace, "code_version", "next")
    assert unjudged_experiments(world.database, "next", seconds=0.0) == []
    assert judged(world, experiment) == again


def test_a_bad_policy_is_refused_by_name_and_the_old_one_stays(world: World) -> None:
    before = gate_policy(world.database, "PORTFOLIO").version
    with pytest.raises(BadValue, match=r"gate policy stress\.loss_ration"):
        change_gate_policy(world.as_admin(), "*", {"stress": {"loss_ration": 2}}, "a slip", 1)
    assert gate_policy(world.database, "PORTFOLIO").version == before


def test_tested_again_it_is_the_second_look_at_a_smaller_part_of_alpha(world: World) -> None:
    with tried(world) as experiment:
        first = judged(world, experiment)
    requeue(world.workplace, experiment.experiment_id, "ann", "continue testing")
    run_backtest(world.bench(), experiment.experiment_id, world.admitted(experiment), "again")
    second = judged(world, experiment)
    levels = [one.report["about"]["level"] for one in (first, second)]
    assert (first.look, second.look) == (1, 2) and levels[1] < levels[0]
