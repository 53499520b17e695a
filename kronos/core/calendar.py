"""Due dates: the h-th session of a market after a decision."""

from __future__ import annotations

import polars as pl

from kronos.errors import BadValue


def due_dates(dates: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Due date of each (market_id, as_of_date, horizon).

    dates: any number of rows with those three columns; duplicates are answered once.
    sessions: frames.SESSIONS. A date between sessions counts from the session before it.
    Raises `BadValue` where the sessions end before a due date: a missing due date would silently mean "not due".
    """
    indexed = sessions.sort("market_id", "session").with_columns(
        session_no=pl.int_range(pl.len(), dtype=pl.Int64).over("market_id")
    )
    before = indexed.rename({"session": "as_of_date"}).sort("as_of_date")
    wanted = dates.select("market_id", "as_of_date", "horizon").unique().sort("as_of_date")
    located = wanted.join_asof(before, on="as_of_date", by="market_id", check_sortedness=False)
    due = located.with_columns(session_no=pl.col("session_no").fill_null(-1) + pl.col("horizon")).join(
        indexed.rename({"session": "due_date"}), on=["market_id", "session_no"], how="left"
    )
    _refuse_short_calendar(due.filter(pl.col("due_date").is_null()))
    return due.select("market_id", "as_of_date", "horizon", "due_date")


def _refuse_short_calendar(short: pl.DataFrame) -> None:
    if short.is_empty():
        return
    market, day, horizon = (
        short.sort("market_id", "as_of_date", "horizon").select("market_id", "as_of_date", "horizon").row(0)
    )
    raise BadValue("sessions", f"{market} after {day}", f"at least {horizon} sessions")
