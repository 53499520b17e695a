"""Facts and cells as assets: what changed upstream is rebuilt, once, and nothing else."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pytest

from kronos.defs.assembly import assemble
from kronos.defs.partitions import ENGINES
from kronos.defs.resources import Kronos
from kronos.defs.sources.assets import GRAINS
from kronos_tests.defs.ticks import launch, tick
from kronos_tests.defs.world import World, evening

FIRST, LAST = date(2020, 1, 2), date(2020, 3, 31)
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@pytest.fixture
def observed(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> World:
    """A quarter of decisions, observed."""
    world.play(FIRST, LAST)
    world.set_clock(evening(LAST))
    (request,) = tick(kronos, instance)
    assert launch(kronos, instance, request).success
    return world


def test_one_run_covers_the_whole_history(observed: World, instance: dg.DagsterInstance) -> None:
    for asset in ("decision_facts", "cells"):
        assert instance.get_materialized_partitions(dg.AssetKey(asset)) == {"2020-01", "2020-02", "2020-03"}


def test_every_check_of_the_run_passes(observed: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        list(assemble(kronos).get_repository_def().asset_graph.asset_check_keys)
    )
    outcome = {key.name: record.status.value for key, record in records.items()}
    assert outcome.pop("decisions_are_fresh") == "SUCCEEDED"
    assert set(outcome.values()) == {"SUCCEEDED"} and len(outcome) == 7


def test_engines_become_partitions(observed: World, instance: dg.DagsterInstance) -> None:
    assert instance.get_dynamic_partitions(ENGINES) == ["PORTFOLIO"]


def test_nothing_new_asks_for_nothing(observed: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    assert tick(kronos, instance) == []


def test_a_restatement_asks_for_its_month_alone(observed: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    observed.restate("US_EQ", date(2020, 2, 12))
    observed.set_clock(evening(date(2020, 6, 1)))
    (request,) = tick(kronos, instance)
    assert [request.tags[tag] for tag in RANGE] == ["2020-02", "2020-02"]
    result = launch(kronos, instance, request)
    rebuilt = [event.partition for event in result.all_events if event.is_step_materialization]
    assert rebuilt == ["2020-02", "2020-02"]
    assert tick(kronos, instance) == []


def test_months_apart_are_separate_runs(observed: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    observed.restate("US_EQ", date(2020, 1, 15))
    observed.restate("EU_EQ", date(2020, 3, 18))
    observed.set_clock(evening(date(2020, 6, 1)))
    assert [[r.tags[tag] for tag in RANGE] for r in tick(kronos, instance)] == [["2020-01"] * 2, ["2020-03"] * 2]


def test_a_second_tick_asks_for_the_same_run_or_for_none(
    observed: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    """Before the daemon has created the run the key is the same; afterwards the run under way is seen."""
    observed.restate("US_EQ", date(2020, 2, 12))
    observed.set_clock(evening(date(2020, 6, 1)))
    (first,), (second,) = tick(kronos, instance), tick(kronos, instance)
    assert first.run_key == second.run_key
    job = assemble(kronos).resolve_job_def("observe")
    instance.create_run_for_job(job, tags=dict(first.tags), status=dg.DagsterRunStatus.STARTED)
    assert tick(kronos, instance) == []


def test_a_failed_rebuild_is_tried_again_only_after_a_pause(
    observed: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    observed.restate("US_EQ", date(2020, 2, 12))
    observed.set_clock(evening(date(2020, 6, 1)))
    (first,) = tick(kronos, instance)
    job = assemble(kronos).resolve_job_def("observe")
    run = instance.create_run_for_job(job, tags=dict(first.tags))
    instance.report_run_failed(run)
    assert tick(kronos, instance) == []


def test_observing_counts_every_upstream_table(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    world.play(FIRST, date(2020, 1, 3))
    world.set_clock(evening(date(2020, 1, 3)))
    job = assemble(kronos).resolve_job_def("observe_sources")
    result = job.execute_in_process(instance=instance)
    seen = {
        e.asset_key.path[-1]: e.asset_observation_data.asset_observation
        for e in result.all_events
        if e.is_asset_observation
    }
    assert set(seen) == set(GRAINS)
    assert seen["engine_decisions"].metadata["rows"].value == 8
    assert seen["engine_decisions"].metadata["newest"].value == "2020-01-03"
