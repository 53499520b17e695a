"""Calibration: what it counts, and that the judge is the one of real experiments."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import binomtest

from kronos.cli.calibrate import print_calibrated
from kronos.core.gates.calibration import Case, Tally, calibrate, combined
from kronos.core.gates.judge import judge
from kronos.core.gates.policy import GatePolicy
from kronos.core.gates.worlds import Truth
from kronos.services.calibration import Calibrated
from kronos_tests.core.gates.packs import FEW, drawn, policy
from kronos_tests.proofs import gate_calibration

FEW_TRIALS = Truth(candidates=3)


def tally(case: Case, count: int = 3, terms: GatePolicy = FEW) -> Tally:
    return calibrate(case, count, terms, np.random.default_rng(4), drawn(terms.improvement.resamples))


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_the_bounds_are_clopper_and_pearsons(counts: tuple[int, int]) -> None:
    worlds, accepted = counts
    low, high = Tally(worlds, accepted, 0, {}, {}).bounds(0.95)
    exact = binomtest(accepted, worlds).proportion_ci(0.90, method="exact")
    assert [low, high] == pytest.approx([exact.low, exact.high])


PLANTED = Case("edge", Truth(active_ratio=1.5))


def test_accepts_of_another_config_than_the_planted_one_are_no_power() -> None:
    """82 of 100 worlds accept something, 7 of them the wrong config: 75 % is not the 80 % that is required."""
    found = Calibrated(PLANTED, Tally(100, 82, 7, {}, {}), least=0.8)
    assert (found.tally.rate(), found.holds) == (0.75, False)
    assert found.tally.bounds() == Tally(100, 75, 0, {}, {}).bounds()
    assert Calibrated(PLANTED, Tally(100, 87, 7, {}, {}), least=0.8).holds


def test_nulls_are_held_to_the_upper_bound_of_all_accepts() -> None:
    found = Calibrated(Case("null", Truth()), Tally(1000, 5, 0, {}, {}), most=0.013)
    assert found.tally.rate() == 0.005 and found.tally.bounds() == Tally(1000, 5, 0, {}, {}).bounds() and found.holds
    assert not Calibrated(found.case, Tally(1000, 9, 0, {}, {}), most=0.013).holds


def test_the_table_shows_rate_and_bounds_of_the_planted_config_and_the_wrong_accepts_beside() -> None:
    found = Calibrated(PLANTED, Tally(100, 82, 7, {}, {}), least=0.8)
    with Console(file=StringIO(), width=200) as console, console.capture() as shown:
        print_calibrated([found], console)
    low, high = Tally(100, 75, 0, {}, {}).bounds()
    for said in ("75 (75.00%), 7 more of another config", f"{low:.3%} .. {high:.3%}", "rate >= 80%", "BROKEN"):
        assert said in shown.get()


def test_leverage_alone_is_never_accepted() -> None:
    found = tally(Case("levered", Truth(candidates=1), leverage=2.0))
    assert found.accepted == 0 and found.refused_by["IMPROVEMENT"] == found.worlds


def test_a_large_planted_edge_is_accepted_and_is_the_planted_one() -> None:
    found = tally(Case("edge", Truth(candidates=3, active_ratio=5.0)))
    assert (found.accepted, found.wrong) == (found.worlds, 0)


def test_what_the_first_resamples_refuse_no_later_ones_could_accept() -> None:
    """With a level nothing can reach, nobody is judged in whole, and all count as refused by improvement."""
    strict = policy({"improvement": {"alpha": 1e-9}})
    found = tally(Case("edge", Truth(candidates=3, active_ratio=5.0)), terms=strict)
    assert found.refused_by == {"IMPROVEMENT": found.worlds}


def test_each_look_of_a_re_test_is_refused_by_itself() -> None:
    found = tally(Case("again", FEW_TRIALS, looks=3), count=2)
    assert found.accepted == 0 and sum(found.refused_by.values()) >= 3 * found.worlds


def test_a_gate_left_out_shows_in_the_tally() -> None:
    """A judge that lets everything through accepts what leverage submits."""
    levered = Case("levered", Truth(candidates=1), leverage=2.0)

    def blind(*asked: object) -> object:
        found = judge(*asked)  # type: ignore[arg-type]  # as the judge is asked
        return type(found)((), found.looks_left)

    found = calibrate(levered, 2, FEW, np.random.default_rng(1), drawn(1000), blind)  # type: ignore[arg-type]  # blind
    assert found.accepted == found.worlds


def test_parts_add_up() -> None:
    one, two = Tally(3, 1, 0, {"STRESS": 2}, {"STRESS": 1}), Tally(2, 0, 0, {"STRESS": 1, "VALIDITY": 1}, {})
    assert combined([one, two]) == Tally(5, 1, 0, {"STRESS": 3, "VALIDITY": 1}, {"STRESS": 1})


@pytest.mark.parametrize("case", ["incumbent-levered-twice", "planted-active-ratio-3"])
def test_a_sample_of_the_proof_holds(case: str) -> None:
    assert gate_calibration.run(case, 3)["accepted"] == (3 if "planted" in case else 0)
