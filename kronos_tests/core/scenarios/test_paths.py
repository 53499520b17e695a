"""Laws of scenario prices, and slow twins of what is drawn and laid over."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kronos.core.scenarios.battery import ShockOverlay
from kronos.core.scenarios.paths import (
    ABSENT,
    LEAST_SESSIONS,
    correlated,
    draw_blocks,
    draw_times,
    moves_of,
    overlaid,
    played_moves,
    shocked,
    spliced,
    tilted,
)
from kronos.errors import BadValue

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

few = settings(max_examples=40, deadline=None, derandomize=True)
SEEDS = st.integers(0, 10_000)
NO_GAPS = np.zeros(0, dtype=np.int64)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def world(seed: int, sessions: int = 300, instruments: int = 4) -> Floats:
    """Closes (session, instrument and benchmark) that follow a common factor with heavy tails."""
    draws = rng(seed)
    common = 0.01 * draws.standard_t(4, size=(sessions, 1))
    moves = np.hstack([common * draws.uniform(0.3, 1.5, instruments), common]) + 0.0003
    moves[:, :-1] += 0.01 * draws.standard_t(4, size=(sessions, instruments))
    return np.asarray(100.0 * np.exp(np.cumsum(moves, axis=0)))


def overlay(**changes: Any) -> ShockOverlay:
    return ShockOverlay(name="shock", about="", **changes)


def correlations(moves: Floats) -> Floats:
    return np.asarray(np.corrcoef(moves.T)[-1, :-1])


def slow_draw(eligible: Ints, count: int, mean_block: float, seed: int) -> list[int]:
    """Politis and Romano's scheme session by session: go on to the next one, or begin anew."""
    ends = rng(seed)
    coins = [ends.random() for _ in range(count)]
    drawn: list[int] = []
    place = -1
    for coin in coins:
        if place < 0 or coin < 1.0 / mean_block:
            place = int(ends.random() * len(eligible))
        else:
            place = (place + 1) % len(eligible)
        drawn.append(int(eligible[place]))
    return drawn


@few
@given(SEEDS, st.integers(LEAST_SESSIONS, 90), st.integers(1, 200), st.floats(1, 60))
def test_blocks_are_those_of_the_slow_twin(seed: int, sessions: int, count: int, mean_block: float) -> None:
    eligible = np.sort(rng(seed + 1).permutation(500)[:sessions])
    drawn = draw_blocks(eligible, count, mean_block, rng=rng(seed))
    assert drawn.session.tolist() == slow_draw(eligible, count, mean_block, seed)


@few
@given(SEEDS, st.integers(LEAST_SESSIONS, 90), st.integers(1, 200), st.floats(1, 60), st.booleans())
def test_every_session_of_a_block_is_eligible_and_follows_the_one_before(
    seed: int, sessions: int, count: int, mean_block: float, weighted: bool
) -> None:
    eligible = np.sort(rng(seed + 1).permutation(500)[:sessions])
    weights = rng(seed + 2).uniform(0.1, 9.0, sessions) if weighted else None
    drawn = draw_blocks(eligible, count, mean_block, rng=rng(seed), weights=weights)
    assert np.isin(drawn.session, eligible).all() and np.isin(drawn.block_start, eligible).all()
    place = np.searchsorted(eligible, drawn.session)
    follows = place[1:] == (place[:-1] + 1) % sessions
    begins = drawn.session[1:] == drawn.block_start[1:]
    assert (follows | begins).all() and drawn.session[0] == drawn.block_start[0]


def test_blocks_have_their_mean_length_and_sessions_are_equally_likely() -> None:
    drawn = draw_blocks(np.arange(0, 1000, 2), 200_000, 20.0, rng=rng(11))
    breaks = np.count_nonzero(np.diff(drawn.session) % 1000 != 2) + 1
    assert len(drawn.session) / breaks == pytest.approx(20.0, rel=0.03)
    # blocks of 20 leave 10,000 independent starts: 100 bins of them
    _, counts = np.unique(
        drawn.block_start[np.flatnonzero(np.diff(drawn.block_start, prepend=-1))] // 10, return_counts=True
    )
    assert stats.chisquare(counts).pvalue > 0.01


