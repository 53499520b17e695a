"""What a battery is: strict data, stable, each scenario with draws of its own."""

import json
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kronos.core.scenarios.battery import (
    SYNTHETIC,
    WINDOWS,
    Battery,
    BlockBootstrap,
    FragilityAdversarial,
    HistoricalWindow,
    Scenario,
    ShockOverlay,
    by_running,
    default_battery,
    describe,
    entropy,
    windows,
    windows_left_out,
)

few = settings(max_examples=60, deadline=None, derandomize=True)

NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
COMMON: dict[str, st.SearchStrategy[Any]] = {
    "name": NAMES,
    "about": st.text(st.characters(exclude_categories=("C",)), max_size=20),
    "years": st.floats(0.25, 10),
    "cost_multiplier": st.floats(1, 100),
}
WINDOW = st.builds(
    HistoricalWindow, name=NAMES, about=st.just(""), start=st.just(date(2000, 1, 1)), end=st.dates(date(2000, 1, 2))
)
BOOTSTRAP = st.builds(
    BlockBootstrap,
    **COMMON,
    regimes=st.lists(st.sampled_from("ABCD"), min_size=1, unique=True).map(tuple),
    mean_block=st.floats(1, 252),
)
OVERLAY = st.builds(
    ShockOverlay,
    **COMMON,
    correlation=st.floats(0, 1),
    volatility=st.floats(0.1, 5),
    yearly_drift=st.floats(-0.9, 0),
)
ADVERSARIAL = st.builds(
    FragilityAdversarial, **COMMON, mean_block=st.floats(1, 252), odds=st.floats(1, 1e6), tilt=st.floats(0, 1)
)
SCENARIOS = st.one_of(WINDOW, BOOTSTRAP, OVERLAY, ADVERSARIAL)


def overlay(**changes: Any) -> ShockOverlay:
    return ShockOverlay(**{"name": "shock", "about": "", **changes})


@few
@given(st.lists(SCENARIOS, max_size=6, unique_by=lambda scenario: scenario.name), st.integers(0, 2**63))
def test_a_battery_survives_json_both_ways_with_its_digest(scenarios: list[Scenario], seed: int) -> None:
    battery = Battery(scenarios=tuple(scenarios), seed=seed)
    as_text = Battery.model_validate_json(battery.model_dump_json())
    as_stored = Battery.model_validate(json.loads(json.dumps(battery.model_dump(mode="json"), sort_keys=True)))
    assert as_text == as_stored == battery
    assert as_text.digest == as_stored.digest == battery.digest


def test_the_digest_of_the_default_battery_is_fixed() -> None:
    battery = default_battery(date(1990, 1, 1), date(2017, 12, 29))
    assert battery.digest == "c2892bfba583cdf67b196cc3ac6c3a80af5f33706662f93f8daa6e6931870961"


def test_the_order_of_regimes_makes_no_other_scenario() -> None:
    one, other = (
        BlockBootstrap(name="b", about="", regimes=regimes, mean_block=5) for regimes in [("A", "B"), ("B", "A")]
    )
    assert Battery(scenarios=(one,)).digest == Battery(scenarios=(other,)).digest


@pytest.mark.parametrize("scenario", [*WINDOWS[:1], *SYNTHETIC], ids=lambda scenario: scenario.name)
def test_an_unknown_key_is_refused(scenario: Scenario) -> None:
    stored = {"scenarios": [{**scenario.model_dump(mode="json"), "tillt": 1}]}
    with pytest.raises(ValidationError, match="tillt"):
        Battery.model_validate(stored)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"volatility": 5.1}, "volatility"), ({"volatility": "2"}, "volatility"), ({"about": "one\ntwo"}, "about"),
     ({"about": "\0"}, "about"), ({"volatility": float("nan")}, "volatility"),
     ({"correlation": 1.01}, "correlation"), ({"yearly_drift": 0.1}, "yearly_drift"), ({"years": 0.1}, "years"),
     ({"cost_multiplier": 0.5}, "cost_multiplier"), ({"gap_count": 2.0}, "gap_count"), ({"gap": -0.91}, "gap"),
     ({"gap": -0.1}, "either gap_count or gap_dates"), ({"gap_count": 2}, "either gap_count or gap_dates"),
     ({"gap": -0.1, "gap_count": 1, "gap_dates": (date(2001, 1, 2),)}, "either gap_count or gap_dates"),
     ({"gap": -0.1, "gap_dates": (date(2001, 1, 3), date(2001, 1, 2))}, "rising dates")],
)  # fmt: skip
def test_a_shock_out_of_bounds_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        overlay(**changes)


def test_regimes_are_named_once_and_at_least_one() -> None:
    for regimes in ((), ("A", "A"), ("",)):
        with pytest.raises(ValidationError, match="regimes"):
            BlockBootstrap(name="b", about="", regimes=regimes, mean_block=5)


def test_a_window_does_not_end_before_it_starts() -> None:
    with pytest.raises(ValidationError, match="not before start"):
        HistoricalWindow(name="w", about="", start=date(2001, 1, 2), end=date(2001, 1, 1))


def test_two_scenarios_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="each once"):
        Battery(scenarios=(overlay(), overlay(volatility=2)))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match="kind"):
        Battery.model_validate({"scenarios": [{"kind": "guess", "name": "x"}]})


def test_default_windows_lie_within_the_dates_and_the_rest_is_always_there() -> None:
    battery = default_battery(date(1998, 7, 18), date(2018, 12, 24))
    assert [window.name for window in windows(battery)] == [
        "dot-com-2000-2002", "crisis-2008-2009", "downgrade-2011", "china-oil-2015-2016", "tightening-2018",
    ]  # fmt: skip
    assert by_running(battery) == SYNTHETIC


def test_windows_outside_the_dates_are_named_where_the_battery_is_the_default() -> None:
    start, end = date(1998, 7, 18), date(2018, 12, 24)
    battery = default_battery(start, end)
    outside = [window.name for window in windows_left_out(battery, start, end)]
    assert outside == ["crash-1987", "gulf-1990", "russia-1998", "pandemic-2020", "inflation-2022"]
    assert windows_left_out(battery.model_copy(update={"seed": 1}), start, end) == ()


def test_every_scenario_is_either_run_or_read() -> None:
    battery = default_battery(date(1980, 1, 1), date(2023, 1, 1))
    assert (*windows(battery), *by_running(battery)) == battery.scenarios == (*WINDOWS, *SYNTHETIC)


def test_the_draws_of_a_scenario_depend_on_seed_and_name_alone() -> None:
    names = [scenario.name for scenario in SYNTHETIC]
    first = {name: np.random.default_rng(entropy(7, name)).random() for name in names}
    assert first == {name: np.random.default_rng(entropy(7, name)).random() for name in reversed(names)}
    assert len(set(first.values())) == len(names)
    assert entropy(7, "a") != entropy(8, "a")


def test_a_scenario_is_described_in_one_line() -> None:
    dated = overlay(gap=-0.1, gap_dates=(date(2001, 1, 2), date(2001, 1, 3)))
    told = {scenario.name: describe(scenario) for scenario in (*WINDOWS, *SYNTHETIC, dated)}
    assert all(line and "\n" not in line for line in told.values())
    assert told["crash-1987"] == "1987-08-25 to 1987-12-04, as it happened"
    assert told["crisis-regimes"] == "days of CRISIS, STRESS in blocks of 21, 5 years"
    assert told["liquidity-gone"] == "prices as they were, costs x5, 5 years"
    assert told["shock"] == "2 gaps of -10%, 5 years"
