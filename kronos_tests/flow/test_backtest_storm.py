"""A sample of the storm over running backtests; `make prove` runs all fifty kills, over ten experiments each time."""

from __future__ import annotations

from collections import Counter

import pytest

from kronos_tests.backtesting import KINDS
from kronos_tests.proofs import backtest_storm


@pytest.mark.proof
def test_two_experiments_survive_a_kill_and_give_what_an_undisturbed_worker_gives() -> None:
    found = backtest_storm.run("sample", kills=1, experiments=2)
    assert found["holds"], found


@pytest.mark.parametrize("case", backtest_storm.CASES)
def test_every_case_strikes_every_kind_once(case: str) -> None:
    kinds = [strike.kind for strike in backtest_storm.drawn(case, backtest_storm.KILLS)]
    assert sorted(kinds) == sorted(KINDS)


def test_a_longer_storm_strikes_every_kind_equally_often() -> None:
    kinds = Counter(strike.kind for strike in backtest_storm.drawn("any", 4 * len(KINDS)))
    assert set(kinds.values()) == {4}


def test_a_case_is_drawn_from_its_name_alone() -> None:
    first, again, other = (backtest_storm.drawn(case, 5) for case in ("a", "a", "b"))
    assert first == again != other