def test_a_mean_block_of_one_draws_independent_sessions() -> None:
    drawn = draw_blocks(np.arange(50), 20_000, 1.0, rng=rng(3))
    assert np.array_equal(drawn.session, drawn.block_start)
    assert stats.chisquare(np.bincount(drawn.session, minlength=50)).pvalue > 0.01


def test_weights_decide_how_often_a_block_starts_at_a_session() -> None:
    weights = 20.0 ** np.linspace(0.0, 1.0, 50)
    drawn = draw_blocks(np.arange(50), 50_000, 1.0, rng=rng(5), weights=weights)
    expected = 50_000 * weights / weights.sum()
    assert stats.chisquare(np.bincount(drawn.session, minlength=50), expected).pvalue > 0.01


def test_a_seed_gives_the_same_draws_and_another_seed_others() -> None:
    one, same, other = (draw_blocks(np.arange(100), 300, 10.0, rng=rng(seed)).session for seed in (1, 1, 2))
    assert one.tobytes() == same.tobytes() != other.tobytes()


@pytest.mark.parametrize("sessions", [0, LEAST_SESSIONS - 1])
def test_too_few_sessions_to_draw_from_are_refused(sessions: int) -> None:
    with pytest.raises(BadValue, match=f"sessions to draw from has value {sessions}"):
        draw_blocks(np.arange(sessions), 10, 5.0, rng=rng())


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_weights_that_are_no_weights_are_refused(bad: float) -> None:
    with pytest.raises(BadValue, match="weights of sessions"):
        draw_blocks(np.arange(30), 10, 5.0, rng=rng(), weights=np.array([bad] + [1.0] * 29))


@pytest.mark.parametrize(("count", "mean_block"), [(0, 5.0), (10, 0.5), (10, np.nan)])
def test_a_path_without_sessions_or_blocks_is_refused(count: int, mean_block: float) -> None:
    with pytest.raises(BadValue, match="sessions played, mean block"):
        draw_blocks(np.arange(30), count, mean_block, rng=rng())


@few
@given(SEEDS, st.integers(1, 60))
def test_times_of_gaps_differ_and_rise(seed: int, count: int) -> None:
    times = draw_times(count, 60, rng=rng(seed))
    assert len(times) == count and (np.diff(times) > 0).all() and times[0] >= 0 and times[-1] < 60


def test_more_gaps_than_sessions_are_refused() -> None:
    with pytest.raises(BadValue, match="gap_count has value 61"):
        draw_times(61, 60, rng=rng())


@few
@given(SEEDS, st.integers(1, 250), st.integers(1, 400))
def test_a_path_is_real_before_it_begins_and_plays_whole_rows_after(seed: int, first: int, count: int) -> None:
    closes = world(seed)
    drawn = draw_blocks(np.arange(1, 300), count, 10.0, rng=rng(seed)).session
    path = spliced(closes, first, moves_of(closes)[drawn])
    assert path[:first].tobytes() == closes[:first].tobytes()
    assert path[first:] / path[first - 1 : -1] == pytest.approx(closes[drawn] / closes[drawn - 1], rel=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -3.0])
def test_a_close_that_is_no_price_is_refused(bad: float) -> None:
    closes = world(1)
    closes[7, 2] = bad
    with pytest.raises(BadValue, match="closes"):
        moves_of(closes)


def test_a_market_plays_its_own_rows_where_it_has_them() -> None:
    moves = moves_of(world(2))
    own = draw_blocks(np.arange(1, 300), 500, 10.0, rng=rng(1)).session
    assert np.array_equal(played_moves(moves, own, moves[:, -1], moves[own, -1]), moves[own])


