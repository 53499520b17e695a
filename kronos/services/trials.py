"""The trial ledger of an engine, as the statistics read it."""

from __future__ import annotations

from datetime import datetime

from kronos.core.reports.comparison_trials import Ledger
from kronos.store.engine_configs import EVERYWHERE
from kronos.store.trials import Session, count_trials, identities


def ledger_of(connection: Session, engine_name: str, scope: str = EVERYWHERE, as_of: datetime | None = None) -> Ledger:
    """Trials of the engine's real search known by an instant (None: ever), and which of them each config id is."""
    return Ledger(count_trials(connection, engine_name, scope, as_of).real, identities(connection, engine_name))
