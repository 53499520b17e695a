"""Plays upstream: writes its history into the source tables and moves the sandbox clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import polars as pl
import psycopg

from kronos.errors import BadValue, KronosError
from kronos.sandbox.configs import CONFIGS
from kronos.sandbox.context import Slice
from kronos.sandbox.history import history, session_now, session_on_or_before
from kronos.sandbox.markets import sandbox_sessions
from kronos.settings import SANDBOX_END, SANDBOX_LOADED_TO, SANDBOX_START
from kronos.store.clock import SandboxClock, clock_in, move_clock, running_clock, start_clock
from kronos.store.database import Database, Role
from kronos.store.engine_configs import activate, register
from kronos.store.source_writer import act_as, copy_rows, holds_decisions, lock_sandbox, refresh_statistics

Progress = Callable[[str], None]

SEED_REASON = "sandbox seed"
_AUTHOR = "sandbox"
_ADVANCE_CHUNK = 63


class SandboxOccupied(KronosError):
    """The stand-alone source tables hold rows the sandbox did not write."""


class SandboxMoved(KronosError):
    """Another process moved the sandbox clock meanwhile."""


class SandboxAtEnd(KronosError):
    """The bundled prices end here: no session is left to play."""


def load_history(
    database: Database,
    until: date = SANDBOX_LOADED_TO,
    *,
    start: date = SANDBOX_START,
    progress: Progress | None = None,
) -> date:
    """Write upstream's whole history up to `until`, seed the configs and start the clock; returns the clock's session.

    One transaction: a killed load leaves nothing behind, a finished one is found by its clock and left alone.
    """
    say = progress or _silent
    today = session_on_or_before(until)
    with database.connect(Role.ORCHESTRATOR) as connection:
        lock_sandbox(connection)
        clock = clock_in(connection)
        if clock is not None:
            return clock.today
        say(f"sandbox: writing upstream's history from {start} to {today}")
        _seed_configs(connection)
        act_as(connection, Role.UPSTREAM)
        if holds_decisions(connection):
            raise SandboxOccupied("the source tables hold decisions the sandbox did not write: use another database")
        written = _write(connection, history(today, start=start), say)
        act_as(connection, Role.ORCHESTRATOR)
        start_clock(connection, SandboxClock(today, session_now(today), start, SANDBOX_END))
    _refresh_statistics(database)
    say(f"sandbox: {written['engine_decisions']:,} decisions, {written['decision_outcomes']:,} outcomes")
    return today


def advance(database: Database, days: int = 1, *, progress: Progress | None = None) -> date:
    """Play the next `days` sessions, each in its own transaction; returns the session the clock has reached."""
    say = progress or _silent
    if days < 1:
        raise BadValue("days", days, "at least 1")
    clock = running_clock(database)
    ahead = [session for session in sandbox_sessions() if session > clock.today][:days]
    if not ahead:
        raise SandboxAtEnd(f"the sandbox is at {clock.today}, where its bundled prices end")
    if len(ahead) < days:
        say(f"sandbox: only {len(ahead)} of {days} sessions are left before the bundled prices end")
    today = clock.today
    for chunk in range(0, len(ahead), _ADVANCE_CHUNK):
        today = _play(database, clock, today, ahead[chunk : chunk + _ADVANCE_CHUNK], say)
    return today


def _play(database: Database, clock: SandboxClock, today: date, sessions: list[date], say: Progress) -> date:
    """Write what upstream gained in each of the sessions, session by session."""
    gained = list(history(sessions[-1], since=today, start=clock.loaded_from))
    for session in sessions:
        before, now = session_now(today), session_now(session)
        known = pl.col("known_at")
        slices = [Slice(piece.table, piece.rows.filter((known > before) & (known <= now))) for piece in gained]
        with database.connect(Role.ORCHESTRATOR) as connection:
            lock_sandbox(connection)
            if not move_clock(connection, expected=today, today=session, now=now):
                raise SandboxMoved(f"another process moved the sandbox clock on from {today} meanwhile: try again")
            act_as(connection, Role.UPSTREAM)
            written = _write(connection, iter(slices), _silent)
        say(
            f"sandbox: {session}: {written.get('engine_decisions', 0)} decisions, "
            f"{written.get('decision_outcomes', 0)} outcomes"
        )
        today = session
    return today


def _seed_configs(connection: psycopg.Connection[Any]) -> None:
    at = session_now(sandbox_sessions()[0]) - timedelta(days=1)
    for config in CONFIGS:
        register(
            connection,
            config_id=config.config_id,
            engine_name=config.engine_name,
            version=config.version,
            config_body=config.body,
            created_by=_AUTHOR,
            created_at=at,
        )
    act_as(connection, Role.CHANGE_MANAGER)
    for config in CONFIGS:
        if config.incumbent:
            activate(
                connection,
                engine_name=config.engine_name,
                config_id=config.config_id,
                by=_AUTHOR,
                reason=SEED_REASON,
                at=at,
                expected_incumbent=None,
            )


def _write(connection: psycopg.Connection[Any], slices: Iterator[Slice], say: Progress) -> dict[str, int]:
    """Copy each slice while the next one is being worked out; rows written per table."""
    written: dict[str, int] = {}
    with ThreadPoolExecutor(1) as worker:
        pending = worker.submit(next, slices, None)
        while (piece := pending.result()) is not None:
            pending = worker.submit(next, slices, None)
            written[piece.table] = written.get(piece.table, 0) + copy_rows(
                connection, piece.table, piece.rows.drop("known_at")
            )
            if piece.table == "decision_outcomes":
                say(f"sandbox: {piece.rows.select(pl.col('eval_date').max()).item()} reached")
    return written


def _refresh_statistics(database: Database) -> None:
    with database.connect(Role.OWNER, autocommit=True) as connection:
        refresh_statistics(connection)


def _silent(_: str) -> None: ...
