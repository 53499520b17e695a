"""Prepare DAGSTER_HOME: the instance's configuration and the environment its processes need."""

from __future__ import annotations

from pathlib import Path

from kronos.settings import Settings, dagster_root
from kronos.store.database import Database

EVENT_BATCH_SIZE = "500"
"""Materialisations of a range run are recorded in batches: one by one each takes 20-50 ms."""


def prepare_dagster_home(settings: Settings, database: Database) -> dict[str, str]:
    """Write dagster.yaml into Dagster's folder; return the environment variables that point its processes there."""
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    _replace(home / "dagster.yaml", (dagster_root() / "dagster.yaml").read_bytes())
    return {
        "DAGSTER_HOME": str(home),
        "KRONOS_DAGSTER_URL": _with_driver(database.dagster_url),
        "KRONOS_HOME": str(settings.home),
        "DAGSTER_EVENT_BATCH_SIZE": EVENT_BATCH_SIZE,
        # gRPC warns on every fork of the code server, which never uses gRPC in the child
        "GRPC_ENABLE_FORK_SUPPORT": "false",
    }


def workspace_file() -> Path:
    """The workspace that names Kronos's code location."""
    return dagster_root() / "workspace.yaml"


def _with_driver(url: str) -> str:
    """SQLAlchemy 2.1 takes a bare postgresql:// for psycopg 3; dagster-postgres speaks psycopg 2."""
    return "postgresql+psycopg2://" + url.split("://", 1)[1]


def _replace(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content)
    temporary.replace(path)
