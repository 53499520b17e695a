"""`kronos why` on a small lake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kronos.core.reports.attribution_model import Attribution
from kronos.lake.tables import Lake
from kronos_tests.services.test_attribution import write


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with nothing but a lake."""
    found = tmp_path_factory.mktemp("home")
    write(Lake(str(found / "lake")))
    return found


def why(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a home."""
    command = [sys.executable, "-m", "kronos.cli", "why", *arguments]
    env = {**os.environ, "KRONOS_HOME": str(home)}
    return subprocess.run(command, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_prints_paragraph_tables_and_drawdowns(home: Path) -> None:
    """Beside the period before, in which nothing was decided."""
    done = why(home, "PORTFOLIO", "--config", "fast", "--end", "2020-03-06", "--previous", "--top", "1")
    assert done.returncode == 0, done.stderr
    words = ("INSTRUMENT|BBB lost most (-800.00 USD, -400% of the total)", "by regime and market", "deepest drawdowns")
    assert [word for word in (*words, "-14.50%", "change", "+1,000.00", "survivors") if word not in done.stdout] == []


def test_json_is_the_whole_attribution(home: Path) -> None:
    arguments = ("PORTFOLIO", "--config", "fast", "--end", "2020-03-06", "--by", "instrument", "--windows", "0")
    found = Attribution.from_json_dict(json.loads(why(home, *arguments, "--json").stdout))
    assert (found.total.decisions, list(found.cuts), found.windows) == (8, ["instrument"], ())
    previous = json.loads(why(home, *arguments, "--json", "--previous").stdout)["previous"]
    assert (previous["period_start"], previous["period_end"]) == ("2020-02-26", "2020-03-01")


def test_wrong_names_are_one_line(home: Path) -> None:
    done = why(home, "PORTFOLIO", "--config", "ghost")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "error: config of PORTFOLIO 'ghost'" in done.stderr
