"""A sample of the storm over running backtests; `make prove` runs fifty kills over ten experiments at a time."""

from __future__ import annotations

import pytest

from kronos_tests.proofs import backtest_storm


@pytest.mark.proof
def test_two_experiments_survive_a_kill_and_give_what_an_undisturbed_worker_gives() -> None:
    found = backtest_storm.run("sample", kills=1, experiments=2)
    assert found["holds"], found
