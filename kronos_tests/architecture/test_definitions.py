"""The code location loads, is what the snapshot says, and stays light."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from kronos.defs.assembly import assemble
from kronos.defs.resources import Kronos
from kronos.settings import Settings
from kronos_tests.architecture.graph import SNAPSHOT, current

HEAVY = ("scipy", "exchange_calendars", "kronos.sandbox", "arch", "skfolio")


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return assemble(Kronos(Settings(home=Path("/nowhere"))))


def test_the_definitions_are_valid(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_the_asset_graph_is_the_one_agreed_on() -> None:
    """After a meant change: `python -m kronos_tests.architecture.graph` writes the snapshot anew."""
    assert current() == json.loads(SNAPSHOT.read_text())


def test_the_code_location_loads_without_what_only_runs_need() -> None:
    """In a fresh process, as Dagster's code server does it."""
    code = f"import sys, kronos.definitions; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_asset_says_its_grain_and_its_owner(definitions: dg.Definitions) -> None:
    for spec in definitions.resolve_all_asset_specs():
        assert "One row per" in (spec.description or ""), spec.key
        assert spec.owners and spec.group_name and spec.kinds, spec.key


def test_every_asset_that_runs_has_a_code_version_and_a_check(definitions: dg.Definitions) -> None:
    graph = definitions.get_repository_def().asset_graph
    for key in graph.materializable_asset_keys:
        assert graph.get(key).code_version, key
        assert graph.get(key).check_keys, key


def test_whatever_is_scheduled_or_sensed_runs_by_default(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    statuses = [s.default_status.value for s in (*repository.schedule_defs, *repository.sensor_defs)]
    assert set(statuses) == {"RUNNING"}


def test_no_file_with_dagster_definitions_postpones_annotations() -> None:
    """Dagster reads annotations of contexts and resources at run time."""
    defs = Path(__file__).parents[2] / "kronos" / "defs"
    assert [p.name for p in defs.rglob("*.py") if "from __future__ import annotations" in p.read_text()] == []
