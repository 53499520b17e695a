"""The runner the policy names for an engine: chosen, heard, and giving what the same engine gives in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kronos.core.backtests.runner import ChosenRunner
from kronos.core.backtests.spec import Subject, Task
from kronos.core.changes.model import Experiment
from kronos.core.frames import DECISIONS
from kronos.core.scenarios.battery import Battery, ShockOverlay
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import BacktestFailed, BadValue
from kronos.sandbox.backtest import produce
from kronos.sandbox.engines.contract import SANDBOX_DECISIONS
from kronos.sandbox.rows import decision_rows, outcome_rows
from kronos.services.attempts import Bench
from kronos.services.backtest import run_backtest
from kronos.services.backtest_spec import backtest_spec
from kronos.services.bench import bench_over
from kronos.services.experiments import experiment_results
from kronos.services.refresh import refresh_cells, refresh_facts
from kronos.services.runners import choose_runner
from kronos.services.workplace import check_sandbox_config
from kronos.store.backtests import specs_of
from kronos.store.clock import move_clock
from kronos.store.database import Database, Role
from kronos.store.source_writer import copy_rows
from kronos.store.trials import list_trials
from kronos_tests.backtesting import numbers
from kronos_tests.backtests.upstream import QUICK, upstream
from kronos_tests.builders import decision, insert
from kronos_tests.services.backtest_world import LAST_SESSION, NOW, START, World, backtest_world, policy, short

PROGRAM = """
from dagster_pipes import open_dagster_pipes
from kronos.core.backtests.spec import Task
from kronos.sandbox.backtest import produce

with open_dagster_pipes() as pipes:
    task = Task.model_validate(pipes.get_extra("task"))
    pipes.log.info(f"playing {task.piece}")
    made = produce(task)
    made.decisions.write_parquet(pipes.get_extra("decisions_path"))
    made.outcomes.write_parquet(pipes.get_extra("outcomes_path"))
"""
"""The reference engines as somebody else's command."""
MARKETS = ["US_EQ", "US_FUT"]
COMMAND = {
    "kind": "command",
    "command": [sys.executable, "-c", PROGRAM],
    "markets": MARKETS,
    "alters": True,
    "scenarios": True,
}
GAPS = ShockOverlay(name="gaps", about="falls", gap=-0.05, gap_count=3, years=1.0)
"""Over the second of an experiment's two years."""


ONE_DAY = Task(
    piece="fold-001",
    experiment_id="e",
    engine_name="PORTFOLIO",
    markets=("US_EQ",),
    subjects=(Subject(config_id="new", config_body={}),),
    start=LAST_SESSION,
    end=LAST_SESSION,
    train_until=START,
    data_until=LAST_SESSION,
)


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    terms = policy().model_copy(
        update={"backtests": short(probes=1, neighbours=0, fold_months=12, battery=Battery(scenarios=(GAPS,)))}
    )
    with backtest_world(database, tmp_path, terms) as found:
        yield found


def bench_with(world: World, runners: Mapping[str, Mapping[str, Any]], said: list[str]) -> Bench:
    """As a run worker has it, under the world's policy with these runners."""
    terms = world.pipeline.policy
    named = terms.model_copy(update={"backtests": terms.backtests.model_copy(update={"runners": runners})})
    bench = bench_over(world.settings, replace(world.pipeline, policy=named), NOW, said.append)
    return replace(bench, workplace=replace(world.workplace, policy=named))


def results(world: World, bench: Bench, experiment: Experiment) -> str:
    """All that is stored of its backtest, but whose it is and what ran it."""
    done = run_backtest(bench, experiment.experiment_id, world.admitted(experiment), "run")
    assert done is not None and done.status is ExperimentStatus.AWAITING_REVIEW
    found = experiment_results(world.database, experiment.experiment_id).to_json_dict()
    with world.database.connect(Role.READER) as session:
        specs = specs_of(session, experiment.experiment_id)
    shown = numbers(found, specs)
    for one in specs:
        shown = shown.replace(f'"{one.runner_is}"', "null")
    return shown


def test_a_command_gives_what_the_same_engine_gives_here_and_what_it_says_is_heard(world: World) -> None:
    said: list[str] = []
    theirs = results(world, bench_with(world, {"*": COMMAND}, said), world.queued())
    ours = results(world, world.bench(), world.queued())
    assert theirs.replace('"command"', '"sandbox"') == ours
    assert {"playing fold-001", "playing fold-002", "playing scenario-gaps"} <= set(said)


