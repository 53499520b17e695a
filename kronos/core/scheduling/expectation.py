"""Which regions owe an engine run on which session dates."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from kronos.core.frames import INSTANT, Schema, conform
from kronos.core.scheduling.barrier import RegionSession
from kronos.core.vocabulary import Phase

ACTIVE_FOR: Final = timedelta(days=31)
"""A market or region that showed nothing for so long has left, and is no longer waited for."""

CLOSES: Final[Schema] = {"market_id": pl.String, "region": pl.String, "session": pl.Date, "closes_at": INSTANT}
"""One row per market and session of its calendar."""
RUNS: Final[Schema] = {"region": pl.String, "as_of_date": pl.Date, "phase": pl.String}
"""One row per region and date: the newest engine run."""
ACTIVITY: Final[Schema] = {"market_id": pl.String, "as_of_date": pl.Date}
"""One row per market and date with LIVE decisions."""


def expected_sessions(closes: pl.DataFrame, runs: pl.DataFrame, activity: pl.DataFrame) -> list[RegionSession]:
    """The regions that owe a completed run, per session date in the calendars of `closes`.

    closes, runs, activity: frames CLOSES, RUNS and ACTIVITY in any order; runs and activity should reach `ACTIVE_FOR`
    before the first session. A region is expected on a session date of a market that decided within `ACTIVE_FOR`
    before it, or, when none of its markets did, of any of its markets if the region's engines ran within that time.
    The close is the latest of those markets. A phase that is no word of ours counts as an unfinished run.
    """
    sessions = conform(closes, CLOSES, "closes").sort("session")
    decided = _seen(sessions, conform(activity, ACTIVITY, "activity"), "market_id")
    ran = _seen(sessions, conform(runs, RUNS, "runs"), "region")
    candidates = sessions.with_columns(decided, ran)
    any_decided = pl.col("decided").any().over("region", "session")
    expected = candidates.filter(pl.col("decided") | (pl.col("ran") & ~any_decided))
    rows = (
        expected.group_by("region", "session")
        .agg(pl.col("closes_at").max())
        .join(runs, left_on=["region", "session"], right_on=["region", "as_of_date"], how="left")
        .sort("session", "region")
    )
    return [
        RegionSession(region, session, closes_at, _phase(phase))
        for region, session, closes_at, phase in rows.select("region", "session", "closes_at", "phase").iter_rows()
    ]


def _seen(sessions: pl.DataFrame, signs: pl.DataFrame, by: str) -> pl.Series:
    """Whether each session's market or region gave a sign on it or within `ACTIVE_FOR` before."""
    days = signs.select(by, seen_on="as_of_date").unique().sort("seen_on")
    found = sessions.join_asof(
        days, left_on="session", right_on="seen_on", by=by, tolerance=ACTIVE_FOR, check_sortedness=False
    )
    return found["seen_on"].is_not_null().alias("decided" if by == "market_id" else "ran")


def _phase(word: str | None) -> Phase | None:
    return Phase(word) if word is not None and word in Phase.__members__ else None
