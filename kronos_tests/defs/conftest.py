"""A small two-region history in a real database, with the clock under the test's control."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from kronos.defs.resources import Kronos
from kronos.settings import Settings
from kronos.store.database import Database
from kronos_tests.databases import drop
from kronos_tests.defs.world import LIVE_FROM, START, World


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    """Empty source tables, an empty lake and a stopped clock."""
    settings = Settings(home=tmp_path, database_url=database.url, history_start=START, live_start=LIVE_FROM)
    yield World(settings, database)
    drop(database.sibling(f"{database.name}_dagster"))


@pytest.fixture
def kronos(world: World) -> Kronos:
    return Kronos(world.settings)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def kept_environment() -> Iterator[None]:
    """Puts back what preparing Dagster's home adds to the environment."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
