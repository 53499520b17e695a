"""`kronos proposal mine` as a person sees it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kronos.cli import app
from kronos.lake.tables import Lake
from kronos.services.proposals import list_proposals
from kronos.store.clock import SandboxClock, start_clock
from kronos.store.database import Database
from kronos_tests.defs.world import evening
from kronos_tests.services.test_self_proposals import BETTER, begin, stored

ENGINE = "FRAGILITY_ALPHA"


@pytest.fixture
def home(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A home in July 2020 with an engine whose active config is beaten."""
    begin(database, ENGINE)
    stored(Lake(str(tmp_path / "lake")), *BETTER, engine=ENGINE)
    today = date(2020, 7, 9)
    with database.connect() as session:
        start_clock(session, SandboxClock(today, evening(today), date(2001, 1, 1), date(2022, 12, 28)))
    for name, value in {"HOME": tmp_path, "DATABASE_URL": database.url}.items():
        monkeypatch.setenv(f"KRONOS_{name}", str(value))
    return database


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["proposal", "mine", *arguments])


def test_it_says_what_it_proposed_and_why(home: Database) -> None:
    said = " ".join(run().stdout.split())
    for words in (
        "as of 2020-07-10, Kronos proposed 1 config",
        "new in place of old",
        "queued",
        "only what comes after",
    ):
        assert words in said
    assert len(list_proposals(home)) == 1
    assert "UNDER_TEST" in run().stdout


def test_a_dry_run_only_says_so(home: Database) -> None:
    assert "would propose 1 config" in run(ENGINE, "--dry-run").stdout
    assert list_proposals(home) == []


def test_json_holds_proposals_and_reasons(home: Database) -> None:
    told = json.loads(run("--json").stdout)
    assert [(one["config_id"], one["experiment"]["status"]) for one in told["proposed"]] == [
        ("new", "QUEUED_FOR_BACKTEST"),
    ]  # fmt: skip
    again = json.loads(run(ENGINE, "--json").stdout)
    assert [(one["reason"], one["config_id"]) for one in again["declined"]] == [("UNDER_TEST", "new")]