def plays(database: Database, body: Mapping[str, Any]) -> None:
    """What upstream makes of a job: the reference engine's rows, in its own tables."""
    kronos = body["kronos"]
    subject = {"config_id": kronos["config_id"], "config_body": body["config_overrides"]}
    task = {
        **{name: value for name, value in kronos.items() if name != "config_id"},
        **{"subjects": [subject], "markets": [body["market_id"]], "seed": body["seed"]},
        **{"start": body["start_date"], "end": body["end_date"]},
    }
    made = produce(Task.model_validate_json(json.dumps(task)))
    unread = [pl.lit(None, dtype).alias(name) for name, dtype in SANDBOX_DECISIONS.items() if name not in DECISIONS]
    with database.connect(Role.UPSTREAM) as session:
        copy_rows(session, "engine_decisions", decision_rows(made.decisions.with_columns(unread)))
        copy_rows(session, "decision_outcomes", outcome_rows(made.outcomes))


def test_upstream_gives_what_the_same_engine_gives_here_and_how_far_it_is_is_heard(world: World) -> None:
    said: list[str] = []
    with upstream() as control:
        control.plays, control.more = partial(plays, world.database), {"progress": 0.5}
        api: dict[str, Any] = {
            "kind": "prometheus_api",
            "url": control.url,
            "markets": ["US_EQ"],
            "scenarios": True,
            **QUICK,
        }
        theirs = results(world, bench_with(world, {"PORTFOLIO": api}, said), world.queued())
    here = ChosenRunner("sandbox", lambda: world.runner, ("US_EQ",))
    ours = results(world, replace(world.bench(), choose=lambda _: here), world.queued())
    assert theirs.replace('"prometheus_api"', '"sandbox"') == ours and '"refused"' not in ours
    words = {line.rpartition(": ")[2] for line in said}
    assert {"PENDING 0.5", "RUNNING 0.5", "SUCCESS 0.5", "1 of 4 pieces", "4 of 4 pieces"} <= words


def test_a_neighbour_that_upstream_skips_is_left_out_and_one_that_it_plays_is_no_trial(world: World) -> None:
    terms = world.pipeline.policy
    near = terms.model_copy(update={"backtests": terms.backtests.model_copy(update={"neighbours": 2, "probes": 0})})
    wide = replace(world, pipeline=replace(world.pipeline, policy=near))

    def statuses(number: int) -> list[str]:
        asked = control.requests[-1].body["kronos"]["config_id"].partition("~")[2]
        return ["SKIPPED"] if asked and asked == names.setdefault(0, asked) else ["SUCCESS"]

    names: dict[int, str] = {}
    with upstream() as control:
        control.plays, control.statuses = partial(plays, world.database), statuses
        control.more = {"logs": "out of the schema"}
        api: dict[str, Any] = {"kind": "prometheus_api", "url": control.url, "markets": ["US_EQ"], **QUICK}
        experiment = world.queued()
        results(world, bench_with(wide, {"*": api}, []), experiment)
        asked = [body["kronos"]["config_id"] for body in control.submitted() if "~" in body["kronos"]["config_id"]]
    whole = experiment_results(world.database, experiment.experiment_id).whole
    assert whole is not None
    said = [why.rpartition(": ")[2] for why in whole.detail["neighbours_left_out"].values()]
    assert said == ["out of the schema"]
    assert len(asked) == 3 and len(set(asked)) == 2  # one in the first fold alone, the other in both
    refresh_facts(world.pipeline, ["1996-06"], today=NOW.date())
    with world.database.connect(Role.READER) as session:
        assert not [one for one in list_trials(session) if "~" in (one.config_id or "")]


def test_rows_that_upstream_stamps_days_after_the_attempt_began_are_not_of_the_future(world: World) -> None:
    later = NOW + timedelta(days=3)

    def days_later(body: Mapping[str, Any]) -> None:
        stream = body["kronos"]["experiment_id"]
        made = decision("new", LAST_SESSION, config_id="new", timestamp=later, mode="BACKTEST", experiment_id=stream)
        insert(world.database, engine_decisions=[made])
        with world.database.connect(Role.ORCHESTRATOR) as session:
            assert move_clock(session, LAST_SESSION, later.date(), later)

    with upstream() as control:
        control.plays = days_later
        api: dict[str, Any] = {"kind": "prometheus_api", "url": control.url, "markets": ["US_EQ"], **QUICK}
        runner = bench_with(world, {"*": api}, []).choose(world.queued()).open()
        produced = runner.run(ONE_DAY, lambda: None)
    assert (produced.decisions["decided_at"].to_list(), produced.rejected.height) == ([later], 0)


