"""Sandbox markets as a scenario has them: the same sessions and instruments, other prices and costs.

A crisis hits all markets at once: sessions are drawn on the calendar of the reference market, from labels of its
region, and all markets play the same dates. A market whose data does not hold a drawn date follows the reference
benchmark there (`paths.played_moves`); one that begins or ends within the dates played is played for as long as it
has sessions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from kronos.core.scenarios.battery import (
    BlockBootstrap,
    FragilityAdversarial,
    HistoricalWindow,
    Played,
    Scenario,
    ShockOverlay,
    entropy,
)
from kronos.core.scenarios.paths import (
    ABSENT,
    LEAST_SESSIONS,
    Drawn,
    draw_blocks,
    draw_times,
    moves_of,
    overlaid,
    played_moves,
    shocked,
    spliced,
    tilted,
)
from kronos.core.vocabulary import UNKNOWN
from kronos.errors import BadValue
from kronos.sandbox.context import REGIMES, context_slices
from kronos.sandbox.engines import DECIDED_AFTER_CLOSE
from kronos.sandbox.markets import Floats, Indexes, Instants, Market, instants, load_markets
from kronos.settings import SANDBOX_START

REFERENCE: Final = "US_EQ"
"""Its sessions are the sandbox's, its regimes those of every market's region, its benchmark the common factor."""


@dataclass(frozen=True, eq=False)
class _Stage:
    """The reference market up to the end, and its rows that are played."""

    reference: Market
    days: Indexes

    @property
    def first(self) -> date:
        day: date = self.reference.sessions[self.days[0]].item()
        return day

    @property
    def sessions(self) -> Instants:
        return self.reference.sessions[self.days]


def scenario_market(market: Market, scenario: Scenario, start: date, end: date, seed: int) -> tuple[Market, date]:
    """The market with the scenario's prices and costs over the last years of [start, end], and the first date played.

    Real before that date, so that signals are warm; cut at `end`, after which nothing is looked at. A market without
    a session from the first date on comes back real. seed: the battery's; the same arguments give the same bytes on
    one machine. `BadValue` for a scenario nothing is run for, an unknown regime, and too few sessions.
    """
    if isinstance(scenario, HistoricalWindow):
        raise BadValue("scenario", scenario.name, "one that is played, not a window of the replay")
    stage, known = _stage(scenario, start, end), market.until(end)
    rng = np.random.default_rng(entropy(seed, scenario.name))
    rows = known.rows_between(stage.first, end)
    rows = rows[rows > 0]  # a market's first close is where its prices start from
    if len(rows):
        if isinstance(scenario, ShockOverlay):
            known = _overlaid(known, rows, scenario, _gap_dates(scenario, stage, rng))
        else:
            known = _bootstrapped(known, rows, scenario, stage, _drawn(scenario, stage, rng))
    return replace(known, cost_rate=market.cost_rate * scenario.cost_multiplier), stage.first


def _stage(scenario: Played, start: date, end: date) -> _Stage:
    reference = load_markets()[REFERENCE].until(end)
    days = reference.rows_between(scenario.played_from(start, end), end)
    if len(days) < LEAST_SESSIONS:
        raise BadValue(f"sessions of scenario {scenario.name!r}", len(days), f"at least {LEAST_SESSIONS} to be played")
    return _Stage(reference, days)


def _drawn(scenario: BlockBootstrap | FragilityAdversarial, stage: _Stage, rng: np.random.Generator) -> Drawn:
    """Sessions of the reference market, each played by every market on the same date."""
    last: date = stage.reference.sessions[-1].item()
    count, weights = len(stage.days), None
    if isinstance(scenario, BlockBootstrap):
        eligible = np.flatnonzero(np.isin(regimes_known(last), _sandbox_regimes(scenario.regimes)))
    else:
        scores = market_fragility_known(last)
        eligible = np.flatnonzero(~np.isnan(scores))
        weights = scenario.odds ** scores[eligible]
    return draw_blocks(eligible, count, scenario.mean_block, rng=rng, weights=weights)


def _sandbox_regimes(wanted: tuple[str, ...]) -> list[str]:
    unknown = sorted(set(wanted) - set(REGIMES))
    if unknown:
        raise BadValue("regimes of a scenario", unknown, f"among {', '.join(REGIMES)}")
    return list(wanted)


def _bootstrapped(
    market: Market, rows: Indexes, scenario: BlockBootstrap | FragilityAdversarial, stage: _Stage, drawn: Drawn
) -> Market:
    """The market on the drawn dates, each of its sessions playing what the reference market's session plays."""
    reference, closes = stage.reference, _closes(market)
    turn = _positions(stage.sessions, market.sessions[rows])
    if (turn == ABSENT).any():
        raise BadValue("session of a scenario", str(market.sessions[rows][turn == ABSENT][0]), "one of New York")
    common = moves_of(reference.benchmark[:, None])[:, 0]
    there = _positions(reference.sessions, market.sessions)
    moves = played_moves(
        moves_of(closes),
        _with_a_move(_positions(market.sessions, reference.sessions[drawn.session[turn]])),
        np.where(there > 0, common[there], np.nan),
        common[drawn.session[turn]],
    )
    if isinstance(scenario, FragilityAdversarial):
        begun = _positions(market.sessions, reference.sessions[drawn.block_start[turn]])
        scores = np.where(begun[:, None] == ABSENT, np.nan, instrument_fragility_known(market)[begun])
        moves = tilted(moves, scores, scenario.tilt)
    return _with_closes(market, spliced(closes, int(rows[0]), moves))


