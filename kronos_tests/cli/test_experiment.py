"""`kronos experiment`, `proposal`, `log` and `audit` on a small real sandbox."""

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
from typing import Any

import pytest

from kronos.sandbox.load import load_history
from kronos.services.experiments import list_experiments
from kronos.services.workplace import system_user
from kronos.store.database import Database, Role
from kronos_tests.databases import clone, drop

UNTIL = date(1990, 3, 30)
BASE = "regime-slow"
BODY = '{"window": 21, "persistence": 0.8, "dispersion": 0.55}'
CREATE = ("experiment", "create", "REGIME", BASE, "--config", BODY, "--description", "a shorter window")


@dataclass(frozen=True)
class Instance:
    """A home and its database."""

    home: Path
    database: Database

    def kronos(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command on this instance."""
        env = {**os.environ, "KRONOS_HOME": str(self.home), "KRONOS_DATABASE_URL": self.database.url}
        command = [sys.executable, "-m", "kronos.cli", *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, input=stdin)

    def json(self, *arguments: str) -> Any:
        """What the command says as JSON."""
        done = self.kronos(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def instance(migrated_template: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A quarter of sandbox history."""
    database = clone(migrated_template, f"experiment_{uuid.uuid4().hex[:12]}")
    load_history(database, UNTIL)
    yield Instance(tmp_path_factory.mktemp("home"), database)
    drop(database)


def test_an_experiment_from_creation_to_its_end(instance: Instance) -> None:
    """In words a person reads, then as JSON for programs."""
    created = instance.kronos(*CREATE, "--hoped-ratio", "1.5", "--author", "ann")
    assert created.returncode == 0, created.stderr
    for word in ("PENDING", "HUMAN_TRIGGERED", "an improvement of IR 1.5 needs", "years of data", "0.2 are planned"):
        assert word in created.stdout
    made = instance.json("experiment", "list", "--status", "PENDING")[-1]
    short = made["experiment_id"][:13]
    assert instance.json("experiment", "enqueue", short, "--priority", "1")["status"] == "QUEUED_FOR_BACKTEST"
    ended = instance.json("experiment", "cancel", short, "--reason", "a mistake", "--author", "ben")
    assert (ended["status"], ended["metadata"]["reason"]) == ("REJECTED", "a mistake")
    shown = instance.kronos("experiment", "show", short).stdout
    for word in ("a shorter window", "window", "63", "21", "no results yet", "a mistake", "ben", system_user()):
        assert word in shown
    log = instance.json("log", short)
    assert [(entry["to_status"], entry["author"]) for entry in log] == [
        ("PENDING", "ann"), ("QUEUED_FOR_BACKTEST", system_user()), ("REJECTED", "ben"),
    ]  # fmt: skip


def test_a_proposal_becomes_an_experiment(instance: Instance, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(BODY)
    arguments = ("proposal", "create", "REGIME", BASE, "--config", str(file), "--rationale", "quicker")
    made = instance.json(*arguments)
    assert made["proposal_id"][:8] in instance.kronos("proposal", "list").stdout
    assert "quicker" in instance.kronos("proposal", "show", made["proposal_id"]).stdout
    experiment = instance.json("proposal", "convert", made["proposal_id"], "--end", "1990-03-01")
    assert (experiment["status"], experiment["proposal_id"]) == ("QUEUED_FOR_BACKTEST", made["proposal_id"])
    assert experiment["end_date"] == "1990-03-01"
    again = instance.kronos("proposal", "convert", made["proposal_id"])
    _assert_one_line(again, "has status CONVERTED_TO_EXPERIMENT: expected PENDING_REVIEW")


def test_a_config_may_come_from_standard_input(instance: Instance) -> None:
    arguments = ("proposal", "create", "REGIME", BASE, "--config", "-", "--rationale", "piped", "--json")
    made = json.loads(instance.kronos(*arguments, stdin=BODY).stdout)
    discarded = instance.json("proposal", "discard", made["proposal_id"], "--reason", "only a test")
    assert (discarded["status"], discarded["metadata"]["reason"]) == ("DISCARDED", "only a test")


def test_the_log_is_sealed_and_verified(instance: Instance) -> None:
    """And a log that was tampered with is an exit code and a sentence."""
    instance.json(*CREATE)
    unproven = instance.kronos("audit", "verify")
    assert (unproven.returncode, "NOT PROVEN" in unproven.stdout) == (1, True)
    assert instance.json("audit", "seal")["sealed"]
    verified = instance.kronos("audit", "verify")
    assert (verified.returncode, "whole" in verified.stdout) == (0, True)
    with instance.database.connect(Role.OWNER) as session:
        session.execute("ALTER TABLE kronos.change_log DISABLE TRIGGER USER")
        session.execute("UPDATE kronos.change_log SET author = author || '!' WHERE entry_id = 1")
    broken = instance.kronos("audit", "verify")
    assert (broken.returncode, "BROKEN at entry 1: EDITED" in broken.stdout) == (1, True)
    with instance.database.connect(Role.OWNER) as session:
        session.execute("UPDATE kronos.change_log SET author = rtrim(author, '!') WHERE entry_id = 1")
        session.execute("ALTER TABLE kronos.change_log ENABLE TRIGGER USER")
    assert instance.json("audit", "verify")["broken"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("experiment", "create", "NONE", BASE, "--config", "{}", "--description", "x"), ("engine 'NONE'", "REGIME")),
        (("experiment", "create", "REGIME", "portfolio-momentum-slow", "--config", BODY, "--description", "x"),
         ("config of REGIME", "'portfolio-momentum-slow'")),
        (("experiment", "create", "REGIME", BASE, "--config", "[" * 100_000, "--description", "x"), ("--config",)),
        (("experiment", "create", "REGIME", BASE, "--config", "ghost.json", "--description", "x"),
         ("ghost.json", "readable")),
        (("experiment", "create", "REGIME", BASE, "--config", '{"windw": 1}', "--description", "x"), ("REGIME.",)),
        (("experiment", "create", "REGIME", BASE, "--config", '"x"', "--description", "x"),
         ("config body", "'x'", "expected an object of parameters")),
        (("experiment", "create", "REGIME", BASE, "--config", '{"window": 21, "window": 63}', "--description", "x"),
         ("--config window", "[21, 63]", "one value")),
        ((*CREATE, "--start", "1990-01-06", "--end", "1990-01-07"), ("1990-01-06 to 1990-01-07", "one session")),
        ((*CREATE, "--priority", "11"), ("priority", "11", "0 (first) to 9")),
        ((*CREATE, "--author", "kronos"), ("author", "'kronos'")),
        (("experiment", "show", "zzzz"), ("experiment 'zzzz'",)),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(instance: Instance, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    before = list_experiments(instance.database)
    _assert_one_line(instance.kronos(*arguments), *words)
    assert list_experiments(instance.database) == before


def _assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """The command failed with one `error:` line that holds the words."""
    assert done.returncode == 1, (done.stdout, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    assert all(word in lines[0] for word in words), lines[0]


def test_the_queue_tells_what_waits_and_that_nobody_plans(instance: Instance) -> None:
    made = instance.json(*CREATE, "--enqueue", "--priority", "2")
    page = instance.json("experiment", "queue")
    (waiting,) = [one for one in page["waiting"] if one["experiment_id"] == made["experiment_id"]]
    assert waiting["priority"] == 2 and waiting["reason"] is None and page["silent"] and page["running"] == []
    shown = instance.kronos("experiment", "queue").stdout
    assert "nothing was ever planned" in shown and made["experiment_id"][:8] in shown


def test_a_shadow_nobody_ran_is_a_stated_outcome(instance: Instance) -> None:
    made = instance.json(*CREATE)
    found = instance.json("experiment", "shadow", made["experiment_id"])
    assert (found["fidelity"], found["safety"]) == ("NO_SHADOW", "NO_SHADOW")