def test_a_market_without_a_session_follows_the_factor_by_its_beta() -> None:
    moves = moves_of(world(3))
    own = np.where(np.arange(500) % 3 == 0, ABSENT, 1 + np.arange(500) % 299)
    factor = 0.02 * rng(9).standard_normal(500)
    played = played_moves(moves, own, moves[:, -1], factor)
    beta = np.array([stats.linregress(moves[1:, -1], column).slope for column in moves[1:].T])
    absent = np.flatnonzero(own == ABSENT)
    rest = (moves[1:] - np.outer(moves[1:, -1], beta))[absent % 299]
    assert played[absent] == pytest.approx(np.outer(factor[absent], beta) + rest, abs=1e-12)
    assert played[absent, -1] == pytest.approx(factor[absent], abs=1e-12)


def test_a_row_that_is_not_known_is_not_played() -> None:
    moves = moves_of(world(4))
    with pytest.raises(BadValue, match="moves of a scenario"):
        played_moves(moves, np.array([5, 0]), moves[:, -1], np.zeros(2))


def test_a_market_too_short_to_tell_how_it_follows_is_refused() -> None:
    moves = moves_of(world(4, sessions=LEAST_SESSIONS))
    with pytest.raises(BadValue, match="sessions of a market has value 20"):
        played_moves(moves, np.array([ABSENT]), moves[:, -1], np.zeros(1))


@few
@given(SEEDS, st.integers(1, 250))
def test_no_shock_is_the_identity_to_the_bit(seed: int, first: int) -> None:
    closes = world(seed)
    extra = shocked(moves_of(closes)[first:], overlay(), NO_GAPS)
    assert overlaid(closes, first, extra).tobytes() == closes.tobytes()


@few
@given(SEEDS, st.floats(0.1, 5), st.floats(0, 1))
def test_volatility_is_multiplied_exactly_and_the_mean_stays(seed: int, volatility: float, correlation: float) -> None:
    moves = moves_of(world(seed))[1:]
    after = moves + shocked(moves, overlay(volatility=volatility, correlation=correlation), NO_GAPS)
    assert after.std(axis=0) == pytest.approx(volatility * moves.std(axis=0), rel=1e-9)
    assert after.mean(axis=0) == pytest.approx(moves.mean(axis=0), abs=1e-15)


@few
@given(SEEDS, st.floats(0, 1))
def test_correlations_go_their_share_of_the_way_to_one(seed: int, share: float) -> None:
    moves = moves_of(world(seed))[1:]
    before = correlations(moves)
    assert correlations(correlated(moves, share)) == pytest.approx(before + share * (1.0 - before), abs=1e-9)


def test_at_a_correlation_of_one_all_move_as_the_benchmark_by_their_own_volatility() -> None:
    moves = moves_of(world(5))[1:]
    after = correlated(moves, 1.0)
    units = (after - after.mean(axis=0)) / moves.std(axis=0)
    assert units == pytest.approx(np.repeat(units[:, -1:], 5, axis=1), abs=1e-9)
    assert after[:, -1].tobytes() == moves[:, -1].tobytes()


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_mirrors_copies_and_standstills_of_the_benchmark_stay_finite(share: float) -> None:
    moves = moves_of(world(6, instruments=3))[1:]
    moves[:, 0], moves[:, 1], moves[:, 2] = moves[:, -1], -moves[:, -1], 0.0
    after = correlated(moves, share)
    assert np.isfinite(after).all()
    assert after[:, 0] == pytest.approx(moves[:, 0], abs=1e-12) and (after[:, 2] == 0.0).all()


def test_a_single_session_has_no_correlation_to_change() -> None:
    moves = moves_of(world(6))[1:2]
    assert (shocked(moves, overlay(correlation=1.0, volatility=3.0), NO_GAPS) == 0.0).all()


def test_correlation_with_a_benchmark_at_rest_is_refused() -> None:
    moves = moves_of(world(6))[1:]
    moves[:, -1] = 0.0
    with pytest.raises(BadValue, match="volatility of the benchmark"):
        shocked(moves, overlay(correlation=0.5), NO_GAPS)


