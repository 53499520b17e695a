"""Prices of a scenario, made of real ones: which sessions are played, and what is laid over them.

A *move* is the log of a close over the close before. `closes` and `moves` are (session, column) with a market's
instruments first and its benchmark as the last column, so that whatever is drawn moves them together. Every result is
finite, and every price above zero, or `BadValue` says what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from kronos.core.conventions import DEFAULT_SESSIONS_PER_YEAR
from kronos.core.scenarios.battery import ShockOverlay
from kronos.core.stats.bootstrap import IntArray
from kronos.core.stats.matrix import FloatArray
from kronos.errors import BadValue

LEAST_SESSIONS: Final = 21
"""Fewer to draw from, or to be played, and nothing is: a month repeated for years is no market."""

ABSENT: Final = -1
"""Position of a session that a market does not have."""

_NOTHING_LEFT: Final = 1e-12
"""Share of an instrument's variance that is not the benchmark's, below which it is rounding."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Sessions of a path in the order they are played: `session` [n], and where in the source its block began."""

    session: IntArray
    block_start: IntArray


def draw_blocks(
    eligible: IntArray,
    count: int,
    mean_block: float,
    *,
    rng: np.random.Generator,
    weights: FloatArray | None = None,
) -> Drawn:
    """Draw `count` sessions in blocks of geometric length from the eligible ones (rising positions, any gaps).

    A position begins a new block with probability 1 / mean_block, the first always; a block starts at an eligible
    session drawn by `weights` (equal by default) and runs over the following eligible ones, from the last to the
    first. The draws need uniform numbers only: count for the blocks' ends, then one for each block's start.
    Raises `BadValue` for fewer than LEAST_SESSIONS eligible sessions and for weights that are not all above zero.

    Reference: Politis and Romano (1994), The stationary bootstrap, JASA 89.
    """
    if len(eligible) < LEAST_SESSIONS:
        raise BadValue("sessions to draw from", len(eligible), f"at least {LEAST_SESSIONS}")
    if count < 1 or not mean_block >= 1.0:
        raise BadValue("sessions played, mean block", (count, mean_block), "at least 1 each")
    begins = rng.random(count) < 1.0 / mean_block
    begins[0] = True
    block = np.cumsum(begins) - 1
    start = _weighted(np.ones(len(eligible)) if weights is None else weights, len(eligible), rng.random(block[-1] + 1))
    since = np.arange(count) - np.flatnonzero(begins)[block]
    return Drawn(eligible[(start[block] + since) % len(eligible)], eligible[start[block]])


def draw_times(count: int, sessions: int, *, rng: np.random.Generator) -> IntArray:
    """`count` different positions below `sessions`, rising, all sets equally likely."""
    if count > sessions:
        raise BadValue("gap_count", count, f"at most the {sessions} sessions played")
    return np.sort(np.argsort(rng.random(sessions), kind="stable")[:count])


def moves_of(closes: FloatArray) -> FloatArray:
    """Log returns [n, k] of closes [n, k]; the first row is NaN. `BadValue` unless all closes are finite and > 0."""
    if not (np.isfinite(closes).all() and (closes > 0.0).all()):
        raise BadValue("closes", closes[~(np.isfinite(closes) & (closes > 0.0))][0].item(), "a finite number above 0")
    moves = np.full(closes.shape, np.nan)
    moves[1:] = np.diff(np.log(closes), axis=0)
    return moves


def played_moves(moves: FloatArray, own: IntArray, common: FloatArray, drawn_common: FloatArray) -> FloatArray:
    """Moves [count, k] of a market on the drawn sessions; a market without such a session follows the common factor.

    moves [n, k], common [n]: the market's own sessions, and what the common factor (the reference benchmark) did on
    them, NaN where one is not known. own [count]: the drawn sessions as positions in them, ABSENT where the market has
    none. drawn_common [count]: what the factor did on the drawn sessions.

    Where absent, a column moves by its beta to the factor (over all its own sessions), plus what its own sessions
    hold besides the factor, taken in their order and over again: a crisis before a market's data begins still hits
    it, in proportion to how it follows the rest. A benchmark that is the factor itself repeats it.
    """
    absent = own == ABSENT
    played = moves[own]
    if absent.any():
        both = np.isfinite(common) & np.isfinite(moves).all(axis=1)
        beta, rest = _follow(moves[both], common[both])
        turn = np.flatnonzero(absent) % len(rest)
        played[absent] = drawn_common[absent, None] * beta + rest[turn]
    return _finite(played)


def tilted(moves: FloatArray, fragility: FloatArray, tilt: float) -> FloatArray:
    """Moves [n, k + 1] with the losses of the more fragile half of the instruments enlarged.

    fragility [n, k]: the instruments' scores when the row's block began; NaN: not known, no enlargement. Among those
    known an instrument has a rank from 0 to 1 (equal scores share the mean rank), and its negative moves are multiplied
    by 1 + tilt x max(0, 2 rank - 1). The benchmark, last, moves by the mean of the enlargements. Where a single score
    is known there is nothing to concentrate losses on, and nothing changes.
    """
    instruments = moves[:, :-1]
    extra = np.minimum(instruments, 0.0) * tilt * np.maximum(2.0 * _ranks(fragility) - 1.0, 0.0)
    return np.asarray(moves + np.column_stack([extra, extra.mean(axis=1)]))


