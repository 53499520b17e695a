"""Readers on a source of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kronos.core.policy import ObservationPolicy
from kronos.settings import Dialect, RecordedBy
from kronos.sources.reader import SourceReader
from kronos.store.database import Database
from kronos_tests.sources.foreign import Foreign, foreign_database


@pytest.fixture
def reader(database: Database) -> Iterator[SourceReader]:
    """Reads the stand-alone tables of `database`."""
    with SourceReader(database.url, Dialect.SPEC, RecordedBy.RECORDED, ObservationPolicy()) as opened:
        yield opened


@pytest.fixture
def foreign(empty_database: Database) -> Iterator[Foreign]:
    """An upstream database in the prometheus_v2 dialect."""
    with foreign_database(empty_database) as made:
        yield made


@pytest.fixture
def foreign_reader(foreign: Foreign) -> Iterator[SourceReader]:
    """Reads the upstream database through its read-only login."""
    with SourceReader(foreign.url, Dialect.PROMETHEUS_V2, RecordedBy.AS_OF_DATE, ObservationPolicy()) as opened:
        yield opened
