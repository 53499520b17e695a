"""The tests of the evidence: speed as ratios to arch and to a loop over splits; size and power on simulated truth.

    python -m benchmarks statistics

Times are CPU seconds of one thread, the best of several runs of either side in this process, so that a busy machine
does not decide. Size and power: a sample with fixed seeds, beside what `make prove` found with 5,000 nulls and 2,000
planted worlds a case (improvement_size, improvement_power; nothing where it has not run).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import combinations, islice
from math import comb

import arch.bootstrap
import numpy as np
from scipy.stats import rankdata

from kronos.core.stats.bootstrap import GivenDraws, draw, resampled_sharpes
from kronos.core.stats.matrix import ReturnMatrix
from kronos.core.stats.overfitting import backtest_overfitting
from kronos.core.stats.selection import spa_p_values
from kronos_tests import prove
from kronos_tests.proofs import improvement_power, improvement_size

SESSIONS, CONFIGS, RESAMPLES, BLOCK_LENGTH, CSCV_BLOCKS = 2500, 100, 1000, 10, 16
LOOPED_SPLITS = 1000
"""Splits the slow loop really does; its time is scaled to all 12,870."""
SIZE_WORLDS, POWER_WORLDS = 200, 100
SIZE_CASES = tuple(case for case in improvement_size.CASES if "-20-" in case and case.endswith("0.5"))

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def run() -> dict[str, object]:
    """Ratios (how many times faster than the peer) and the table of size and power."""
    returns = np.random.default_rng(1).normal(0.0004, 0.01, (SESSIONS, CONFIGS))
    return {
        "bootstrap": bootstrap(returns),
        "spa": superior_ability(returns),
        "cscv": overfitting(returns),
        "size": {case: improvement_size.run(case, SIZE_WORLDS) for case in SIZE_CASES},
        "power": {case: improvement_power.run(case, POWER_WORLDS) for case in improvement_power.CASES},
        "proven": {name: prove.stored(name) for name in ("improvement_size", "improvement_power")},
    }


def bootstrap(returns: Floats) -> dict[str, float]:
    """Sharpe ratios of 1,000 stationary-bootstrap resamples of 100 configs, drawing included.

    arch resamples one config at a time (as its users do for a number per config, and with draws of its own for each) or
    the whole matrix at once, where copying the resampled matrix is most of its work. Against the latter some 25 times
    is all that is to be had: the product of counts and features, 1 GFlop, takes a core 8 ms, and drawing 5.
    """
    ours = best_of(lambda: resampled_sharpes(returns, draw(SESSIONS, BLOCK_LENGTH, rng=_rng(), resamples=RESAMPLES)))
    each = best_of(lambda: [_arch_sharpes(column) for column in returns.T], 3)
    together = best_of(lambda: _arch_sharpes(returns), 5)
    return {
        "seconds": round(ours, 4),
        "times_faster_than_arch_per_config": round(each / ours, 1),
        "times_faster_than_arch_on_the_matrix": round(together / ours, 1),
    }


def superior_ability(returns: Floats) -> dict[str, object]:
    """Hansen's SPA of 99 configs: studentised against arch; not studentised on arch's draws, the same p-values."""
    edge, losses = returns[:, 1:] - returns[:, [0]], -returns
    ours = best_of(lambda: spa_p_values(edge, draw(SESSIONS, BLOCK_LENGTH, rng=_rng(), resamples=RESAMPLES)))
    theirs = best_of(lambda: _arch_spa(losses).compute(), 5)
    spa = _arch_spa(losses)
    spa.compute()
    plain = spa_p_values(edge, _arch_draws(), studentise=False)[1]
    return {
        "seconds": round(ours, 4),
        "times_faster_than_arch": round(theirs / ours, 1),
        "same_exceedances_on_the_same_draws": [
            round(p.value * (RESAMPLES + 1)) - 1 == round(expected * RESAMPLES)
            for p, expected in zip(plain, spa.pvalues, strict=True)
        ],
    }


def overfitting(returns: Floats) -> dict[str, float]:
    """CSCV of 100 configs with 16 blocks (12,870 splits) against a loop over splits in numpy."""
    dates = np.datetime64("2010-01-01") + np.arange(SESSIONS)
    matrix = ReturnMatrix(returns, tuple(f"c{i}" for i in range(CONFIGS)), dates)
    ours = best_of(lambda: backtest_overfitting(matrix, blocks=CSCV_BLOCKS))
    looped = best_of(lambda: _loop_over_splits(returns, LOOPED_SPLITS), 3)
    scale = comb(CSCV_BLOCKS, CSCV_BLOCKS // 2) / LOOPED_SPLITS
    return {"seconds": round(ours, 4), "times_faster_than_loop": round(looped * scale / ours, 1)}


def best_of(work: Callable[[], object], times: int = 15) -> float:
    """Least CPU seconds."""
    durations = []
    for _ in range(times):
        started = time.process_time()
        work()
        durations.append(time.process_time() - started)
    return min(durations)


def _rng() -> np.random.Generator:
    return np.random.default_rng(7)


def _arch_sharpes(values: Floats) -> Floats:
    resampler = arch.bootstrap.StationaryBootstrap(BLOCK_LENGTH, values, seed=7)
    return resampler.apply(lambda x: x.mean(axis=0) / x.std(axis=0, ddof=1), RESAMPLES)


def _arch_spa(losses: Floats) -> arch.bootstrap.SPA:
    return arch.bootstrap.SPA(losses[:, 0], losses[:, 1:], block_size=BLOCK_LENGTH, reps=RESAMPLES, seed=7)


def _arch_draws() -> GivenDraws:
    resampler = arch.bootstrap.StationaryBootstrap(BLOCK_LENGTH, np.arange(SESSIONS), seed=7)
    paths = (data[0][0] for data in resampler.bootstrap(RESAMPLES))
    return GivenDraws(np.stack([np.bincount(path, minlength=SESSIONS) for path in paths]).astype(float), BLOCK_LENGTH)


def _loop_over_splits(returns: Floats, splits: int) -> float:
    parts = np.array_split(returns, CSCV_BLOCKS)
    low = 0
    for chosen in islice(combinations(range(CSCV_BLOCKS), CSCV_BLOCKS // 2), splits):
        inside = np.concatenate([parts[i] for i in chosen])
        outside = np.concatenate([parts[i] for i in range(CSCV_BLOCKS) if i not in chosen])
        winner = (inside.mean(axis=0) / inside.std(axis=0, ddof=1)).argmax()
        ranks = rankdata(outside.mean(axis=0) / outside.std(axis=0, ddof=1))
        low += ranks[winner] / (returns.shape[1] + 1) <= 0.5
    return low / splits
