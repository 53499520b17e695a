"""`kronos controls` as a person sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kronos.cli import app
from kronos.core.controls.catalogue import CATALOGUE
from kronos.services.code_version import code_version
from kronos.services.controls import collect_suites
from kronos.store.database import Database
from kronos_tests.services.backtest_world import NOW, World
from kronos_tests.services.control_world import WEEK, control_world, judge_suite

ENGINE = "PORTFOLIO"


@pytest.fixture
def world(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name, value in {"HOME": tmp_path, "DATABASE_URL": database.url}.items():
        monkeypatch.setenv(f"KRONOS_{name}", str(value))
    with control_world(database, tmp_path) as found:
        object.__setattr__(found.workplace, "code_version", code_version())
        yield found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["controls", *arguments])


def said(*arguments: str) -> str:
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    return " ".join(done.stdout.split())


def recorded(world: World) -> None:
    """A suite with one control let through."""
    run("run", "--engine", ENGINE)
    judge_suite(world, {"inverted_signal": {}})
    collect_suites(world.workplace, NOW)


def test_a_suite_is_queued_once_and_shown_as_it_runs(world: World) -> None:
    assert f"{ENGINE} {WEEK} seed 1: {len(CATALOGUE)} controls of portfolio-momentum-hasty queued" in said("run")
    assert "REGIME: regime-slow has no LIVE record" in said("run")
    assert f"{ENGINE} {WEEK} seed 1: RUNNING, 0 of {len(CATALOGUE)} judged" in said("show")
    assert "NO_SUITE, no suite of controls was ever completed" in said("show")


def test_a_control_let_through_is_shown_by_name(world: World) -> None:
    recorded(world)
    found = said("show")
    assert f"{len(CATALOGUE)} controls, 1 unexpected, 0 missed positive(s)" in found
    assert "let through: expected FAIL or INCONCLUSIVE by IMPROVEMENT" in found
    assert f"{ENGINE}: UNEXPECTED_CONTROL" in found
    assert "positive_edge" not in found and "positive_edge" in said("show", "--week", WEEK)


def test_the_report_tells_rates_with_exact_intervals(world: World) -> None:
    recorded(world)
    found = said("report")
    assert f"1 of {len(CATALOGUE) - 1}" in found and "0 of 1, 0.00% [0.00%, 97.50%]" in found
    assert "1 of the newest 1 positives passed, promised 90%" in found


def test_json_holds_what_the_tables_show(world: World) -> None:
    recorded(world)
    (suite,) = json.loads(run("show", "--json").stdout)
    assert (suite["period"], suite["unexpected"], len(suite["outcomes"])) == (WEEK, 1, len(CATALOGUE))
    overall, engine = json.loads(run("report", "--json").stdout)["gates"]
    assert (overall["engine_name"], engine["engine_name"]) == ("*", ENGINE)
    assert overall["false_accepts"]["count"] == 1


def test_before_any_suite_the_report_is_of_nothing(world: World) -> None:
    assert "* 0 - - -" in said("report")


def test_waiting_ends_when_nothing_runs(world: World) -> None:
    """All of it was judged meanwhile: it is recorded on the way."""
    run("run", "--engine", ENGINE)
    judge_suite(world)
    assert f"{len(CATALOGUE)} controls, 0 unexpected" in said("run", "--engine", ENGINE, "--wait")


def test_a_seed_that_is_none_is_refused(world: World) -> None:
    assert run("run", "--seed", "0").exit_code != 0
