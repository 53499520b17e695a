"""Which evidence self-proposals are mined from, by name; light enough for a sensor."""

from __future__ import annotations

from typing import Final

import polars as pl

from kronos.core.changes.request import KRONOS
from kronos.core.quality import Finding, duplicates
from kronos.lake.tables import Lake
from kronos.store.database import Database, Role
from kronos.store.self_proposals import attempts

COMPARISONS: Final = "config_comparison"
MONITORING: Final = "monitoring"

_SAME: Final = ["engine_name", "base_config_id", "canonical_hash"]


def evidence_mark(lake: Lake) -> str | None:
    """Names the evidence there is; None before there is any. It changes whenever any of it is written."""
    compared = lake.mark(COMPARISONS)
    return None if compared is None else f"{compared}+{lake.mark(MONITORING)}"


def repeated(database: Database) -> Finding:
    """Parameters that Kronos has under test more than once against one base."""
    with database.connect(Role.READER) as session:
        held = [one for one in attempts(session) if one.is_open and one.created_by == KRONOS]
    rows = [{name: getattr(one, name) for name in _SAME} for one in held]
    return duplicates(pl.LazyFrame(rows, schema=dict.fromkeys(_SAME, pl.String)), _SAME)
