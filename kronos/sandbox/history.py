"""Upstream's history, in the order upstream wrote it: what each source table gained between two moments.

A pure function of the bundled prices. Every row carries the moment upstream had it, so loading up to one day and
advancing to another gives the same rows as loading up to the later day at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from kronos.core.frames import INSTANT
from kronos.errors import BadValue
from kronos.sandbox.configs import CONFIGS, SandboxConfig
from kronos.sandbox.context import INSTRUMENT_EVERY, Slice, context_slices, models
from kronos.sandbox.engines import HORIZONS, decide, evaluate
from kronos.sandbox.imperfections import MAX_DELAY, imperfect_decisions, imperfect_outcomes
from kronos.sandbox.markets import Market, load_markets, sandbox_sessions
from kronos.sandbox.paths import NOTIONAL
from kronos.sandbox.rows import decision_rows, encoded, outcome_rows
from kronos.settings import SANDBOX_START

NOW_AFTER_CLOSE = timedelta(hours=4, minutes=30)
"""The sandbox's now: late enough after the close for every row of the session and every deadline."""

BLOCK_SESSIONS = 504
_ECHO = max(HORIZONS) + MAX_DELAY + 1
"""Sessions after which nothing about a decision is written any more."""


def session_now(session: date) -> datetime:
    """The instant played as now once the sandbox has reached a session."""
    market = load_markets()["US_EQ"]
    row = int(np.searchsorted(market.sessions, np.datetime64(session)))
    if row == len(market.sessions) or market.sessions[row] != np.datetime64(session):
        raise BadValue("sandbox session", session.isoformat(), "a New York session within the bundled prices")
    closes: datetime = pl.Series(market.closes_at[[row]]).dt.replace_time_zone("UTC")[0]
    return closes + NOW_AFTER_CLOSE


def session_on_or_before(day: date) -> date:
    """The last session of the sandbox that is not after the day."""
    sessions = [session for session in sandbox_sessions() if session <= day]
    if not sessions:
        raise BadValue("sandbox date", day.isoformat(), f"a date from {sandbox_sessions()[0]} on")
    return sessions[-1]


def history(
    until: date,
    *,
    since: date | None = None,
    start: date = SANDBOX_START,
    configs: tuple[SandboxConfig, ...] = CONFIGS,
) -> Iterator[Slice]:
    """What upstream wrote after session `since` (None: ever) up to session `until`, about decisions from `start` on.

    Slices come in blocks of sessions, each slice sorted by the moment of writing; `known_at` holds that moment.
    """
    begun = {name: market for name, market in load_markets().items() if market.sessions[0] <= np.datetime64(until)}
    markets = {name: market.until(until) for name, market in begun.items()}
    before = session_now(until)
    written = pl.col("known_at") <= before
    if since is not None:
        written &= pl.col("known_at") > session_now(since)
    sessions = _relevant_sessions(start, since, until)
    if since is None:
        yield models()
    for block in range(0, len(sessions), BLOCK_SESSIONS):
        part = sessions[block : block + BLOCK_SESSIONS]
        for piece in _block(markets, configs, part[0], part[-1]):
            rows = piece.rows.filter(written)
            if len(rows):
                yield Slice(piece.table, rows.sort("known_at", maintain_order=True))


def _relevant_sessions(start: date, since: date | None, until: date) -> list[date]:
    sessions = [session for session in sandbox_sessions() if start <= session <= until]
    if since is None:
        return sessions
    seen = sum(session <= since for session in sessions)
    return sessions[max(0, seen - _ECHO) :]


def _block(markets: dict[str, Market], configs: tuple[SandboxConfig, ...], first: date, last: date) -> Iterator[Slice]:
    """Everything about the decisions and context of [first, last], whenever it was written."""
    decided: list[pl.DataFrame] = []
    came: list[pl.DataFrame] = []
    books: list[pl.DataFrame] = []
    for market in markets.values():
        for decisions in _decisions(market, configs, first, last):
            outcomes = imperfect_outcomes(evaluate(decisions, market))
            decided.append(_known(decision_rows(imperfect_decisions(decisions)), "timestamp"))
            came.append(_known(outcome_rows(outcomes), "recorded_at"))
            if decisions["engine_name"][0] == "PORTFOLIO":
                books.append(_risk_reports(decisions, market))
    yield from context_slices(markets, first, last)
    for table, frames in (
        ("engine_decisions", decided),
        ("decision_outcomes", came),
        ("portfolio_risk_reports", books),
    ):
        if frames:
            yield Slice(table, pl.concat(frames))


def _decisions(market: Market, configs: tuple[SandboxConfig, ...], first: date, last: date) -> Iterator[pl.DataFrame]:
    for config in configs:
        df = decide(config.engine_name, config.body, market, first, last, config_id=config.config_id)
        if len(df):
            yield df


def _known(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    return rows.with_columns(pl.col(column).cast(INSTANT).alias("known_at"))


def _risk_reports(decisions: pl.DataFrame, market: Market) -> pl.DataFrame:
    """One report per book and every fifth session, from the weights decided there."""
    positions = np.searchsorted(market.sessions, decisions["as_of_date"].to_numpy())
    signed = pl.col("weight") * pl.col("direction")
    df = (
        decisions.filter(pl.Series(positions % INSTRUMENT_EVERY == 0))
        .group_by("portfolio_id", "as_of_date", maintain_order=True)
        .agg(
            pl.col("weight").sum().round(8).alias("gross"),
            pl.col("weight").max().alias("largest_weight"),
            signed.sum().round(8).alias("net"),
            pl.col("decided_at").first().alias("recorded_at"),
        )
        .with_columns((pl.col("net") * -0.1 * NOTIONAL).round(2).alias("market_down_10_per_cent"))
    )
    return df.select(
        "portfolio_id",
        "as_of_date",
        encoded(df, ("gross", "net")).alias("risk_metrics"),
        encoded(df, ("largest_weight",)).alias("exposures"),
        encoded(df, ("market_down_10_per_cent",)).alias("scenario_pnl"),
        pl.lit("{}").alias("metadata"),
        "recorded_at",
        pl.col("recorded_at").alias("known_at"),
    )
