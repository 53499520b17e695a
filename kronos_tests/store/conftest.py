"""Homes of embedded servers that a test may break."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def home() -> Iterator[Path]:
    """A fresh home folder that the server's account can enter."""
    with tempfile.TemporaryDirectory(prefix="kronos-home-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
