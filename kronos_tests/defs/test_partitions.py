"""Days, weeks and months map to the months they are computed from."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronos.defs.partitions import (
    Calendar,
    engine_key,
    engine_month,
    engine_months,
    engine_of,
    months_of_run,
    range_tags,
    register_engines,
    registered_engines,
)
from kronos.defs.reports.assets import OWN_WINDOW
from kronos.settings import Settings

HOME = Path("/nowhere")
SANDBOX = Calendar(Settings(home=HOME))
LIVE = Calendar(Settings(home=HOME, source_url="postgresql://upstream/db", live_start=date(2020, 2, 3)))
NOW = datetime(2020, 4, 29, 22, tzinfo=UTC)


def _months_behind(partitions: dg.TimeWindowPartitionsDefinition, key: str, calendar: Calendar = SANDBOX) -> list[str]:
    subset = partitions.subset_with_partition_keys([key])
    found = OWN_WINDOW.get_upstream_mapped_partitions_result_for_partitions(subset, partitions, calendar.months)
    assert not list(found.required_but_nonexistent_subset.get_partition_keys())
    return list(found.partitions_subset.get_partition_keys())


@pytest.mark.parametrize(
    ("week", "months"),
    [
        ("2017-12-25", ["2017-12"]),
        ("2018-01-29", ["2018-01", "2018-02"]),
        ("1990-01-01", ["1990-01"]),
        ("2022-12-26", ["2022-12"]),  # ends in a month that has no partition
    ],
)
def test_a_week_reads_the_months_it_lies_in(week: str, months: list[str]) -> None:
    assert _months_behind(SANDBOX.weeks, week) == months


def test_a_day_reads_its_month() -> None:
    assert _months_behind(SANDBOX.days, "2018-01-31") == ["2018-01"]


def test_a_month_of_an_engine_reads_that_month() -> None:
    mapping = dg.MultiToSingleDimensionPartitionMapping("month")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("engines", ["PORTFOLIO"])
        subset = SANDBOX.engine_months.subset_with_partition_keys(["PORTFOLIO|2017-12"])
        found = mapping.get_upstream_mapped_partitions_result_for_partitions(
            subset, SANDBOX.engine_months, SANDBOX.months, dynamic_partitions_store=instance
        )
    assert list(found.partitions_subset.get_partition_keys()) == ["2017-12"]


def test_sandbox_partitions_end_where_the_data_ends() -> None:
    keys = [definition.get_last_partition_key() for definition in (SANDBOX.days, SANDBOX.weeks, SANDBOX.months)]
    assert keys == ["2022-12-28", "2022-12-26", "2022-12"]


def test_live_partitions_reach_into_the_running_period() -> None:
    with dg.partition_loading_context(NOW):
        last = [definition.get_last_partition_key() for definition in (LIVE.days, LIVE.weeks, LIVE.months)]
    assert last == ["2020-04-29", "2020-04-27", "2020-04"]


def test_a_running_week_may_end_in_a_month_still_to_come() -> None:
    with dg.partition_loading_context(NOW):
        assert _months_behind(LIVE.weeks, "2020-04-27", LIVE) == ["2020-04"]


def test_summaries_begin_with_the_first_live_day() -> None:
    assert (SANDBOX.days.get_first_partition_key(), LIVE.days.get_first_partition_key()) == ("2017-12-29", "2020-02-03")


def test_engine_month_keys_come_apart() -> None:
    assert engine_months(["B|2017-12", "A|2017-12", "A|2018-01"]) == (["A", "B"], ["2017-12", "2018-01"])


@given(st.text(min_size=1))
def test_any_engine_name_comes_back_from_its_key(name: str) -> None:
    """A key holds neither the separator nor what Dagster refuses."""
    key = engine_key(name)
    assert engine_of(key) == name
    assert not any(refused in key for refused in ("|", "...", "\n", "\t", "\0"))
    assert engine_months([engine_month(name, "2020-01")]) == ([name], ["2020-01"])


def test_usual_engine_names_are_their_own_keys() -> None:
    assert [engine_key(name) for name in ("FRAGILITY_ALPHA", "a b/c.d..e")] == ["FRAGILITY_ALPHA", "a b/c.d..e"]


def test_engines_with_odd_names_become_partitions() -> None:
    names = ["A|B", "50% risk", "etc....", "line\nbreak"]
    with dg.DagsterInstance.ephemeral() as instance:
        register_engines(instance, names)
        assert registered_engines(instance) == names
        with dg.partition_loading_context(NOW, instance):
            assert SANDBOX.engine_months.has_partition_key(engine_month("A|B", "2017-12"))


@pytest.mark.parametrize(
    ("tags", "months"),
    [
        ({}, ["2017-11", "2017-12", "2018-01"]),
        ({"dagster/partition": "2017-12"}, ["2017-12"]),
        ({"dagster/partition": "PORTFOLIO|2017-12"}, ["2017-12"]),
        (range_tags("2017-12", "2018-05"), ["2017-12", "2018-01"]),
        (range_tags("2017-12-25", "2018-01-08"), ["2017-12", "2018-01"]),
    ],
)
def test_a_check_looks_at_the_months_of_its_run(tags: dict[str, str], months: list[str]) -> None:
    assert months_of_run(tags, ["2017-11", "2017-12", "2018-01"]) == months
