"""Bad surroundings end in one clear line on stderr and exit code 1, never in a traceback or a shown password."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kronos.store.database import Database
from kronos.store.server import EmbeddedServer

REPORT = ("report", "PORTFOLIO", "--start", "2008-01-01", "--end", "2008-12-31")


def kronos(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command with these KRONOS_ variables."""
    env = {**os.environ, **{f"KRONOS_{name.upper()}": value for name, value in variables.items()}}
    return subprocess.run(
        [sys.executable, "-m", "kronos.cli", *arguments],
        env=env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def assert_one_clear_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """The command failed with one `error:` line that holds all the words."""
    assert done.returncode == 1, (done.stdout, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    for word in words:
        assert word in lines[0]


@pytest.fixture
def free_port() -> int:
    """A loopback port nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_bad_setting_names_its_variable_and_value(tmp_path: Path) -> None:
    """KRONOS_PORT=abc."""
    assert_one_clear_line(kronos(*REPORT, home=str(tmp_path), port="abc"), "KRONOS_PORT", "'abc'")


def test_an_unknown_dialect_names_the_known_ones(tmp_path: Path) -> None:
    """KRONOS_SOURCE_DIALECT=oracle."""
    assert_one_clear_line(kronos(*REPORT, home=str(tmp_path), source_dialect="oracle"), "KRONOS_SOURCE_DIALECT", "spec")


def test_a_policy_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """A misspelt key in KRONOS_POLICY never becomes a silent default."""
    policy = tmp_path / "policy.json"
    policy.write_text('{"stabilty_cuts": [0.1, 0.2, 0.3]}')
    done = kronos(*REPORT, home=str(tmp_path), policy=str(policy))
    assert_one_clear_line(done, "KRONOS_POLICY", "stabilty_cuts")


def test_a_database_that_is_down_is_one_line(tmp_path: Path, free_port: int) -> None:
    """Nothing listens on the port."""
    url = f"postgresql://kronos:secret-word@127.0.0.1:{free_port}/kronos"
    done = kronos("db", "migrate", home=str(tmp_path), database_url=url)
    assert_one_clear_line(done, str(free_port))
    assert "secret-word" not in done.stderr


def test_a_wrong_password_is_one_line_without_the_password(tmp_path: Path, server: EmbeddedServer) -> None:
    """The server asks for SCRAM and refuses."""
    password = Database(server.url()).url.split("@")[0].rpartition(":")[2]
    url = server.url().replace(password, "not-the-password")
    done = kronos("db", "migrate", home=str(tmp_path), database_url=url)
    assert_one_clear_line(done, "password")
    assert "not-the-password" not in done.stderr


def test_an_empty_lake_says_what_to_do(tmp_path: Path) -> None:
    """Nothing has been observed yet."""
    assert_one_clear_line(kronos(*REPORT, home=str(tmp_path)), "kronos up")


def test_a_reversed_period_names_both_ends(tmp_path: Path) -> None:
    """--start after --end."""
    arguments = ("report", "PORTFOLIO", "--start", "2009-01-01", "--end", "2008-01-01")
    done = kronos(*arguments, home=str(tmp_path))
    assert_one_clear_line(done, "2009-01-01", "2008-01-01")


def test_a_lake_that_cannot_be_written_is_one_line(tmp_path: Path, database: Database) -> None:
    """The lake's parent is a file, which stops root as well."""
    blocker = tmp_path / "file"
    blocker.write_text("")
    variables = {"home": str(tmp_path), "database_url": database.url, "lake_uri": str(blocker / "lake")}
    done = kronos("up", "--once", sandbox_until="1990-03-30", **variables)
    assert_one_clear_line(done, str(blocker / "lake"))


@pytest.mark.parametrize("command", [("up", "--once"), ("alerts",), ("sandbox", "advance", "--days", "1")])
def test_a_home_that_cannot_be_written_is_one_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    """The home's parent is a file, which stops root as well."""
    blocker = tmp_path / "file"
    blocker.write_text("")
    assert_one_clear_line(kronos(*command, home=str(blocker / "home")), str(blocker / "home"))


def test_a_busy_port_is_one_line(tmp_path: Path, database: Database) -> None:
    """Something else listens on Dagster's port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = kronos("up", home=str(tmp_path), database_url=database.url, dagster_port=port)
    assert_one_clear_line(done, port, "KRONOS_DAGSTER_PORT")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("[1]", ("gate policy", "[1]", "a JSON object")),
        ('"x"', ("gate policy", "'x'", "a JSON object")),
        ('{"a": 1, "a": 2}', ("--policy a", "[1, 2]", "one value")),
        ("{bad", ("--policy", "{bad", "JSON")),
        ("no-such-file.json", ("--policy", "no-such-file.json", "a readable JSON file")),
    ],
)
def test_a_policy_that_is_none_calibrates_nothing(given: str, words: tuple[str, ...]) -> None:
    assert_one_clear_line(kronos("controls", "calibrate", "--policy", given), *words)


def test_a_gate_policy_that_is_no_object_is_refused(database: Database, tmp_path: Path) -> None:
    asked = ("gates", "set", "--config", "[1]", "--reason", "a slip", "--expected", "0")
    done = kronos(*asked, home=str(tmp_path), database_url=database.url, token="a token")
    assert_one_clear_line(done, "gate policy", "[1]", "a JSON object")
