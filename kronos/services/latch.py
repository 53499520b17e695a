"""The promotion latches: whether they are open, why not, and reopening one."""

from __future__ import annotations

from dataclasses import dataclass

from kronos.core.changes.request import text
from kronos.services.refused import refusals_logged
from kronos.services.workplace import Workplace
from kronos.store import latch as stored
from kronos.store.database import Database, Role
from kronos.store.latch import LatchCause, LatchEvent


@dataclass(frozen=True)
class Latch:
    """An engine's latch at this moment: open without causes; history oldest first."""

    engine_name: str
    causes: list[LatchCause]
    history: list[LatchEvent]

    @property
    def is_open(self) -> bool:
        """Whether a config of the engine could be promoted as far as the latch goes."""
        return not self.causes


def latches(database: Database, engine_name: str | None = None) -> list[Latch]:
    """The latch of one engine, or of every engine that has a config active or a latch ever moved."""
    with database.connect(Role.READER) as session:
        engines = stored.latched_engines(session) if engine_name is None else [engine_name]
        return [
            Latch(engine, stored.latch_causes(session, engine), stored.latch_history(session, engine))
            for engine in engines
        ]


def reopen_latch(workplace: Workplace, engine_name: str, seen: int, reason: str) -> Latch:
    """Reopen what events closed, by the person whose token the workplace holds, who has investigated them.

    seen: the newest event he was shown; `ChangeRefused` when there is a newer one. What time or a new gate policy
    closed only a fresh control suite opens: the latch returned may be closed still.
    """
    why = text("reason", reason)
    with (
        refusals_logged(workplace, "reopen latch", engine_name),
        workplace.database.connect(Role.CHANGE_MANAGER) as session,
    ):
        stored.reopen_latch(
            session, workplace.token, engine_name, seen=seen, reason=why, code_version=workplace.code_version
        )
    return latches(workplace.database, engine_name)[0]


def alert_closed_latches(database: Database) -> None:
    """Raise an alert, once each, for latches that closed by the passing of time or a new gate policy."""
    with database.connect(Role.ORCHESTRATOR) as session:
        stored.alert_closed_latches(session)
