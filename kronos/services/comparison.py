"""Compare an engine's configs with its incumbent: who that is comes from the activation history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from kronos.core.reports.comparison_model import ConfigComparison
from kronos.errors import BadValue
from kronos.services.observatory import current_instant
from kronos.services.performance import Performance
from kronos.settings import Settings
from kronos.store.database import Database, Role
from kronos.store.engine_configs import active_at
from kronos.store.open import open_database

IncumbentOf = Callable[[str], str | None]
"""The active config of an engine; None when no activation is known."""

Period = tuple[date | None, date | None]
"""First and last decision date; None: as far as the record goes."""


def compare(
    performance: Performance,
    incumbent_of: IncumbentOf,
    engine_name: str,
    config_ids: Sequence[str],
    period: Period,
    *,
    incumbent: str | None,
    horizon: int | None,
    mode: str,
    as_of: date | None,
) -> ConfigComparison:
    """Compare configs (none named: all of the engine) with the incumbent (None: the active config)."""
    first, last = performance.period()
    start, end = period[0] or first, period[1] or last
    if end < start:
        raise BadValue("end date", end.isoformat(), f"a date not before the start date {start.isoformat()}")
    # before the activation history is asked, which may have to start a server
    performance.directory().require(engine_name, [*config_ids, *([incumbent] if incumbent else [])])
    return performance.comparison(
        engine_name,
        config_ids,
        start,
        end,
        incumbent=incumbent or incumbent_of(engine_name),
        horizon=horizon,
        mode=mode,
        as_of=as_of,
    )


def no_incumbent(engine_name: str) -> None:
    """For records without an activation history."""


def recorded_incumbent(settings: Settings) -> IncumbentOf:
    """Asks the activation history of Kronos's database, which is opened for each question."""

    def ask(engine_name: str) -> str | None:
        with open_database(settings) as database:
            return active_config(settings, database, engine_name)

    return ask


def active_config(settings: Settings, database: Database, engine_name: str) -> str | None:
    """The config that is active for the engine in every market now, None when none is."""
    with database.connect(Role.READER) as connection:
        found = active_at(connection, engine_name, current_instant(settings, database))
    return None if found is None else found.config_id
