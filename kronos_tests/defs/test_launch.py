"""`kronos up` on a real instance: everything once, then nothing, and a killed run is completed."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import dagster as dg
import pytest

from kronos.defs.launch import materialise_history
from kronos.defs.recorder import LAUNCHER, Recorder
from kronos.defs.sources.assets import source_key
from kronos.lake.tables import Lake
from kronos.services.observatory import open_pipeline
from kronos.services.refresh import refresh_facts
from kronos.store.open import ensure_databases
from kronos_tests.builders import decision, insert, outcome
from kronos_tests.defs.world import World, evening

LAST = date(2020, 3, 31)


@pytest.fixture
def quarter(world: World, kept_environment: None) -> World:
    """A quarter of decisions, not yet observed; Dagster's database exists."""
    ensure_databases(world.database)
    world.play(date(2020, 1, 2), LAST)
    world.set_clock(evening(LAST))
    return world


def bring_up(world: World) -> list[str]:
    """What the launcher says it does."""
    said: list[str] = []
    materialise_history(world.settings, world.database, said.append)
    return said


def partitions(world: World) -> dict[str, set[str]]:
    """Materialised partitions of the recorded assets."""
    with Recorder.opened(world.settings, world.database, print) as recorder:
        names = ("decision_facts", "cells", "engine_daily_summary", "regime_breakdown", "engine_performance_report")
        names += ("config_comparison",)
        return {name: recorder.instance.get_materialized_partitions(dg.AssetKey(name)) for name in names}


def newest_decision_seen(world: World) -> object:
    """What the lineage's left edge says of upstream's decisions."""
    with Recorder.opened(world.settings, world.database, print) as recorder:
        (seen,) = recorder.instance.fetch_observations(source_key("engine_decisions"), limit=10).records
    return seen.asset_observation.metadata["newest"].value if seen.asset_observation else None


def test_the_first_start_observes_and_reports_and_the_second_does_nothing(quarter: World) -> None:
    said = bring_up(quarter)
    assert "facts and cells of 2020-01 to 2020-03" in said
    recorded = partitions(quarter)
    assert recorded["decision_facts"] == recorded["cells"] == {"2020-01", "2020-02", "2020-03"}
    assert recorded["regime_breakdown"] == {"2020-01", "2020-02", "2020-03"}
    assert recorded["engine_performance_report"] == {"PORTFOLIO|2020-01", "PORTFOLIO|2020-02", "PORTFOLIO|2020-03"}
    assert recorded["config_comparison"] == {"2020-03"}, "the newest month is enough to begin with"
    assert {"2020-03-30", "2020-03-31"} <= recorded["engine_daily_summary"]
    assert newest_decision_seen(quarter) == "2020-03-31"
    assert bring_up(quarter) == ["every month and report is fresh"]


def test_an_engine_name_with_a_separator_is_reported(world: World, kept_environment: None) -> None:
    """Its partitions carry the name percent-encoded, its rows as it is."""
    ensure_databases(world.database)
    days = [date(2020, 2, day) for day in (3, 4, 5)]
    made = [decision(f"odd{day}", day, engine_name="EU|FX 50%", probability=0.5) for day in days]
    insert(world.database, engine_decisions=made, decision_outcomes=[outcome(row, event=True) for row in made])
    world.set_clock(evening(date(2020, 2, 28)))
    bring_up(world)
    assert partitions(world)["engine_performance_report"] == {"EU%7CFX 50%25|2020-02"}
    rows = Lake(world.settings.lake).scan("engine_reports").select("engine_name").unique().collect()
    assert rows["engine_name"].to_list() == ["EU|FX 50%"]


def test_what_was_written_is_not_asked_for_by_the_barriers(quarter: World) -> None:
    bring_up(quarter)
    assert {cadence for cadence, _, _ in quarter.requests()} == {"daily", "weekly", "monthly"}


def test_a_month_that_was_built_but_not_recorded_is_recorded(quarter: World) -> None:
    """The launcher was killed after the lake's write: a mark was left behind."""
    with open_pipeline(quarter.settings, quarter.database) as pipeline:
        refresh_facts(pipeline, ["2020-01"], today=date(2020, 4, 1))
    quarter.settings.dagster_home.mkdir(parents=True)
    (quarter.settings.dagster_home / "unrecorded").touch()
    bring_up(quarter)
    assert "2020-01" in partitions(quarter)["decision_facts"]
    assert not (quarter.settings.dagster_home / "unrecorded").exists()


def test_a_run_its_launcher_left_behind_is_closed(quarter: World) -> None:
    with Recorder.opened(quarter.settings, quarter.database, print) as recorder:
        job = recorder.definitions.resolve_job_def("observe")
        run = recorder.instance.create_run_for_job(job, tags=LAUNCHER, status=dg.DagsterRunStatus.STARTED)
    with Recorder.opened(quarter.settings, quarter.database, print) as recorder:
        found = recorder.instance.get_run_by_id(run.run_id)
    assert found is not None and found.status is dg.DagsterRunStatus.FAILURE


def test_asking_whether_there_is_work_does_not_import_dagster() -> None:
    code = "import sys, kronos.defs.launch; print('dagster' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
