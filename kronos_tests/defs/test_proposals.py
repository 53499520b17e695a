"""Kronos proposes as an asset: its sensor mines new evidence once, its check looks at what the database holds."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pytest

from kronos.core.changes.request import KRONOS
from kronos.defs.resources import Kronos
from kronos.lake.tables import Lake
from kronos.services.proposals import create_proposal, list_proposals
from kronos.services.workplace import open_workplace
from kronos_tests.defs.ticks import launch, tick
from kronos_tests.defs.world import World, evening
from kronos_tests.services.test_self_proposals import BETTER, begin, degrading, stored

ENGINE = "FRAGILITY_ALPHA"
ASSET = dg.AssetKey("self_proposals")
RUN = dg.RunRequest(job_name="propose")


@pytest.fixture
def compared(world: World) -> World:
    """An engine whose active config is beaten, in July 2020."""
    begin(world.database, ENGINE)
    stored(Lake(world.settings.lake), *BETTER, engine=ENGINE)
    world.set_clock(evening(date(2020, 7, 9)))
    return world


def test_nothing_is_asked_for_before_there_is_a_comparison(kronos: Kronos, instance: dg.DagsterInstance) -> None:
    assert tick(kronos, instance, "new_evidence") == []


def test_new_evidence_asks_for_one_run(compared: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    """The key names the evidence: Dagster starts no second run of it."""
    (first,), (again,) = tick(kronos, instance, "new_evidence"), tick(kronos, instance, "new_evidence")
    degrading(Lake(compared.settings.lake))
    (later,) = tick(kronos, instance, "new_evidence")
    assert first.run_key == again.run_key != later.run_key


def test_the_run_proposes_and_tells(compared: World, kronos: Kronos, instance: dg.DagsterInstance) -> None:
    done = launch(kronos, instance, RUN)
    (found,) = list_proposals(compared.database)
    assert (found.created_by, found.engine_name, found.metadata["as_of"]) == (KRONOS, ENGINE, "2020-07-10")
    told = done.asset_materializations_for_node("self_proposals")[-1].metadata
    assert str(found.proposal_id) in told["proposed"].value and "significant" in told["proposed"].value
    assert told["slices_counted_as_trials"].value == 1
    assert [one.passed for one in done.get_asset_check_evaluations() if one.asset_key == ASSET] == [True]


def test_a_second_test_of_the_same_fails_the_check(
    compared: World, kronos: Kronos, instance: dg.DagsterInstance
) -> None:
    launch(kronos, instance, RUN)
    with open_workplace(compared.settings) as workplace:
        create_proposal(workplace, ENGINE, "old", {"name": "new"}, "past the guard", KRONOS)
    done = launch(kronos, instance, RUN)
    assert [one.passed for one in done.get_asset_check_evaluations() if one.asset_key == ASSET] == [False]
