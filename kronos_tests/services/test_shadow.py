"""Which facts are held against each other for an experiment, and what `kronos experiment shadow` says of them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from kronos.cli.shadow import shadow
from kronos.core.changes.model import Experiment
from kronos.core.changes.request import EngineDates, ExperimentRequest
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.fidelity_model import Fidelity, Gap, Safety
from kronos.errors import NotFound
from kronos.lake.backtests import BacktestRecord, lake_of
from kronos.lake.tables import Lake
from kronos.services.experiments import create_experiment
from kronos.services.market_hours import session_closes
from kronos.services.shadow import evidence_of, read_replay, read_shadow, shadow_evidence
from kronos.services.workplace import Workplace, any_config
from kronos.store.clock import SandboxClock, start_clock
from kronos.store.database import Database, Role
from kronos.store.engine_configs import register
from kronos_tests.core.reports.test_fidelity import frame, row

POLICY = ObservationPolicy()
CLOSES = session_closes(POLICY, ["US_EQ"], date(2020, 2, 3), date(2020, 4, 30))
LAST = CLOSES["session"].max()
NOW = datetime(2020, 5, 4, 2, tzinfo=UTC)


@pytest.fixture
def workplace(database: Database) -> Workplace:
    """A workplace with a config of an engine the sandbox does not know."""
    with database.connect(Role.ORCHESTRATOR) as session:
        register(
            session, config_id="base", engine_name="PORTFOLIO", version="1", config_body={}, created_by="t",
            created_at=datetime(2019, 1, 1, tzinfo=UTC),
        )  # fmt: skip
    dates = (date(2001, 1, 1), date(2020, 5, 1))
    return Workplace(database, POLICY, lambda _: EngineDates(dates, dates), any_config)


@pytest.fixture
def experiment(workplace: Workplace) -> Experiment:
    request = ExperimentRequest(
        engine_name="PORTFOLIO", base_config_id="base", proposed_config={"x": 1}, description="a test"
    )
    return create_experiment(workplace, request, "ann")


def decided(experiment: Experiment, mode: str = "SHADOW", **changes: Any) -> pl.DataFrame:
    """A decision of the experiment's config on every session, an hour after its close, daylight saving or not."""
    hour = timedelta(hours=1)
    rows = [
        row(day, config_id=experiment.proposed_config_id, month=f"{day:%Y-%m}", decided_at=closes_at + hour, **changes)
        for day, closes_at in CLOSES.select("session", "closes_at").iter_rows()
    ]
    return frame(rows, mode)


def stored(lake: Lake, *facts: pl.DataFrame) -> Lake:
    held = pl.concat(facts)
    lake.write_months("decision_facts", held, sorted(held["month"].unique()))
    return lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def test_the_evidence_is_of_the_experiments_config(experiment: Experiment) -> None:
    found = evidence_of(experiment, decided(experiment), decided(experiment, "BACKTEST"), POLICY, NOW.date())
    assert (found.fidelity, found.safety) == (Fidelity.MATCHES, Safety.CLEAN)
    assert (found.experiment_id, found.config_id) == (str(experiment.experiment_id), experiment.proposed_config_id)
    assert found.measures["latency_p50"].value == found.measures["latency_max"].value == 60.0


def test_its_shadow_is_what_names_it_or_no_experiment(lake: Lake, experiment: Experiment) -> None:
    own = str(experiment.experiment_id)
    others = [
        decided(experiment, "LIVE"), decided(experiment, experiment_id="another"),
        decided(experiment).with_columns(config_id=pl.lit("base")),
    ]  # fmt: skip
    stored(lake, decided(experiment), decided(experiment, experiment_id=own), *others)
    found = read_shadow(lake, experiment).collect()
    assert set(found["experiment_id"]) == {"", own}
    assert (set(found["mode"]), set(found["config_id"])) == ({"SHADOW"}, {experiment.proposed_config_id})


def test_its_replay_is_without_scenarios_and_other_configs(lake: Lake, experiment: Experiment) -> None:
    own = str(experiment.experiment_id)
    replay = decided(experiment, "BACKTEST", experiment_id=own)
    facts = pl.concat(
        [
            replay,
            replay.with_columns(config_id=pl.lit("base")),
            replay.with_columns(experiment_id=pl.lit(f"{own}/crash")),
        ]
    ).select(pl.lit("fold-001").alias("piece"), pl.all())
    for name in (own, "another"):
        lake_of(lake, name).replace("backtest_facts", facts, {"piece": ["fold-001"]})
    assert read_replay(BacktestRecord(lake, own), experiment).collect().select(replay.columns).equals(replay)


def test_without_a_backtest_there_is_no_answer(workplace: Workplace, lake: Lake, experiment: Experiment) -> None:
    found = shadow_evidence(workplace, stored(lake, decided(experiment)), str(experiment.experiment_id)[:8], NOW)
    assert (found.fidelity, found.safety) == (Fidelity.NO_REPLAY, Safety.UNKNOWN)
    assert (found.measures["matched"].reason, found.shadow.last) == (Gap.NO_REPLAY, LAST)
    assert found.marks == {"decision_facts": lake.mark("decision_facts")}


def test_an_empty_lake_is_no_shadow(workplace: Workplace, lake: Lake, experiment: Experiment) -> None:
    found = shadow_evidence(workplace, lake, experiment.experiment_id, NOW)
    assert (found.fidelity, found.safety, found.marks) == (Fidelity.NO_SHADOW, Safety.NO_SHADOW, {})


def test_an_unknown_experiment_is_refused(workplace: Workplace, lake: Lake) -> None:
    with pytest.raises(NotFound, match="experiment 'zzzz'"):
        shadow_evidence(workplace, lake, "zzzz", NOW)


# the command


@pytest.fixture
def home(workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    with workplace.database.connect() as session:
        start_clock(session, SandboxClock(date(2020, 5, 1), NOW, date(2001, 1, 1), date(2022, 12, 28)))
    for name, value in {"HOME": tmp_path, "DATABASE_URL": workplace.database.url}.items():
        monkeypatch.setenv(f"KRONOS_{name}", str(value))
    return workplace.database


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(shadow)
    return CliRunner().invoke(app, list(arguments))


def test_the_command_says_both_words_and_every_condition(home: Database, lake: Lake, experiment: Experiment) -> None:
    stored(lake, decided(experiment))
    said = " ".join(run(str(experiment.experiment_id)).stdout.split())
    for words in (
        "fidelity NO_REPLAY, safety UNKNOWN",
        "matched at least 0.99 no replay",
        "hard_violations at most 0 0",
    ):
        assert words in said, said
    assert f"2020-02-03..{LAST}" in said and "far too short to show which config is better" in said


def test_json_is_the_whole_evidence(home: Database, lake: Lake, experiment: Experiment) -> None:
    stored(lake, decided(experiment))
    told = json.loads(run(str(experiment.experiment_id)[:8], "--json").stdout)
    assert (told["fidelity"], told["experiment_id"]) == ("NO_REPLAY", str(experiment.experiment_id))
    assert told["measures"]["latency_max"] == {"value": 60.0, "n": CLOSES.height, "reason": None}