def shocked(moves: FloatArray, shocks: ShockOverlay, gaps: IntArray) -> FloatArray:
    """What the shocks add to moves [n, k + 1]; exactly 0 where nothing is asked for. gaps: rows that get the gap.

    `BadValue` for a correlation asked of a benchmark that does not move.
    """
    extra = np.zeros_like(moves)
    if shocks.correlation > 0.0:
        extra += correlated(moves, shocks.correlation) - moves
    changed = moves + extra
    extra += (shocks.volatility - 1.0) * (changed - changed.mean(axis=0))
    extra += np.log1p(shocks.yearly_drift) / DEFAULT_SESSIONS_PER_YEAR
    np.add.at(extra, gaps, np.log1p(shocks.gap))  # two gaps may fall on one session
    return extra


def correlated(moves: FloatArray, share: float) -> FloatArray:
    """Moves [n, k + 1] whose correlations with the benchmark have gone `share` of their way to one.

    A correlation r becomes r + share x (1 - r); means and volatilities stay, and so does the benchmark. An instrument
    that does nothing but follow or mirror the benchmark has nothing left that could keep its volatility up. A single
    session has no correlation and stays.
    """
    if len(moves) < 2:
        return moves
    centre = moves.mean(axis=0)
    about = moves - centre
    spread = about.std(axis=0)
    if not spread[-1] > 0.0:
        raise BadValue("volatility of the benchmark", float(spread[-1]), "above 0 for a correlation with it")
    common = about[:, -1] / spread[-1]
    part = (about * common[:, None]).mean(axis=0)
    before = np.divide(part, spread, out=np.ones_like(part), where=spread > 0.0)
    after = before + share * (1.0 - before)
    rest, left = about - part * common[:, None], 1.0 - before**2
    keep = np.divide(1.0 - after**2, left, out=np.zeros_like(left), where=left > _NOTHING_LEFT)
    result = centre + after * spread * common[:, None] + rest * np.sqrt(np.maximum(keep, 0.0))
    result[:, -1] = moves[:, -1]
    return np.asarray(result)


def spliced(closes: FloatArray, first: int, moves: FloatArray) -> FloatArray:
    """Closes [n, k] that are real before row `first` (at least 1) and compound the moves [n - first, k] from there."""
    past = closes[:first]
    return _positive(np.vstack([past, past[-1] * _growth(moves)]))


def overlaid(closes: FloatArray, first: int, extra: FloatArray) -> FloatArray:
    """Closes [n, k] with moves [n - first, k] added from row `first` on: unchanged, to the bit, by zeros."""
    result = closes.copy()
    result[first:] *= _growth(extra)
    return _positive(result)


def _growth(moves: FloatArray) -> FloatArray:
    with np.errstate(over="ignore"):  # `_positive` refuses what does not fit
        return np.asarray(np.exp(np.cumsum(moves, axis=0)))


def _weighted(weights: FloatArray, expected: int, uniform: FloatArray) -> IntArray:
    """Positions drawn by weights [expected], one for each uniform number in [0, 1)."""
    if weights.shape != (expected,) or not (np.isfinite(weights).all() and (weights > 0.0).all()):
        raise BadValue("weights of sessions", weights, f"{expected} finite numbers above 0")
    total = np.cumsum(weights)
    return np.asarray(np.minimum(np.searchsorted(total, uniform * total[-1], side="right"), expected - 1))


def _follow(moves: FloatArray, common: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Betas [k] of the columns to the factor and what it leaves of each row [n, k], means included."""
    if len(moves) < LEAST_SESSIONS:
        raise BadValue("sessions of a market", len(moves), f"at least {LEAST_SESSIONS} to tell how it follows others")
    about = common - common.mean()
    variance = (about**2).mean()
    if not variance > 0.0:
        raise BadValue("volatility of the common factor", float(variance), "above 0 for a beta to it")
    beta = (moves * about[:, None]).mean(axis=0) / variance
    return beta, moves - common[:, None] * beta


def _ranks(scores: FloatArray) -> FloatArray:
    """Ranks [n, k] from 0 to 1 within each row; 0 for NaN, and for one that is alone."""
    one, other = scores[:, :, None], scores[:, None, :]
    below = (other < one).sum(axis=2) + ((other == one).sum(axis=2) - 1) / 2.0
    others = (~np.isnan(scores)).sum(axis=1, keepdims=True) - 1
    return np.where(np.isnan(scores), 0.0, below / np.maximum(others, 1))


def _finite(moves: FloatArray) -> FloatArray:
    if not np.isfinite(moves).all():
        raise BadValue("moves of a scenario", moves[~np.isfinite(moves)][0].item(), "finite numbers")
    return moves


def _positive(closes: FloatArray) -> FloatArray:
    good = np.isfinite(closes) & (closes > 0.0)
    if not good.all():
        raise BadValue("closes of a scenario", closes[~good][0].item(), "finite numbers above 0: milder parameters")
    return closes
