"""The paragraph says what the numbers say."""

from __future__ import annotations

from datetime import date

from kronos.core.reports.attribution_model import By
from kronos.core.reports.attribution_summary import summary
from kronos.core.reports.axis import Window
from kronos_tests.core.reports.test_attribution import DAYS, book, explain
from kronos_tests.frames import decision, facts, outcome


def test_names_the_largest_parts_and_the_deepest_drawdown() -> None:
    told = summary(explain(book(BBB2={"hard_violations": 2}), cuts=[By.INSTRUMENT]))
    assert told == (
        "PORTFOLIO fast earned money over 8 decisions of 2020-03-02..2020-04-11 at horizon 1: +200.00 USD, -0.41% "
        "compounded. By instrument, INSTRUMENT|BBB lost most (-800.00 USD, -400% of the total) and INSTRUMENT|AAA "
        "earned most (+1,000.00 USD, 500% of the total). The deepest drawdown is -14.50% from 2020-03-03 to 2020-03-05 "
        "(2 sessions, not recovered), mostly INSTRUMENT|AAA; 2 hard and 0 soft violations in it."
    )


def test_missing_outcomes_are_named() -> None:
    told = summary(explain(book(BBB1=None), cuts=[]))
    assert "Missing outcomes: 1 of 8 due; evaluation dates without a book return: 1." in told


def test_period_without_decisions() -> None:
    found = explain(book(), window=Window(date(2019, 1, 1), date(2019, 1, 31)))
    assert summary(found) == "PORTFOLIO fast decided nothing in 2019-01-01..2019-01-31."


def test_forecasts_have_neither_money_nor_return() -> None:
    found = explain(facts([decision(probability=0.7)], [outcome(event=1.0, **{"return": None})], due=[1]))
    assert summary(found).startswith("PORTFOLIO fast reports neither P&L nor returns (1 decisions")


def test_returns_without_money_are_told_in_per_cent() -> None:
    made = [decision("d1", DAYS[0], entity_id="A"), decision("d2", DAYS[0], entity_id="B")]
    found = explain(facts(made, [outcome("d1", **{"return": -0.04}), outcome("d2")], due=[1]), cuts=[By.INSTRUMENT])
    assert "lost money" in summary(found)
    assert "UNKNOWN|A lost most (-2.00% of capital, 133% of the total)" in summary(found)


def test_ruin_is_told() -> None:
    found = explain(facts([decision()], [outcome(**{"return": -1.5})], due=[1]))
    assert f"The whole capital was lost on {DAYS[1]}." in summary(found)
