"""Series of a record as the gates read them, from cells."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from kronos.core.gates.series import GateSeries, gate_series, last_judged, turnover_a_session
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


def test_a_book_without_a_market_shares_its_capital_among_those_that_are_left() -> None:
    rng, capital = np.random.default_rng(3), {"US_EQ": 1.0, "US_ETF": 2.0, "FX": 6.0}
    of = {market: rng.normal(0.0, 0.01, N) for market in capital}
    about = {"calendar": None, "region": "US"}
    markets = {name: {**about, "capital": one} for name, one in capital.items()}
    policy = ObservationPolicy.model_validate({"markets": markets})
    frames = [cells(values, config="incumbent", market=market) for market, values in of.items()]
    held = evidence(pl.concat(frames), sessions(*capital, count=N + 60), horizon=1)
    found = gate_series(held, held, policy, Window(START, weekdays(N)[-1]), "incumbent")
    assert found is not None
    rest = found.series["incumbent"]["without:US_EQ"].values
    np.testing.assert_allclose(rest, (2.0 * of["US_ETF"] + 6.0 * of["FX"]) / 8.0, atol=1e-12)
    assert found.factors["without:US_EQ"] > 0.0


def test_who_decides_in_one_market_has_no_book_without_it() -> None:
    found = series(part("incumbent"), part("other"), part("other", market="US_ETF"))
    assert "without:US_EQ" in found.series["other"] and "without:US_EQ" not in found.series["incumbent"]
    assert not [name for name in series(part("incumbent"), part("other")).series["other"] if "without" in name]


def test_what_is_the_whole_book_to_every_config_is_no_slice_of_it() -> None:
    found = series(part("incumbent"), part("other"))
    assert not [name for name in found.series["other"] if name.startswith(("regime", "market"))]


def traded(config: str, every: int, turnover: float) -> pl.DataFrame:
    """A config that decides on every n-th session, and trades as much each time."""
    days = weekdays(N)[::every]
    values = books()["bad"][: len(days)]
    return cells(values, days=days, config=config, turnover=[turnover] * len(days), turnover_n=[1] * len(days))


def test_turnover_is_of_every_session_whoever_decides_on_it() -> None:
    """A weekly trader trades in a week what a daily one does, in one day."""
    found = turnover_a_session(series(traded("incumbent", 1, 0.08), traded("other", 5, 0.4)), "other", "incumbent")
    assert found["incumbent"] == pytest.approx(0.08) and found["other"] == pytest.approx(0.08, rel=0.02)


def test_turnover_is_of_the_sessions_that_both_have() -> None:
    """The incumbent is alone for the first 200 sessions: a fifth of a book each, then nothing."""
    busy = [0.2] * 200 + [0.0] * (N - 200)
    incumbent = cells(books()["bad"][:N], config="incumbent", turnover=busy, turnover_n=[1] * N)
    other = cells(books()["bad"][200:N], days=weekdays(N)[200:], config="other", turnover=[0.1] * 100)
    found = turnover_a_session(series(incumbent, other), "other", "incumbent")
    assert found == pytest.approx({"other": 0.1, "incumbent": 0.0})


def test_without_a_shared_session_there_is_no_turnover() -> None:
    assert turnover_a_session(series(traded("incumbent", 1, 0.1)), "nobody", "incumbent") == {}


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