def _overlaid(market: Market, rows: Indexes, scenario: ShockOverlay, gaps: Instants) -> Market:
    """A gap falls on the market's first session from its date on; before it begins and after it ends there is none."""
    closes = _closes(market)
    first = int(rows[0])
    at = np.searchsorted(market.sessions, gaps) - first
    at = at[(at >= 0) & (at < len(rows))]
    return _with_closes(market, overlaid(closes, first, shocked(moves_of(closes)[first:], scenario, at)))


def _gap_dates(scenario: ShockOverlay, stage: _Stage, rng: np.random.Generator) -> Instants:
    given = np.array(scenario.gap_dates, dtype="datetime64[D]")
    outside = (given < stage.sessions[0]) | (given > stage.sessions[-1])
    if outside.any():
        expected = f"a date in [{stage.sessions[0]}, {stage.sessions[-1]}], which are played"
        raise BadValue(f"gap_dates of scenario {scenario.name!r}", str(given[outside][0]), expected)
    drawn = stage.sessions[draw_times(scenario.gap_count, len(stage.days), rng=rng)]
    return given if len(given) else drawn


@cache
def regimes_known(last: date) -> npt.NDArray[np.str_]:
    """The region's regime label at each session of the reference market up to `last`, as known after its close."""
    reference = load_markets()[REFERENCE].until(last)
    labels = as_known(_context({REFERENCE: reference}, "regimes"), "regime_label", reference)
    return labels.fill_null(UNKNOWN).to_numpy().astype(np.str_)


@cache
def market_fragility_known(last: date) -> Floats:
    """The reference market's fragility score at each of its sessions up to `last`, as known after its close."""
    reference = load_markets()[REFERENCE].until(last)
    rows = _context({REFERENCE: reference}, "fragility_measures").filter(pl.col("entity_type") == "MARKET")
    return as_known(rows, "fragility_score", reference).to_numpy()


def instrument_fragility_known(market: Market) -> Floats:
    """Fragility scores (session, instrument), each as known after the session's close; NaN before the first."""
    reference = load_markets()[REFERENCE].until(market.sessions[-1].item())
    rows = _context({REFERENCE: reference, market.market_id: market}, "fragility_measures")
    scores = [
        as_known(
            rows.filter(pl.col("entity_type") == "INSTRUMENT", pl.col("entity_id") == name), "fragility_score", market
        )
        for name in market.instruments
    ]
    return np.column_stack([column.to_numpy() for column in scores])


def _context(markets: dict[str, Market], table: str) -> pl.DataFrame:
    """What upstream recorded in a table about markets up to their own ends."""
    last: date = markets[REFERENCE].sessions[-1].item()
    return pl.concat([piece.rows for piece in context_slices(markets, SANDBOX_START, last) if piece.table == table])


def as_known(rows: pl.DataFrame, column: str, market: Market) -> pl.Series:
    """What was known when each session of a market was decided: one value of one entity per session, null before any.

    That of the newest date recorded by then, and of several rows about that date of the one recorded last.
    """
    ordered = rows.sort("recorded_at", "as_of_date")
    # what arrives about an older date than is known already changes nothing any more
    newest = ordered.filter(pl.col("as_of_date") >= pl.col("as_of_date").cum_max())
    decided = instants(market.closes_at + np.timedelta64(DECIDED_AFTER_CLOSE)).alias("decided_at")
    known = decided.to_frame().join_asof(newest, left_on="decided_at", right_on="recorded_at")
    return known[column]


def _positions(sessions: Instants, wanted: Instants) -> Indexes:
    """Where the wanted sessions are among the sessions; ABSENT where they are not."""
    at = np.searchsorted(sessions, wanted)
    found = sessions[np.minimum(at, len(sessions) - 1)] == wanted
    return np.where(found, at, ABSENT)


def _with_a_move(own: Indexes) -> Indexes:
    """A market's first session has no close before it, so nothing to repeat."""
    return np.where(own == 0, ABSENT, own)


def _closes(market: Market) -> Floats:
    return np.column_stack([market.prices, market.benchmark])


def _with_closes(market: Market, closes: Floats) -> Market:
    prices, benchmark = np.ascontiguousarray(closes[:, :-1]), np.ascontiguousarray(closes[:, -1])
    return replace(market, prices=prices, benchmark=benchmark)
