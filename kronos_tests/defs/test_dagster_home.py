"""DAGSTER_HOME is what dagster.yaml at the top level says, on the second database."""

from __future__ import annotations

from pathlib import Path

import yaml

from kronos.services.dagster_home import prepare_dagster_home, workspace_file
from kronos.settings import Settings, dagster_root
from kronos.store.database import Database

DATABASE = Database("postgresql://kronos:secret@127.0.0.1:5433/kronos")


def test_the_url_names_the_driver(tmp_path: Path) -> None:
    """A bare postgresql:// means psycopg 3 to SQLAlchemy 2.1, and dagster-postgres speaks psycopg 2."""
    env = prepare_dagster_home(Settings(home=tmp_path), DATABASE)
    assert env["KRONOS_DAGSTER_URL"] == "postgresql+psycopg2://kronos:secret@127.0.0.1:5433/kronos_dagster"


def test_the_file_is_copied_without_any_secret(tmp_path: Path) -> None:
    env = prepare_dagster_home(Settings(home=tmp_path), DATABASE)
    copied = Path(env["DAGSTER_HOME"]) / "dagster.yaml"
    assert copied.read_bytes() == (dagster_root() / "dagster.yaml").read_bytes()
    assert "secret" not in copied.read_text()


def test_a_changed_file_replaces_the_old_one(tmp_path: Path) -> None:
    env = prepare_dagster_home(Settings(home=tmp_path), DATABASE)
    copied = Path(env["DAGSTER_HOME"]) / "dagster.yaml"
    copied.write_text("telemetry: {enabled: true}\n")
    prepare_dagster_home(Settings(home=tmp_path), DATABASE)
    assert yaml.safe_load(copied.read_text())["telemetry"] == {"enabled": False}


def test_backtests_and_observation_have_their_limits() -> None:
    limits = yaml.safe_load((dagster_root() / "dagster.yaml").read_text())["concurrency"]["runs"][
        "tag_concurrency_limits"
    ]
    assert {("kronos/tier", "3"), ("kronos/resource_class", "CPU_HEAVY")} <= {
        (limit["key"], str(limit["value"])) for limit in limits
    }


def test_the_workspace_names_the_code_location() -> None:
    (entry,) = yaml.safe_load(workspace_file().read_text())["load_from"]
    assert entry["python_module"]["module_name"] == "kronos.definitions"
