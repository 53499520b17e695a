"""Open what the observe flow works on, and tell what time it is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from kronos.lake.tables import Lake
from kronos.services.pipeline import Pipeline
from kronos.services.policy import load_policy
from kronos.settings import Settings
from kronos.sources.reader import SourceReader
from kronos.store.clock import sandbox_now
from kronos.store.database import Database


@contextmanager
def open_pipeline(settings: Settings, database: Database) -> Iterator[Pipeline]:
    """The observe flow over an open database: source, lake and policy as the settings name them."""
    policy = load_policy(settings.policy)
    url = settings.source_url or database.url
    with SourceReader(url, settings.source_dialect, settings.recorded_by, policy) as source:
        yield Pipeline(source, Lake(settings.lake), database, policy, settings.recorded_by)


def current_instant(settings: Settings, database: Database) -> datetime:
    """Now: the sandbox's own time in the sandbox, else the wall clock's, in UTC."""
    return sandbox_now(database) if settings.sandbox else datetime.now(UTC)
