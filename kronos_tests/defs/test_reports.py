"""The meta jobs: started by the barrier, labelled with what is missing, caught up, refreshed."""

from __future__ import annotations

from datetime import date

import dagster as dg
import polars as pl
import pytest

from kronos.defs.resources import Kronos
from kronos.lake.tables import Lake
from kronos_tests.defs.ticks import launch, observe, tick
from kronos_tests.defs.world import World, evening

RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
TUESDAY, WEDNESDAY = date(2020, 2, 4), date(2020, 2, 5)


def rows(world: World, table: str) -> pl.DataFrame:
    """Everything a report table holds."""
    return Lake(world.settings.lake).scan(table).collect()


def ranges(requests: list[dg.RunRequest]) -> list[tuple[str | None, list[str]]]:
    return [(request.job_name, [request.tags[tag] for tag in RANGE]) for request in requests]


@pytest.fixture
def late_europe(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> World:
    """Tuesday evening: the US is complete, Europe has decided but failed."""
    world.play(date(2020, 1, 2), date(2020, 2, 3))
    world.play(TUESDAY, TUESDAY, {"EU": "FAILED"})
    world.set_clock(evening(TUESDAY))
    observe(kronos, instance)
    return world


def test_the_barrier_waits_for_the_months_to_be_rebuilt(
    world: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    world.play(TUESDAY, TUESDAY)
    world.set_clock(evening(TUESDAY))
    assert tick(kronos, instance, "meta_daily_barrier") == []
    observe(kronos, instance)
    assert len(tick(kronos, instance, "meta_daily_barrier")) == 1


def test_a_partial_day_says_so_and_is_caught_up(
    late_europe: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    (request,) = tick(kronos, instance, "meta_daily_barrier")
    assert ranges([request]) == [("meta_daily", ["2020-02-03", "2020-02-04"])]
    assert launch(kronos, instance, request).success
    labels = dict(rows(late_europe, "daily_reports").select("period", "label").unique().rows())
    assert labels == {"2020-02-03": "READY", "2020-02-04": "PARTIAL(EU)"}

    late_europe.complete("EU", TUESDAY)
    (again,) = tick(kronos, instance, "meta_daily_barrier")
    assert ranges([again]) == [("meta_daily", ["2020-02-04", "2020-02-04"])]
    assert launch(kronos, instance, again).success
    assert set(rows(late_europe, "daily_reports")["label"]) == {"READY"}
    assert tick(kronos, instance, "meta_daily_barrier") == []


def test_a_rerun_replaces_its_day_and_nothing_else(
    late_europe: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    (request,) = tick(kronos, instance, "meta_daily_barrier")
    launch(kronos, instance, request)
    before = rows(late_europe, "daily_reports")
    launch(kronos, instance, request)
    assert rows(late_europe, "daily_reports").sort(before.columns).equals(before.sort(before.columns))


def test_two_sensors_never_ask_for_one_day_twice(
    late_europe: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    """A second daemon with an instance of its own finds the days claimed."""
    assert len(tick(kronos, instance, "meta_daily_barrier")) == 1
    with dg.DagsterInstance.ephemeral() as other:
        assert tick(kronos, other, "meta_daily_barrier") == []


def test_a_month_runs_by_time_and_by_engine(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    world.play(date(2020, 1, 2), date(2020, 2, 28))
    world.set_clock(evening(date(2020, 2, 28)))
    observe(kronos, instance)
    requests = tick(kronos, instance, "meta_monthly_barrier")
    assert ranges(requests) == [
        ("meta_monthly", ["2020-02", "2020-02"]),
        ("meta_monthly_engines", ["PORTFOLIO|2020-02", "PORTFOLIO|2020-02"]),
    ]
    assert all(launch(kronos, instance, request).success for request in requests)
    assert set(rows(world, "monthly_reports")["dimension"]) == {"regime", "stability", "market"}
    assert instance.get_materialized_partitions(dg.AssetKey("engine_performance_report")) == {"PORTFOLIO|2020-02"}
    assert rows(world, "config_comparison")["period"].unique().to_list() == ["2020-02"]


def test_a_months_comparison_shows_classes(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    """Nobody is active in this world, and two months are no record: each config says so."""
    world.play(date(2020, 1, 2), date(2020, 2, 28))
    world.set_clock(evening(date(2020, 2, 28)))
    observe(kronos, instance)
    monthly, _ = tick(kronos, instance, "meta_monthly_barrier")
    (made,) = launch(kronos, instance, monthly).asset_materializations_for_node("config_comparison")
    assert made.partition == "2020-02" and made.metadata["label"].value == "READY"
    assert "NO_INCUMBENT" in str(made.metadata["classes"].value)
    assert made.metadata["heat map"].value == "nothing to show"


def test_every_report_check_passes(world: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    world.play(date(2020, 1, 2), date(2020, 2, 28))
    world.set_clock(evening(date(2020, 2, 28)))
    observe(kronos, instance)
    for request in tick(kronos, instance, "meta_monthly_barrier"):
        evaluations = launch(kronos, instance, request).get_asset_check_evaluations()
        assert evaluations and all(evaluation.passed for evaluation in evaluations)


def test_a_week_also_refreshes_weeks_whose_months_were_rebuilt(
    world: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    world.play(date(2020, 1, 2), date(2020, 2, 14))
    world.set_clock(evening(date(2020, 2, 14)))
    observe(kronos, instance)
    (first,) = tick(kronos, instance, "meta_weekly_barrier")
    launch(kronos, instance, first)
    world.play(date(2020, 2, 17), date(2020, 2, 21))
    world.set_clock(evening(date(2020, 2, 21)))
    observe(kronos, instance)
    (second,) = tick(kronos, instance, "meta_weekly_barrier")
    assert ranges([first, second]) == [
        ("meta_weekly", ["2020-02-03", "2020-02-10"]),
        ("meta_weekly", ["2020-02-03", "2020-02-17"]),
    ]


def test_a_report_made_by_hand_is_labelled_too(
    late_europe: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    request = dg.RunRequest(job_name="meta_daily", tags={"dagster/partition": "2020-02-04"})
    (made,) = launch(kronos, instance, request).asset_materializations_for_node("daily_reports")
    assert made.metadata["label"].value == "PARTIAL(EU)"
