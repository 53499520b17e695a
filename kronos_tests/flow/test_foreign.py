"""A foreign database in the `prometheus_v2` dialect is reported on after setting the two source variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from kronos.store.database import Database, Role
from kronos_tests.sources.foreign import (
    Foreign,
    foreign_database,
    foreign_decision,
    foreign_outcome,
    foreign_regime,
    foreign_score,
)

START = date(2020, 3, 2)
RETURNS = [0.01, -0.02, 0.03, 0.005, -0.01, 0.0, 0.02, 0.01, -0.005, 0.015]
"""One weekday each, two decisions sharing the book equally: one earns this, the other nothing."""


@pytest.fixture
def foreign(empty_database: Database) -> Iterator[Foreign]:
    """Ten days of an upstream PORTFOLIO engine, with a regime change, scores the other way round, and a null."""
    with foreign_database(empty_database) as upstream:
        days = [START + timedelta(days=n) for n in range(14) if (START + timedelta(days=n)).weekday() < 5]
        for n, (day, earned) in enumerate(zip(days, RETURNS, strict=True)):
            pair = [foreign_decision(f"a{n}", day), foreign_decision(f"b{n}", day)]
            results = [foreign_outcome(pair[0], realized_return=earned, realized_pnl=1000 * earned)]
            results += [foreign_outcome(pair[1], realized_return=0.0, realized_pnl=None)]
            upstream.insert(
                engine_decisions=pair,
                decision_outcomes=results,
                regimes=[foreign_regime(day, "CALM" if n < 5 else "STORM")],
                stability_vectors=[foreign_score("stability_id", day, overall_score=10.0)],
            )
        yield upstream


def kronos(home: Path, database: Database, foreign: Foreign, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command against the foreign source through its read-only login, with the first admin's token if any."""
    token = home / "admin.token"
    env = {
        **os.environ,
        "KRONOS_HOME": str(home),
        "KRONOS_DATABASE_URL": database.url,
        "KRONOS_SOURCE_URL": foreign.url,
        "KRONOS_SOURCE_DIALECT": "prometheus_v2",
        "KRONOS_HISTORY_START": "2020-01-01",
        "KRONOS_LIVE_START": "2020-03-02",
        "KRONOS_TOKEN": token.read_text().strip() if token.exists() else "",
    }
    return subprocess.run([sys.executable, "-m", "kronos.cli", *arguments], env=env, capture_output=True, text=True)


def report(home: Path, database: Database, foreign: Foreign) -> dict[str, Any]:
    """The observed PORTFOLIO report, as JSON."""
    done = kronos(home, database, foreign, "report", "PORTFOLIO", "--config", "fast", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_kronos_up_observes_a_foreign_database_it_may_only_read(
    tmp_path: Path, database: Database, foreign: Foreign
) -> None:
    """Numbers come out as worked by hand: the book earns half of what the one decision of the pair earns."""
    done = kronos(tmp_path, database, foreign, "up", "--once")
    assert done.returncode == 0, done.stderr
    found = report(tmp_path, database, foreign)
    assert found["metrics"]["avg_return"] == pytest.approx(sum(RETURNS) / 10 / 2)
    assert found["metrics"]["pnl"] == pytest.approx(1000 * sum(RETURNS))
    assert found["by_regime"]["CALM"]["contribution"] == pytest.approx(sum(RETURNS[:5]) / 2)
    assert set(found["by_stability_bucket"]) == {"HIGH"}
    assert found["recorded_by"] == "as_of_date"
    assert found["metrics"]["coverage"] == 1.0
    with foreign.owner.connect(Role.OWNER) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (11,)


def test_a_change_starts_from_what_trades_upstream(tmp_path: Path, database: Database, foreign: Foreign) -> None:
    """Observed, imported, adopted: the first experiment of a user's own engine has a base that is known."""
    foreign.insert(strategy_configs=[{"strategy_id": "fast", "config_json": json.dumps({"lookback": 63})}])

    def done(*arguments: str) -> Any:
        made = kronos(tmp_path, database, foreign, *arguments, "--json")
        assert made.returncode == 0, made.stderr
        return json.loads(made.stdout)

    assert kronos(tmp_path, database, foreign, "up", "--once").returncode == 0
    (adopted,) = done("configs", "adopt", "PORTFOLIO", "fast", "--reason", "it trades")
    assert done("configs", "--engine", "PORTFOLIO") == [adopted]
    assert adopted["reason"].startswith("adopted as what trades upstream, LIVE from 2020-03-02 to 2020-03-13 in data")
    lookback = ("--config", '{"lookback": 70}', "--description", "longer")
    experiment = done("experiment", "create", "PORTFOLIO", "fast", *lookback)
    assert (experiment["base_config_id"], experiment["created_by"]) == ("fast", "admin")
    again = kronos(tmp_path, database, foreign, "configs", "adopt", "PORTFOLIO", "fast", "--reason", "again")
    assert (again.returncode, "has had an active config" in again.stderr) == (1, True)
