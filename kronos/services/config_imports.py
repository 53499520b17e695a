"""Register the configs that upstream holds, under their own ids, so that changes can start from them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final

import polars as pl

from kronos.errors import SourceMismatch
from kronos.services.pipeline import Pipeline
from kronos.sources.configs import checked_configs, unreadable, unregistered
from kronos.store.database import Role
from kronos.store.engine_configs import import_config

UPSTREAM: Final = "source"
"""Who made a config, where upstream does not say."""
UNVERSIONED: Final = "unversioned"

_REFUSED: Final = {"engine_name": pl.String, "config_id": pl.String, "rule": pl.String, "value": pl.String}


def import_configs(pipeline: Pipeline, today: date, seen_at: datetime) -> pl.DataFrame:
    """Register every config of the source that has a body; QUARANTINE rows of those that cannot be.

    What is registered already stays as it is. seen_at: when a config was made, where upstream does not say.
    """
    try:
        checked = checked_configs(pipeline.source.configs(), today)
    except SourceMismatch as error:
        # bodies are a gift: decisions are observed without them too
        return unreadable(str(error))
    refused = []
    with pipeline.database.connect(Role.ORCHESTRATOR) as session:
        for told in checked.rows.iter_rows(named=True):
            misfit = import_config(session, **_complete(told, seen_at))
            if misfit is not None:
                refused.append((told["engine_name"], told["config_id"], *misfit))
    return pl.concat([checked.quarantine, unregistered(pl.DataFrame(refused, _REFUSED, orient="row"))])


def _complete(told: dict[str, Any], seen_at: datetime) -> dict[str, Any]:
    """The config with a stand-in for each thing that upstream does not say of it."""
    return {
        **told,
        "version": told["version"] or UNVERSIONED,
        "created_by": told["created_by"] or UPSTREAM,
        "created_at": told["created_at"] or seen_at,
    }
