"""What making a change needs: the database, the dates there is data for, how configs are checked, and the policy."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

from kronos.core.changes.request import KRONOS, EngineDates
from kronos.core.policy import ObservationPolicy
from kronos.errors import BadValue, DatabaseUnavailable
from kronos.lake.tables import Lake
from kronos.services.code_version import code_version
from kronos.services.policy import load_policy
from kronos.settings import Settings
from kronos.store.clock import running_clock
from kronos.store.database import Database
from kronos.store.open import open_database

ConfigCheck = Callable[[str, Mapping[str, Any]], object]
"""Raises `BadValue` when a body does not fit the engine of that name."""

DatesCheck = Callable[[str, date, date], object]
"""Raises `BadValue` when the engine of that name can decide nothing from the first date to the last."""


@dataclass(frozen=True)
class Workplace:
    """An open database and what its source says; code_version goes into the change log and beside every result."""

    database: Database
    policy: ObservationPolicy
    data: Callable[[str], EngineDates]
    """The dates of the engine of that name."""
    check_config: ConfigCheck
    code_version: str = field(default_factory=code_version)
    token: str | None = field(default=None, repr=False)
    """Of the principal who acts; None where nobody showed one."""
    check_dates: DatesCheck = field(default=lambda _engine_name, _start, _end: None)
    """Upstream's sessions are not known here: any dates may hold one."""

    def token_of(self, author: str) -> str | None:
        """The token that an author shows: Kronos acts under its role."""
        return None if author == KRONOS else self.token


OpenWorkplace = Callable[[], AbstractContextManager[Workplace]]


def workplace_of(settings: Settings) -> OpenWorkplace:
    """Opens the workplace the settings name, anew for each use."""
    return partial(open_workplace, settings)


def no_workplace() -> AbstractContextManager[Workplace]:
    """For readers of a lake alone."""
    raise DatabaseUnavailable("experiments need a database: make the orchestrator with MetaOrchestrator.from_settings")


@contextmanager
def open_workplace(settings: Settings) -> Iterator[Workplace]:
    """The workplace the settings name. In the sandbox bodies must fit its engines and dates end with its clock."""
    with open_database(settings) as database:
        yield workplace_over(settings, database, load_policy(settings.policy))


def workplace_over(settings: Settings, database: Database, policy: ObservationPolicy) -> Workplace:
    """The workplace over a database that is open already."""
    token = settings.token.get_secret_value() if settings.token else None
    if settings.sandbox:
        return Workplace(
            database,
            policy,
            lambda _engine_name: sandbox_dates(database),
            check_sandbox_config,
            token=token,
            check_dates=check_sandbox_dates,
        )
    # reports pull in half of scipy, engines pandas: only who needs them waits for that
    from kronos.services.performance import Performance

    record = Performance(Lake(settings.lake), policy, settings.recorded_by)
    return Workplace(database, policy, record.engine_dates, any_config, token=token)


def sandbox_dates(database: Database) -> EngineDates:
    """First and last session the sandbox has played: its engines can be played on any of them."""
    clock = running_clock(database)
    played = (clock.loaded_from, clock.today)
    return EngineDates(played, played)


def check_sandbox_config(engine_name: str, config_body: Mapping[str, Any]) -> None:
    """The reference engines are strict about their parameters; another engine's are its own business."""
    from kronos.sandbox.engines import ENGINES, parse_config

    if engine_name in ENGINES:
        parse_config(engine_name, config_body)


def check_sandbox_dates(engine_name: str, start: date, end: date) -> None:
    """The reference engines decide on sessions alone; on which days another engine does is its own business."""
    from kronos.sandbox.engines import ENGINES
    from kronos.sandbox.markets import sandbox_sessions

    if engine_name in ENGINES and not any(start <= session <= end for session in sandbox_sessions()):
        raise BadValue("dates", f"{start} to {end}", f"at least one session of the markets {engine_name} decides in")


def any_config(engine_name: str, config_body: Mapping[str, Any]) -> None:
    """Upstream's schemas are not known here: any object may be a config."""


def system_user() -> str:
    """Name of the account this process runs as: the author where none is given."""
    number = os.geteuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"
