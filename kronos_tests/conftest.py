"""A real Postgres for every test: one server per worker, one fresh database per test."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from kronos.store.database import Database
from kronos.store.migrate import migrate
from kronos.store.server import EmbeddedServer, running_server
from kronos_tests.databases import clone, drop, execute
from kronos_tests.store.promoting import Gated

# how long an example takes says something about the machine, not about the law
hypothesis.settings.register_profile("kronos", deadline=None)
hypothesis.settings.load_profile("kronos")

_TEMPLATE = "kronos_template"
_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a fresh folder is made inside it
_ROOM = 4 * 2**30


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """An embedded server in a folder of its own, gone after the session."""
    with tempfile.TemporaryDirectory(prefix="kronos-test-", dir=_where_syncing_is_quick()) as folder:
        # the account that runs Postgres for root must be able to pass
        Path(folder).chmod(0o755)
        with running_server(Path(folder)) as running:
            yield running


@pytest.fixture(scope="session")
def migrated_template(server: EmbeddedServer) -> Database:
    """A migrated database to clone from; nothing may stay connected to it."""
    template = Database(server.url(_TEMPLATE))
    execute(template, "CREATE DATABASE {}", template.name)
    migrate(template)
    return template


@pytest.fixture
def empty_database(server: EmbeddedServer) -> Iterator[Database]:
    """A database without any of Kronos's objects."""
    made = Database(server.url(f"empty_{uuid.uuid4().hex[:12]}"))
    execute(made, "CREATE DATABASE {}", made.name)
    yield made
    drop(made)


@pytest.fixture
def database(migrated_template: Database) -> Iterator[Database]:
    """A migrated database of the test's own."""
    made = clone(migrated_template, f"test_{uuid.uuid4().hex[:12]}")
    yield made
    drop(made)


@pytest.fixture
def gated(database: Database) -> Gated:
    """REGIME's `base` is active, and promotions are possible."""
    return Gated(database).begin()


def _where_syncing_is_quick() -> Path | None:
    """A folder in memory where there is one with room: most of what a test's database costs is waiting for a disk.

    What outlives a lost process is tried elsewhere, by servers on disks: in `flow` and in the proofs.
    """
    return _IN_MEMORY if _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free >= _ROOM else None
