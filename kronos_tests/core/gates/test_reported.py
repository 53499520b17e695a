"""Who reports costs and turnover."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from kronos.core.gates.reported import reporting

LEAST = dict.fromkeys(("all", "most", "few", "one"), 0.95)


def facts(**costs: Sequence[float | None]) -> pl.DataFrame:
    """Outcomes with a return and these costs, by config; turnover is always there."""
    rows = [(name, 0.1, cost, 0.2) for name, column in costs.items() for cost in column]
    names = ["config_id", "return_h5", "cost_h5", "turnover_h5"]
    return pl.DataFrame(rows, schema=dict(zip(names, [pl.String, *[pl.Float64] * 3], strict=True)), orient="row")


def test_a_column_that_is_null_in_too_many_outcomes_is_not_reported() -> None:
    found = reporting(facts(all=[0.0] * 20, most=[0.1] * 19 + [None], few=[0.1] + [None] * 19), 5, LEAST)
    assert found == {"cost": {"all", "most"}, "turnover": {"all", "most", "few"}}


def test_one_outcome_without_is_too_many_where_all_are_asked() -> None:
    """Who trades once a month could leave out every cost there is, and still report those of 20 in 21 outcomes."""
    found = reporting(facts(whole=[0.0] * 21, most=[0.0] * 20 + [None]), 5, dict.fromkeys(("whole", "most"), 1.0))
    assert found["cost"] == {"whole"}


def test_a_config_that_nobody_asks_of_reports_nothing() -> None:
    assert reporting(facts(other=[0.1]), 5, LEAST)["cost"] == frozenset()


def test_outcomes_without_a_return_are_not_asked() -> None:
    rows = facts(one=[0.1, 0.1, None]).with_columns(
        pl.when(pl.col("cost_h5").is_not_null()).then("return_h5").alias("return_h5")
    )
    assert reporting(rows, 5, LEAST)["cost"] == {"one"}


def test_without_returns_nobody_reports_anything() -> None:
    nothing = {"cost": frozenset[str](), "turnover": frozenset[str]()}
    assert reporting(facts(one=[0.1]), 1, LEAST) == reporting(facts(), 5, LEAST) == nothing