@few
@given(SEEDS, st.floats(-0.9, 0))
def test_drift_takes_its_share_of_every_price_in_252_sessions(seed: int, drift: float) -> None:
    closes = world(seed)
    path = overlaid(closes, 10, shocked(moves_of(closes)[10:], overlay(yearly_drift=drift), NO_GAPS))
    assert path[261] == pytest.approx(closes[261] * (1.0 + drift), rel=1e-12)


@few
@given(SEEDS, st.floats(-0.9, 0.9).filter(bool), st.integers(1, 5))
def test_a_gap_multiplies_every_price_from_its_session_on(seed: int, gap: float, count: int) -> None:
    closes = world(seed)
    times = draw_times(count, 290, rng=rng(seed))
    path = overlaid(closes, 10, shocked(moves_of(closes)[10:], overlay(gap=gap, gap_count=count), times))
    passed = (np.arange(300)[:, None] >= 10 + times).sum(axis=1)
    assert path == pytest.approx(closes * ((1.0 + gap) ** passed)[:, None], rel=1e-11)


def test_two_gaps_on_one_session_are_two() -> None:
    extra = shocked(moves_of(world(1))[1:], overlay(gap=-0.5, gap_count=2), np.array([7, 7]))
    assert np.exp(extra[7]) == pytest.approx(0.25) and (extra[[6, 8]] == 0.0).all()


@few
@given(SEEDS, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_tilt_leaves_nobody_better_off(seed: int, one: float, other: float) -> None:
    moves = moves_of(world(seed))[1:]
    fragility = rng(seed).uniform(size=(299, 4))
    mild, harsh = (tilted(moves, fragility, tilt) for tilt in sorted((one, other)))
    assert (harsh <= mild).all() and (mild <= moves).all()


@few
@given(SEEDS, st.floats(0, 1))
def test_a_tilt_is_that_of_the_slow_twin(seed: int, tilt: float) -> None:
    moves = moves_of(world(seed, sessions=40))[1:]
    fragility = rng(seed).integers(0, 5, size=(39, 4)) / 4.0
    expected = moves.copy()
    for row, scores in zip(expected, fragility, strict=True):
        ranks = (stats.rankdata(scores) - 1.0) / 3.0
        for column, rank in enumerate(ranks):
            if row[column] < 0 and rank > 0.5:
                row[column] *= 1.0 + tilt * (2.0 * rank - 1.0)
    expected[:, -1] += (expected - moves)[:, :-1].mean(axis=1)
    assert tilted(moves, fragility, tilt) == pytest.approx(expected, abs=1e-12)


def test_the_most_fragile_loses_the_whole_tilt_and_unknown_scores_lose_nothing() -> None:
    moves = np.full((2, 4), -0.01)
    fragility = np.array([[0.1, 0.5, 0.9], [np.nan, np.nan, 0.9]])
    after = tilted(moves, fragility, 0.5)
    assert after[0] == pytest.approx([-0.01, -0.01, -0.015, -0.01 - 0.005 / 3])
    assert np.array_equal(after[1], moves[1])


@few
@given(
    SEEDS,
    st.floats(0, 1),
    st.floats(0.1, 5),
    st.floats(-0.9, 0),
    st.floats(-0.9, 0.9).filter(bool),
    st.integers(1, 100),
)
def test_prices_stay_finite_and_above_zero_at_every_bound(
    seed: int, correlation: float, volatility: float, drift: float, gap: float, count: int
) -> None:
    closes = world(seed, sessions=2600)
    shocks = overlay(correlation=correlation, volatility=volatility, yearly_drift=drift, gap=gap, gap_count=count)
    extra = shocked(moves_of(closes)[80:], shocks, draw_times(count, 2520, rng=rng(seed)))
    path = overlaid(closes, 80, extra)
    assert np.isfinite(path).all() and (path > 0.0).all()


def test_prices_that_leave_the_numbers_are_refused() -> None:
    for move in (-800.0, 800.0, np.nan):
        with pytest.raises(BadValue, match="closes of a scenario"):
            spliced(world(1), 10, np.full((5, 5), move))
