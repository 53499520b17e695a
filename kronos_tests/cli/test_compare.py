"""`kronos compare` on a small real sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from kronos.core.policy import ObservationPolicy
from kronos.core.reports.comparison_model import ConfigComparison
from kronos.lake.tables import Lake
from kronos.sandbox.load import load_history
from kronos.services.pipeline import Pipeline
from kronos.services.refresh import refresh_cells, refresh_facts
from kronos.services.staleness import stale_cell_months, stale_fact_months
from kronos.settings import Dialect, RecordedBy
from kronos.sources.reader import SourceReader
from kronos.store.database import Database
from kronos_tests.databases import clone, drop

UNTIL = date(1991, 6, 28)


@dataclass(frozen=True)
class Instance:
    """A home with a lake, and its database."""

    home: Path
    database: Database

    def kronos(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command on this instance."""
        env = {**os.environ, "KRONOS_HOME": str(self.home), "KRONOS_DATABASE_URL": self.database.url}
        command = [sys.executable, "-m", "kronos.cli", "compare", *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def instance(migrated_template: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A year and a half of sandbox history, observed."""
    home, database = tmp_path_factory.mktemp("home"), clone(migrated_template, f"compare_{uuid.uuid4().hex[:12]}")
    load_history(database, UNTIL)
    policy, lake = ObservationPolicy(), Lake(str(home / "lake"))
    with SourceReader(database.url, Dialect.SPEC, RecordedBy.RECORDED, policy) as source:
        pipeline = Pipeline(source, lake, database, policy, RecordedBy.RECORDED)
        refresh_facts(pipeline, stale_fact_months(pipeline, UNTIL), today=UNTIL)
        refresh_cells(pipeline, stale_cell_months(pipeline))
    yield Instance(home, database)
    drop(database)


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """The command failed with one `error:` line that holds the words."""
    assert done.returncode == 1, (done.stdout, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    assert all(word in lines[0] for word in words), lines[0]


def test_table_shows_classes_and_matrix(instance: Instance) -> None:
    """The incumbent is the one the sandbox activated."""
    done = instance.kronos("PORTFOLIO")
    assert done.returncode == 0, done.stderr
    assert "PORTFOLIO against portfolio-momentum-hasty" in done.stdout
    for word in ("INCUMBENT", "UNDECIDED", "market:US_EQ", "portfolio-inverse-volatility", "today's survivors"):
        assert word in done.stdout


def test_json_is_the_whole_comparison(instance: Instance) -> None:
    """Of the configs named, and the same on every run."""
    arguments = ("REGIME", "regime-overconfident", "regime-fast", "--json", "--start", "1990-06-01")
    first, second = instance.kronos(*arguments), instance.kronos(*arguments)
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    found = ConfigComparison.from_json_dict(json.loads(first.stdout))
    assert [verdict.config_id for verdict in found.verdicts] == ["regime-fast", "regime-overconfident", "regime-slow"]
    assert (found.incumbent, found.metric, found.period_start) == ("regime-slow", "rps", date(1990, 6, 1))


def test_table_shows_trials_and_deflated_sharpe_ratios(instance: Instance) -> None:
    done = instance.kronos("PORTFOLIO")
    assert "4 trials: the 4 with returns amount to" in " ".join(done.stdout.split())
    assert "DSR" in done.stdout


def test_horizon_mode_and_date_are_asked_for(instance: Instance) -> None:
    done = instance.kronos("ASSESSMENT", "--horizon", "5", "--mode", "LIVE", "--as-of", "1991-01-31", "--json")
    found = ConfigComparison.from_json_dict(json.loads(done.stdout))
    assert (found.horizon, found.mode, found.as_of) == (5, "LIVE", date(1991, 1, 31))


def test_unknown_mode_is_refused(instance: Instance) -> None:
    done = instance.kronos("PORTFOLIO", "--mode", "PRETEND")
    assert done.returncode == 2 and "PRETEND" in done.stderr


def test_incumbent_may_be_named(instance: Instance) -> None:
    done = instance.kronos("STABILITY", "--incumbent", "stability-tight", "--json")
    assert json.loads(done.stdout)["incumbent"] == "stability-tight"


def test_unknown_config_is_one_line(instance: Instance) -> None:
    assert_one_line(instance.kronos("PORTFOLIO", "ghost"), "config of PORTFOLIO", "'ghost'", "portfolio-momentum-slow")


def test_unknown_engine_is_one_line(instance: Instance) -> None:
    assert_one_line(instance.kronos("NONE"), "engine", "'NONE'", "PORTFOLIO")


def test_incumbent_of_another_engine_is_one_line(instance: Instance) -> None:
    assert_one_line(instance.kronos("PORTFOLIO", "--incumbent", "regime-slow"), "config of PORTFOLIO", "'regime-slow'")


def test_reversed_dates_are_one_line(instance: Instance) -> None:
    done = instance.kronos("PORTFOLIO", "--start", "1991-01-01", "--end", "1990-06-01")
    assert_one_line(done, "1990-06-01", "1991-01-01")


def test_empty_lake_says_what_to_do(instance: Instance, tmp_path: Path) -> None:
    assert_one_line(Instance(tmp_path, instance.database).kronos("PORTFOLIO"), "kronos up")
