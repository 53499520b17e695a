"""Homes of embedded servers that a test may break."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kronos.store.server import running_server


def _reachable() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="kronos-home-")
    # the account that runs Postgres for root must be able to pass
    Path(folder.name).chmod(0o755)
    return folder


@pytest.fixture
def fresh_home() -> Iterator[Path]:
    """A home folder in which no server ever ran."""
    with _reachable() as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def _used_home() -> Iterator[Path]:
    with _reachable() as folder:
        with running_server(Path(folder)):
            pass
        yield Path(folder)


@pytest.fixture
def home(_used_home: Path) -> Iterator[Path]:
    """A home folder whose server ran before and is stopped."""
    with _reachable() as folder:
        # cp keeps owners, which decide who runs the server
        subprocess.run(["cp", "-a", f"{_used_home}/postgres", folder], check=True)
        yield Path(folder)
