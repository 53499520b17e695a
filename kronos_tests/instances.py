"""Dagster's instance of a home, as whoever is not one of its processes opens it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from kronos.services.dagster_home import prepare_dagster_home
from kronos.settings import Settings
from kronos.store.database import Database


@contextmanager
def dagster_of(settings: Settings, database: Database, **instead: Any) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of a home, without its environment; instead: parts of its dagster.yaml, replaced."""
    url = prepare_dagster_home(settings, database)["KRONOS_DAGSTER_URL"]
    parts = {"storage": {"postgres": {"postgres_url": url}}, **instead}
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(settings.dagster_home), overrides=parts)) as instance:
        yield instance
