"""`kronos monitor` and `kronos alerts` as a person sees them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from kronos.cli import app
from kronos.lake.tables import Lake
from kronos.store.alerts import alerts, raise_alert
from kronos.store.database import Database
from kronos_tests.core.monitoring.records import DAYS, START, book, briers, forecasts, returns
from kronos_tests.services.test_monitoring import begin

LAST = DAYS[-1].isoformat()


@pytest.fixture
def home(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A home whose PORTFOLIO `a` is degrading in return, whose REGIME `calm` is not."""
    lake = Lake(str(tmp_path / "lake"))
    frame = pl.concat(
        [
            book(returns(drop=8.0), **forecasts(briers())),
            book(returns(seed=4), config="calm", engine="REGIME"),
        ]
    )
    lake.write_months("cells", frame, sorted(frame["month"].unique()))
    begin(database, "PORTFOLIO", "a", None)
    begin(database, "REGIME", "calm", None)
    for name, value in {"HOME": tmp_path, "DATABASE_URL": database.url, "SOURCE_URL": database.url}.items():
        monkeypatch.setenv(f"KRONOS_{name}", str(value))
    monkeypatch.setenv("KRONOS_LIVE_START", START.isoformat())
    return database


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def raised(database: Database, **evidence: Any) -> int:
    """The number of an alert on PORTFOLIO's config."""
    with database.connect() as connection:
        words = {"engine_name": "PORTFOLIO", "scope": "*", "config_id": "a", "metric": "return"}
        found = raise_alert(
            connection, **words, monitored_from=START, raised_on=date(2005, 1, 3), evidence=evidence or {"n": 1}
        )
    assert found is not None
    return found


def test_every_engine_is_told_with_its_state(home: Database) -> None:
    told = run("monitor", "--as-of", LAST)
    assert told.exit_code == 0, told.output
    for word in ("PORTFOLIO", "DEGRADING", "REGIME", "HEALTHY", "NO_FORECASTS", "at most 5%"):
        assert word in told.stdout
    assert "rolling windows" not in told.stdout


def test_one_engine_comes_with_its_rolling_windows(home: Database) -> None:
    told = run("monitor", "PORTFOLIO", "--as-of", LAST).stdout
    assert "rolling windows" in told
    assert "REGIME" not in told


def test_json_is_one_answer_for_an_engine_and_a_list_for_all(home: Database) -> None:
    one = json.loads(run("monitor", "PORTFOLIO", "--as-of", LAST, "--json").stdout)
    every = json.loads(run("monitor", "--as-of", LAST, "--json").stdout)
    assert (one["engine_name"], one["state"], one["as_of"]) == ("PORTFOLIO", "DEGRADING", LAST)
    assert every[0] == one and len(every) == 2


def test_looking_raises_nothing(home: Database) -> None:
    run("monitor", "--as-of", LAST)
    assert run("alerts", "--all").stdout.strip() == "no alert"


def test_an_alert_is_listed_taken_up_and_closed(home: Database) -> None:
    number = str(raised(home))
    assert "OPEN" in run("alerts").stdout
    assert (
        run("alerts", "ack", number, "--reason", "looking", "--by", "ann").stdout == f"alert {number}: ACKNOWLEDGED\n"
    )
    assert "looking" in run("alerts").stdout
    assert run("alerts", "close", number, "--reason", "rolled back", "--by", "bob").exit_code == 0
    assert run("alerts").stdout.strip() == "no alert"
    assert "rolled back" in run("alerts", "--all").stdout


def test_an_alert_that_asks_for_a_rollback_shows_how_until_it_is_closed(home: Database) -> None:
    command = "kronos rollback PORTFOLIO --from a --reason ..."
    number = str(raised(home, asks={"rollback_to": "before", "command": command}))
    assert f"alert {number} asks for a rollback to before: {command}" in " ".join(run("alerts").stdout.split())
    run("alerts", "close", number, "--reason", "rolled back", "--by", "bob")
    assert command not in run("alerts", "--all").stdout


def test_who_is_not_named_is_the_account(home: Database) -> None:
    run("alerts", "ack", str(raised(home)), "--reason", "looking")
    assert [one.acknowledged_by for one in alerts(home)] not in ([None], [""])


def test_json_holds_the_evidence(home: Database) -> None:
    raised(home)
    (told,) = json.loads(run("alerts", "--json", "--engine", "PORTFOLIO").stdout)
    assert (told["state"], told["raised_on"], told["evidence"]) == ("OPEN", "2005-01-03", {"n": 1})
    assert json.loads(run("alerts", "--json", "--engine", "REGIME").stdout) == []


def test_a_reason_is_asked_for(home: Database) -> None:
    assert run("alerts", "ack", str(raised(home))).exit_code == 2
