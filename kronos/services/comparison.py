"""Compare an engine's configs with its incumbent: who that is, and among how many trials, the database tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from kronos.core.reports.comparison_model import ConfigComparison
from kronos.core.reports.comparison_trials import Ledger
from kronos.errors import BadValue
from kronos.services.observatory import current_instant
from kronos.services.performance import Performance
from kronos.services.trials import ledger_of
from kronos.settings import Settings
from kronos.store.database import Database, Role
from kronos.store.engine_configs import EVERYWHERE, activations, active_at
from kronos.store.open import open_database


@dataclass(frozen=True)
class Background:
    """What Kronos's database knows of an engine at a time: the active config and the trials, each None if unknown."""

    incumbent: str | None = None
    ledger: Ledger | None = None
    notes: tuple[str, ...] = ()


BackgroundOf = Callable[[str, date | None], Background]
"""The background of an engine at the end of a date; None: now."""

Period = tuple[date | None, date | None]
"""First and last decision date; None: as far as the record goes."""


def compare(
    performance: Performance,
    background_of: BackgroundOf,
    engine_name: str,
    config_ids: Sequence[str],
    period: Period,
    *,
    incumbent: str | None,
    horizon: int | None,
    mode: str,
    as_of: date | None,
) -> ConfigComparison:
    """Compare configs (none named: all of the engine) with the incumbent (None: the config active then)."""
    first, last = performance.period()
    start, end = period[0] or first, period[1] or last
    if end < start:
        raise BadValue("end date", end.isoformat(), f"a date not before the start date {start.isoformat()}")
    # before the database is asked, which may have to start a server
    performance.directory().require(engine_name, [*config_ids, *([incumbent] if incumbent else [])])
    known = background_of(engine_name, as_of)
    return performance.comparison(
        engine_name,
        config_ids,
        start,
        end,
        incumbent=incumbent or known.incumbent,
        horizon=horizon,
        mode=mode,
        as_of=as_of,
        ledger=known.ledger,
        notes=() if incumbent else known.notes,
    )


def no_background(engine_name: str, as_of: date | None) -> Background:
    """For records without a database."""
    del engine_name, as_of
    return Background()


def recorded_background(settings: Settings) -> BackgroundOf:
    """Asks Kronos's database, which is opened for each question."""

    def ask(engine_name: str, as_of: date | None) -> Background:
        with open_database(settings) as database:
            instant = current_instant(settings, database) if as_of is None else end_of(as_of)
            return background(database, engine_name, instant)

    return ask


def background(database: Database, engine_name: str, instant: datetime) -> Background:
    """The config active in every market at the instant, else the first ever active, and the trials known by then."""
    with database.connect(Role.READER) as connection:
        active = active_at(connection, engine_name, instant)
        history = [one for one in activations(connection, engine_name) if one.scope == EVERYWHERE]
        ledger = ledger_of(connection, engine_name, as_of=instant)
    if active is not None or not history:
        return Background(active.config_id if active else None, ledger)
    first = history[0]
    note = (
        f"no activation was known by {instant:%Y-%m-%d}: held against the first one known, {first.config_id}, "
        f"active from {first.activated_at:%Y-%m-%d}"
    )
    return Background(first.config_id, ledger, (note,))


def end_of(day: date) -> datetime:
    """The last instant of a date in UTC."""
    return datetime.combine(day, time.max, UTC)
