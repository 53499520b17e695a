"""Missing dates are imputed against the config that misses them, and must not be chosen by returns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.core.reports.comparison_gaps import Daily, chance_of_gaps, imputed, matched
from kronos.core.reports.comparison_model import Doubt
from kronos.core.stats.sharpe import sharpe_ratios
from kronos_tests.core.reports.comparison_worlds import POLICY, N, books, compare, record
from kronos_tests.core.reports.test_comparison import forecasts

DAYS = np.arange("2010-01-01", "2016-01-01", dtype="datetime64[D]")[:1500]
WORLDS = st.tuples(st.integers(0, 2**32 - 1), st.floats(-0.95, 0.95), st.booleans())


def pair(seed: int, correlation: float, fat: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns of a config and of an incumbent, normal or with Student's tails."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_t(5, (2, DAYS.size)) if fat else rng.normal(size=(2, DAYS.size))
    mixed = correlation * shocks[0] + np.sqrt(1 - correlation**2) * shocks[1]
    return 0.0002 + 0.01 * mixed, 0.0004 + 0.01 * shocks[0]


def judged(config: np.ndarray, incumbent: np.ndarray) -> tuple[float, float]:
    """Annual Sharpe difference as the comparison takes it, and the chance of the gaps."""
    both = matched(Daily(DAYS, config), Daily(DAYS, incumbent), losses=False)
    ratios = sharpe_ratios(imputed(both, losses=False))
    return float(ratios[0] - ratios[1]) * np.sqrt(252), chance_of_gaps(both.gap, both.incumbent)


@settings(deadline=None, max_examples=150)
@given(WORLDS)
def test_leaving_out_the_worst_twentieth_never_looks_better(world: tuple[int, float, bool]) -> None:
    """Either it costs, or the gaps are found to follow the incumbent's returns, and nothing is said at all."""
    config, incumbent = pair(*world)
    hidden = np.argsort(config)[: DAYS.size // 20]
    honest, _ = judged(config, incumbent)
    config[hidden] = np.nan
    found, chance = judged(config, incumbent)
    assert chance < POLICY.gap_level or found <= honest


@settings(deadline=None, max_examples=100)
@given(WORLDS)
def test_leaving_out_the_dates_worst_beside_the_incumbent_pays_next_to_nothing(world: tuple[int, float, bool]) -> None:
    config, incumbent = pair(*world)
    hidden = np.argsort(config - incumbent)[: DAYS.size // 20]
    honest, _ = judged(config, incumbent)
    config[hidden] = np.nan
    found, chance = judged(config, incumbent)
    assert chance < POLICY.gap_level or found <= honest + 0.05


@pytest.mark.parametrize("outage", [1, 20])
def test_gaps_anywhere_are_rarely_called_selective(outage: int) -> None:
    """Single dates and outages of a month, in calm and wild years: no more often than the level says."""
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(400):
        volatility = np.exp(np.convolve(rng.normal(size=DAYS.size), np.ones(60) / 12, mode="same"))
        starts = rng.integers(0, DAYS.size, 40 // outage)
        gap = np.zeros(DAYS.size, dtype=bool)
        gap[(starts[:, None] + np.arange(outage)) % DAYS.size] = True
        alarms += chance_of_gaps(gap, volatility * rng.normal(size=DAYS.size)) < 0.05
    assert alarms <= 0.05 * 400 + 3 * np.sqrt(400 * 0.05 * 0.95)


@pytest.mark.parametrize("rule", ["falls", "rises", "moves a lot", "hardly moves"])
def test_gaps_that_follow_returns_are_found(rule: str) -> None:
    rng = np.random.default_rng(8)
    values = rng.normal(size=DAYS.size)
    order = np.argsort(
        {"falls": values, "rises": -values, "moves a lot": -abs(values), "hardly moves": abs(values)}[rule]
    )
    gap = np.isin(np.arange(DAYS.size), order[:200][rng.random(200) < 0.2])
    assert chance_of_gaps(gap, values) < 0.01


def test_shifts_by_fourier_are_those_of_a_loop() -> None:
    """The slow twin: roll the gaps date by date."""
    rng = np.random.default_rng(9)
    values, gap = rng.normal(size=101), rng.random(101) < 0.1
    ranks = np.argsort(np.argsort(values)) - 50.0
    sums = np.array(
        [
            [score[np.roll(gap, shift)].sum() for score in (ranks, abs(ranks) - abs(ranks).mean())]
            for shift in range(101)
        ]
    )
    largest = np.abs(sums / sums.std(axis=0)).max(axis=1)
    assert chance_of_gaps(gap, values) == np.mean(largest >= largest[0] - 1e-9)


def test_without_gaps_or_spread_there_is_nothing_to_find() -> None:
    none = np.zeros(50, dtype=bool)
    assert chance_of_gaps(none, np.arange(50.0)) == 1.0
    assert chance_of_gaps(~none, np.arange(50.0)) == 1.0
    assert chance_of_gaps(np.arange(50) < 3, np.zeros(50)) == 1.0


def test_a_config_that_is_missing_in_falling_markets_gets_no_class() -> None:
    held = books()
    fair = held["incumbent"] + np.random.default_rng(2).normal(0, 0.004, N)
    found = compare(
        record(
            {
                "incumbent": held["incumbent"],
                "fair": np.where(np.random.default_rng(3).random(N) < 0.02, np.nan, fair),
                "picky": np.where(held["incumbent"] < np.quantile(held["incumbent"], 0.02), np.nan, fair),
            }
        )
    )
    assert found.verdict("picky").reason is Doubt.SELECTIVE_GAPS
    assert found.cell("fair", "overall").reason is None
    assert "52 missing dates follow the incumbent's values" in found.verdict("picky").detail
    assert found.cell("picky", "overall").difference is None


def test_a_forecaster_must_not_pick_its_dates() -> None:
    """Dates without any forecast are gaps: of returns they would be dates without a position."""
    rng = np.random.default_rng(3)
    base = rng.uniform(0.1, 0.3, N)
    losses = {"incumbent": base, "picky": base + rng.normal(0, 0.02, N)}
    frame = forecasts(losses)
    kept = ~np.isin(np.arange(N), np.argsort(base - losses["picky"])[: N // 25])
    mine = frame["config_id"] == "picky"
    dates = frame.filter(mine)["as_of_date"].unique().sort().filter(kept)
    found = compare(frame.filter(~mine | frame["as_of_date"].is_in(dates.implode())))
    cell = found.cell("picky", "overall")
    assert cell.coverage == pytest.approx(0.96)
    assert cell.difference is not None and cell.difference <= (base - losses["picky"]).mean()
