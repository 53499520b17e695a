"""`kronos approve`, `promote`, `rollback`, `configs`, `latch`, `principal` and `audit trace`, as a person uses them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from kronos_tests.store.promoting import ADMIN, MIA, Gated


def kronos(gated: Gated, home: Path, *arguments: str, token: str = MIA) -> subprocess.CompletedProcess[str]:
    """Run the command as who holds the token; the source is a foreign one, so the sandbox plays no part."""
    env = {
        **os.environ,
        "KRONOS_HOME": str(home),
        "KRONOS_DATABASE_URL": gated.database.url,
        "KRONOS_SOURCE_URL": gated.database.url,
        "KRONOS_TOKEN": token,
        "COLUMNS": "240",
    }
    command = [sys.executable, "-m", "kronos.cli", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(said(done))


def test_a_person_sees_approves_promotes_and_rolls_back(gated: Gated, tmp_path: Path) -> None:
    experiment = gated.passed()
    number = str(experiment.experiment_id)
    shown = said(kronos(gated, tmp_path, "approve", number))
    digest = gated.digest(experiment)
    assert digest in shown and "HUMAN_TRIGGERED" in shown and "latch" in shown
    assert "approved by mia" in said(kronos(gated, tmp_path, "approve", number, "--digest", digest, "--reason", "good"))
    assert "ACTIVATED" in said(kronos(gated, tmp_path, "promote", number, "--reason", "better"))
    (active,) = as_json(kronos(gated, tmp_path, "configs", "--json"))
    assert (active["config_id"], active["approver"]) == (experiment.proposed_config_id, "mia")
    assert "base" in said(kronos(gated, tmp_path, "configs", "--at", "2011-01-01"))
    traced = as_json(kronos(gated, tmp_path, "audit", "trace", experiment.proposed_config_id, "--json"))
    assert [row["approver"] for row in traced["links"]["approvals"]] == ["mia"]
    assert "ROLLBACK" in said(
        kronos(gated, tmp_path, "rollback", "REGIME", "--from", experiment.proposed_config_id, "--reason", "worse")
    )


def test_without_a_token_the_error_says_how_to_get_one(gated: Gated, tmp_path: Path) -> None:
    done = kronos(gated, tmp_path, "promote", str(gated.approved().experiment_id), "--reason", "x", token="")
    assert done.returncode == 1
    assert "a token is needed to promote a config" in done.stderr and "KRONOS_TOKEN" in done.stderr


def test_a_latch_is_shown_and_reopened(gated: Gated, tmp_path: Path) -> None:
    gated.suite("PASS")
    shown = said(kronos(gated, tmp_path, "latch", "show", "REGIME"))
    number = re.search(r"UNEXPECTED_CONTROL .*\(event (\d+)\)", shown)
    assert number is not None
    reopening = ("latch", "reopen", "REGIME", "--reason", "investigated", "--event")
    assert "OPEN" in said(kronos(gated, tmp_path, *reopening, number[1]))


def test_an_admin_adds_renews_and_revokes(gated: Gated, tmp_path: Path) -> None:
    token = said(kronos(gated, tmp_path, "principal", "add", "eve", "--role", "reader", token=ADMIN)).strip()
    assert said(kronos(gated, tmp_path, "principal", "rotate", "eve", token=token)).strip() != token
    said(kronos(gated, tmp_path, "principal", "revoke", "eve", "--reason", "left", token=ADMIN))
    listed = as_json(kronos(gated, tmp_path, "principal", "list", "--json"))
    assert {one["name"]: one["revoked_by"] for one in listed}["eve"] == "admin"
    assert all("token" not in key for one in listed for key in one)


def test_a_time_that_is_none_is_refused(gated: Gated, tmp_path: Path) -> None:
    done = kronos(gated, tmp_path, "configs", "--at", "soon")
    assert (done.returncode, "--at has value 'soon'" in done.stderr) == (1, True)
