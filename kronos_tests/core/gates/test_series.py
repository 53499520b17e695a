"""Series of a record as the gates read them, from cells."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from kronos.core.gates.series import GateSeries, gate_series, last_judged
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.axis import Window
from kronos.core.reports.comparison_gaps import Daily
from kronos.core.reports.comparison_model import OVERALL_SLICE
from kronos.core.reports.evidence import evidence
from kronos_tests.core.reports.builders import START, cells, sessions, weekdays
from kronos_tests.core.reports.comparison_worlds import books

N = 300
CALM, STRESS = ["CALM"] * N, ["CALM"] * (N - 60) + ["STRESS"] * 60


def series(*frames: pl.DataFrame) -> GateSeries:
    """The series of these cells beside `incumbent`."""
    held = evidence(pl.concat(frames), sessions("US_EQ", "US_ETF", count=N + 60), horizon=1)
    found = gate_series(held, held, ObservationPolicy(), Window(START, weekdays(N)[-1]), "incumbent")
    assert found is not None
    return found


def part(config: str, labels: list[str] | None = None, market: str = "US_EQ") -> pl.DataFrame:
    return cells(books()["bad"][:N], config=config, labels=labels or CALM, market=market)


def test_a_regime_that_only_another_config_decides_in_is_a_slice() -> None:
    found = series(part("incumbent"), part("other", STRESS))
    assert {"regime:CALM", "regime:STRESS"} <= set(found.series["other"]) & set(found.wealth["other"])
    assert "regime:STRESS" not in found.series["incumbent"] and found.factors["regime:CALM"] > 0.0


def test_a_market_that_only_another_config_decides_in_is_a_slice() -> None:
    found = series(part("incumbent"), part("other"), part("other", market="US_ETF"))
    assert {"market:US_EQ", "market:US_ETF"} <= set(found.series["other"]) & set(found.wealth["other"])
    assert found.factors["market:US_EQ"] > 0.0


def test_what_is_the_whole_book_to_every_config_is_no_slice_of_it() -> None:
    found = series(part("incumbent"), part("other"))
    assert not [name for name in found.series["other"] if name.startswith(("regime", "market"))]


def test_a_session_without_a_decision_costs_nothing_and_is_known_to() -> None:
    """Costs have the dates that returns have, whoever decides once a week."""
    weekly = weekdays(N)[::5]
    found = series(*(costing(one, weekly) for one in ("incumbent", "other")))
    for name in ("incumbent", "other"):
        costs, returns = found.costs[name], found.series[name][OVERALL_SLICE]
        assert costs.days.tolist() == returns.days.tolist() and len(costs.days) == N - 4
        assert costs.values[:6] == pytest.approx([1e-4, 0.0, 0.0, 0.0, 0.0, 1e-4])


def test_a_market_without_a_decision_costs_its_share_of_the_book_nothing() -> None:
    days = weekdays(N)
    found = series(costing("incumbent", days), costing("incumbent", days[::5], market="US_ETF"))
    assert found.costs["incumbent"].values[:3] == pytest.approx([1e-4, 0.5e-4, 0.5e-4])


def test_what_is_not_evaluated_yet_has_no_cost() -> None:
    """Idle or not: neither has it a return."""
    days = weekdays(N)[::5]
    held = evidence(costing("incumbent", days), sessions("US_EQ", count=N + 60), horizon=1)
    window = Window(START, days[-1], as_of=days[40])
    found = gate_series(held, held, ObservationPolicy(), window, "incumbent")
    assert found is not None
    returns = found.series["incumbent"][OVERALL_SLICE].days
    assert found.costs["incumbent"].days.tolist() == returns.tolist() and returns[-1].item() < days[40]


def costing(config: str, days: list[date], market: str = "US_EQ") -> pl.DataFrame:
    returns = books()["bad"][: len(days)]
    return cells(returns, days=days, config=config, market=market, cost=[1e-4] * len(days))


def books_of(**values: list[float]) -> dict[str, dict[str, Daily]]:
    days = np.datetime64("2020-01-01") + np.arange(3)
    return {name: {OVERALL_SLICE: Daily(days, np.array(column))} for name, column in values.items()}


def test_the_last_judged_date_is_one_on_which_both_have_a_value() -> None:
    found = books_of(mine=[0.1, 0.1, np.nan], theirs=[0.1, 0.2, 0.3])
    assert last_judged(found, "mine", "theirs") == last_judged(found, "theirs", "mine") == date(2020, 1, 2)


@pytest.mark.parametrize("horizon", [1, 21, 63])
def test_evidence_reaches_as_far_as_its_last_outcome_whatever_the_horizon(horizon: int) -> None:
    """The newest decision that can be judged is as many sessions old."""
    days = weekdays(N)
    known = N - 10 - horizon
    frames = [cells(books()["bad"][:N], days=days, config=one, horizon=horizon) for one in ("incumbent", "other")]
    frames[1] = cells([*books()["bad"][:known], *[None] * (N - known)], days=days, config="other", horizon=horizon)
    held, at_one = (evidence(pl.concat(frames), sessions("US_EQ", count=N + 90), horizon=h) for h in (horizon, 1))
    found = gate_series(held, at_one, ObservationPolicy(), Window(START, days[-1]), "incumbent")
    assert found is not None and last_judged(found.series, "other", "incumbent") == days[known - 1]
    assert found.judged_until("other", "incumbent") == days[known - 1 + horizon] == days[N - 11]
    assert found.judged_until("nobody", "incumbent") is None


def test_without_a_shared_value_there_is_no_last_judged_date() -> None:
    found = books_of(mine=[0.1, np.nan, np.nan], theirs=[np.nan, np.nan, 0.3])
    assert last_judged(found, "mine", "theirs") is None
    assert last_judged(found, "mine", "nobody") is None and last_judged({}, "mine", "theirs") is None
