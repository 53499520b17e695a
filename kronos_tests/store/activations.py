"""Helpers: histories of incumbents for tests that are about something else than how a config becomes active."""

from __future__ import annotations

from datetime import datetime

from kronos.store.change_log import Session, begin_change
from kronos.store.database import Database, Role
from kronos.store.engine_configs import EVERYWHERE, activate, config_refusals

SWAP = "SELECT kronos.swap_incumbent(%s, %s, %s, %s, %s, %s, %s)"
UNGUARDED = "ALTER TABLE kronos.config_activations DISABLE TRIGGER promoted"
GUARDED = "ALTER TABLE kronos.config_activations ENABLE TRIGGER promoted"


def replace_incumbent(
    database: Database,
    engine_name: str,
    config_id: str,
    *,
    expected: str | None,
    at: datetime,
    scope: str = EVERYWHERE,
    reason: str = "test",
) -> None:
    """Swap the incumbent as the owner can and nobody else: without verdict, approval and promotion."""
    with database.connect(Role.OWNER) as session, config_refusals(config_id):
        begin_change(session, "test", reason, code_version="test")
        session.execute(UNGUARDED)
        session.execute(SWAP, [engine_name, config_id, "test", reason, at, expected, scope])
        session.execute(GUARDED)


def first_active(session: Session, engine_name: str, config_id: str, at: datetime) -> None:
    """Activate the first config of an engine, in a session of the change manager."""
    activate(
        session, engine_name=engine_name, config_id=config_id, by="test", reason="first", at=at, expected_incumbent=None
    )
