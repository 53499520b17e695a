"""Two regions that decide on every session of early 2020, session by session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from kronos.core.policy import ObservationPolicy
from kronos.services.market_hours import session_closes
from kronos.settings import Settings
from kronos.store.clock import SandboxClock, clock_in, move_clock, start_clock
from kronos.store.database import Database, Role
from kronos_tests.builders import Row, at, decision, engine_run, insert, outcome

START, LIVE_FROM, END = date(2020, 1, 1), date(2020, 2, 3), date(2022, 12, 28)
MARKETS = {"US": "US_EQ", "EU": "EU_EQ"}


@dataclass(frozen=True)
class World:
    """The database of a test and what it plays as upstream."""

    settings: Settings
    database: Database

    def set_clock(self, now: datetime) -> None:
        """Play an instant as now."""
        with self.database.connect() as connection:
            clock = clock_in(connection)
            if clock is None:
                start_clock(connection, SandboxClock(now.date(), now, START, END))
            else:
                assert move_clock(connection, clock.today, now.date(), now)

    def play(self, first: date, last: date, phases: Mapping[str, str | None] | None = None) -> None:
        """Decisions, outcomes and engine runs of every session; a phase of None leaves the region's run out."""
        words = {"US": "COMPLETED", "EU": "COMPLETED", **(phases or {})}
        decisions, outcomes, runs = [], [], []
        for region, market, session in _sessions(first, last):
            made = [_decision(market, session, config) for config in ("fast", "slow")]
            decisions += made
            outcomes += [_outcome(row) for row in made]
            phase = words[region]
            if phase is not None:
                runs.append(engine_run(session, region, phase))
        insert(self.database, engine_decisions=decisions, decision_outcomes=outcomes, engine_runs=runs)

    def complete(self, region: str, session: date) -> None:
        """A region that was late reports its run complete."""
        late = at(session + timedelta(days=1), 12)
        row = engine_run(session, region, run_id=f"{region}-{session}-again", created_at=late, updated_at=late)
        insert(self.database, engine_runs=[row])

    def restate(self, market: str, session: date) -> None:
        """Upstream corrects an outcome, recorded in June."""
        row = _outcome(_decision(market, session, "fast")) | {"return": -0.5, "recorded_at": at(date(2020, 6, 1))}
        insert(self.database, decision_outcomes=[row])

    def requests(self) -> list[tuple[str, str, list[str]]]:
        """cadence, period and missing regions of every claim."""
        query = "SELECT cadence, period, missing FROM kronos.meta_runs ORDER BY requested_at, period"
        with self.database.connect(Role.READER) as connection:
            return connection.execute(query).fetchall()


def evening(day: date) -> datetime:
    """After every deadline of the session date."""
    return datetime(day.year, day.month, day.day, 2, tzinfo=UTC) + timedelta(days=1)


def _sessions(first: date, last: date) -> list[tuple[str, str, date]]:
    closes = session_closes(ObservationPolicy(), MARKETS.values(), first, last)
    return closes.sort("session", "region").select("region", "market_id", pl.col("session")).rows()


def _decision(market: str, session: date, config: str) -> Row:
    return decision(f"{market}-{session}-{config}", session, config_id=config, market_id=market, probability=0.6)


def _outcome(row: Row) -> Row:
    return outcome(row, event=row["as_of_date"].day % 2 == 0, **{"return": 0.001 * (row["as_of_date"].day % 5 - 2)})
