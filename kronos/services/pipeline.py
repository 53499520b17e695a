"""What the observe flow works on, and what its numbers mean."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from kronos.core.policy import ObservationPolicy
from kronos.lake.tables import Lake
from kronos.settings import RecordedBy
from kronos.sources.reader import SourceReader
from kronos.store.database import Database

FACTS_VERSION: Final = "1"
"""Rises when the code gives facts another meaning: every month is then rebuilt."""
CELLS_VERSION: Final = "1"

FACT_TABLES: Final = ("decision_facts", "superseded_facts")
CELL_TABLES: Final = ("cells", "calibration_cells", "confusion_cells")


@dataclass(frozen=True)
class Pipeline:
    """The source, the lake, the record of what was built, and the policy that is gone by."""

    source: SourceReader
    lake: Lake
    database: Database
    policy: ObservationPolicy
    recorded_by: RecordedBy

    @property
    def facts_definition(self) -> str:
        """What gives facts their meaning besides the source: code, point-in-time rule, markets and cut points."""
        markets = {name: [market.calendar, market.region] for name, market in self.policy.markets.items()}
        cuts = [self.policy.stability_cuts, self.policy.fragility_cuts]
        return f"{FACTS_VERSION}:{_digest([self.recorded_by.value, markets, cuts])}"

    @property
    def cells_definition(self) -> str:
        """What gives cells their meaning besides the facts: code and the order of ordered classes."""
        return f"{CELLS_VERSION}:{_digest(self.policy.ordered_classes)}"


def _digest(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