def test_upstream_owes_no_decision_on_a_sunday_and_no_outcome_before_the_primary_horizon(world: World) -> None:
    terms = world.pipeline.policy.model_copy(update={"primary_horizon": {"PORTFOLIO": 21}})
    far = replace(world, pipeline=replace(world.pipeline, policy=terms))

    def decides(body: Mapping[str, Any]) -> None:
        stream, day = body["kronos"]["experiment_id"], date.fromisoformat(body["start_date"])
        made = decision("new", day, config_id="new", mode="BACKTEST", experiment_id=stream)
        insert(world.database, engine_decisions=[made] if day.weekday() < 5 else [])

    with upstream() as control:
        control.plays = decides
        api: dict[str, Any] = {"kind": "prometheus_api", "url": control.url, "markets": ["US_EQ"], **QUICK}
        runner = bench_with(far, {"*": api}, []).choose(world.queued()).open()
        for day, decisions in ((date(1996, 12, 1), 0), (date(1996, 12, 2), 1)):
            task = ONE_DAY.model_copy(update={"start": day, "end": day})
            assert runner.run(task, lambda: None).decisions.height == decisions


def test_an_engine_of_its_own_goes_before_all_others(world: World) -> None:
    runners = {"*": COMMAND, "PORTFOLIO": {"kind": "command", "command": ["true"], "markets": ["US_FUT"]}}
    bench = bench_with(world, runners, [])
    assert bench.choose(world.queued()).markets == ("US_FUT",)


API = {"kind": "prometheus_api", "url": "http://upstream:8000"}


def dumping_as(whom: str) -> dict[str, Any]:
    """A command with somebody's credentials in an address."""
    return {"kind": "command", "command": ["run", f"--db=postgresql://{whom}db/x"]}


def digest_of(world: World, experiment: Experiment, runner: dict[str, Any]) -> str:
    """Of the experiment's spec under the runner."""
    bench = bench_with(world, {"*": {"markets": MARKETS, **runner}}, [])
    return backtest_spec(bench.pipeline, experiment, bench.choose(experiment), NOW, check_sandbox_config).digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (COMMAND, {**COMMAND, "command": ["true"]}),
        (COMMAND, {**COMMAND, "alters": False}),
        (COMMAND, {**COMMAND, "scenarios": False}),
        (API, {**API, "url": "http://another:8000"}),
        (API, {**API, "portfolio_id": "p"}),
    ],
)
def test_another_runner_of_the_same_kind_makes_another_backtest(
    world: World, one: dict[str, Any], other: dict[str, Any]
) -> None:
    experiment = world.queued()
    assert digest_of(world, experiment, one) != digest_of(world, experiment, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (COMMAND, {**COMMAND, "deadline_seconds": 9.0}),
        (API, {**API, "tries": 3, "poll_seconds": 1.0, "settle_seconds": 5.0}),
        (dumping_as("ann:old@"), dumping_as("ben:new@")),
        (dumping_as("ann:old@"), dumping_as("")),
    ],
)
def test_its_patience_and_its_credentials_make_none(world: World, one: dict[str, Any], other: dict[str, Any]) -> None:
    experiment = world.queued()
    assert digest_of(world, experiment, one) == digest_of(world, experiment, other)


def test_where_no_market_is_named_it_is_tested_where_the_engine_decided(world: World) -> None:
    """A decision that names none does not make one of it, unless no other says more."""
    lost = [decision("lost", LAST_SESSION, context_id="none", market_id=None)]
    lost.append(decision("nowhere", LAST_SESSION, engine_name="REGIME", context_id="none", market_id=None))
    insert(world.database, engine_decisions=lost)
    refresh_facts(world.pipeline, ["1996-12"], today=NOW.date())
    refresh_cells(world.pipeline, ["1996-12"])
    bench, experiment = bench_with(world, {"*": {"kind": "command", "command": ["true"]}}, []), world.queued()
    assert bench.choose(experiment).markets == ("US_EQ",)
    assert bench.choose(replace(experiment, engine_name="REGIME")).markets == ("UNKNOWN",)


def test_without_a_named_runner_the_sandbox_plays_its_own_engines(world: World) -> None:
    assert bench_with(world, {}, []).choose(world.queued()).name == "sandbox"


def test_upstreams_engines_without_a_runner_fail_for_good_and_say_what_is_missing(world: World) -> None:
    upstream = world.settings.model_copy(update={"source_url": "postgresql://upstream"})
    with pytest.raises(BacktestFailed, match="engine 'PORTFOLIO' has no runner: name one") as failed:
        choose_runner(upstream, world.pipeline, world.queued(), NOW, [].append)
    assert failed.value.final


@pytest.mark.parametrize(
    ("runner", "said"),
    [
        ({"kind": "carrier pigeon"}, "policy backtests.runners.PORTFOLIO"),
        ({"kind": "command", "command": []}, "policy backtests.runners.PORTFOLIO.command"),
        ({**COMMAND, "marketz": []}, "policy backtests.runners.PORTFOLIO.command.marketz"),
    ],
)
def test_a_runner_that_cannot_be_is_refused_by_name(world: World, runner: dict[str, Any], said: str) -> None:
    with pytest.raises(BadValue, match=said):
        bench_with(world, {"PORTFOLIO": runner}, []).choose(world.queued())
