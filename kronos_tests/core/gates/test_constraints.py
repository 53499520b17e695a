"""Hard limits recomputed from the decisions, beside a slow twin."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import date, timedelta

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from kronos.core.gates.constraints import recomputed
from kronos.core.gates.policy import CANARY, ILLIQUID, ConstraintTerms, Limits

BORNE = {ILLIQUID: 1e-6, "y": 0.25}
TERMS = ConstraintTerms(limits={"*": Limits(), "A": Limits(most_weight=0.3, most_gross=1.0)}, liquidity=BORNE)
Row = tuple[str, str, date, float | None]


def facts(*rows: Row) -> pl.DataFrame:
    schema = {"market_id": pl.String, "entity_id": pl.String, "as_of_date": pl.Date, "weight": pl.Float64}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


DAY = date(2020, 1, 6)
rows = st.lists(
    st.tuples(
        st.sampled_from(["A", "B"]),
        st.sampled_from(["x", "y", CANARY, ILLIQUID]),
        st.integers(0, 3).map(lambda n: DAY + timedelta(days=n)),
        st.sampled_from([0.1, 0.25, 0.3, -0.4, 0.9]),
    ),
    min_size=1,
    max_size=30,
)


@given(rows)
def test_breaches_are_counted_as_by_hand(found: list[Row]) -> None:
    names, books, banned = (
        defaultdict[tuple[str, str, date], float](float),
        defaultdict[tuple[str, date], float](float),
        0,
    )
    for market, entity, day, weight in found:
        names[market, entity, day] += abs(weight or 0.0)
        books[market, day] += abs(weight or 0.0)
        banned += entity == CANARY
    limits = {"A": (0.3, 1.0), "B": (1.05, 1.5)}
    broken_names = sum(total > limits[market][0] + 1e-12 for (market, _, _), total in names.items())
    broken_books = sum(total > limits[market][1] + 1e-12 for (market, _), total in books.items())
    illiquid = sum(total > BORNE.get(entity, math.inf) + 1e-12 for (_, entity, _), total in names.items())
    counted = defaultdict[str, int](int)
    for breach in recomputed(facts(*found), "PORTFOLIO", TERMS, earns=True):
        counted[breach.rule] += breach.count
    assert counted == {
        "weight of one name": broken_names,
        "gross weight": broken_books,
        "blacklisted names": banned,
        "weight beside liquidity": illiquid,
    }


def test_the_name_held_furthest_beyond_its_liquidity_is_told() -> None:
    later = DAY + timedelta(days=1)
    held = facts(("A", "y", DAY, 0.3), ("A", ILLIQUID, DAY, 0.1), ("A", ILLIQUID, later, -0.2), ("A", "x", DAY, 0.3))
    (found,) = [
        one for one in recomputed(held, "PORTFOLIO", TERMS, earns=True) if one.rule == "weight beside liquidity"
    ]
    assert (found.count, found.worst, found.limit) == (3, 0.2, 1e-6)
    assert found.where == f"{ILLIQUID} on {later}"


def test_names_whose_liquidity_nobody_tells_are_held_by_the_other_limits() -> None:
    found = recomputed(facts(("A", "x", DAY, 0.3)), "PORTFOLIO", TERMS, earns=True)
    (liquid,) = [one for one in found if one.rule == "weight beside liquidity"]
    assert (liquid.count, liquid.worst, liquid.where) == (0, 0.0, "")


def test_a_weight_that_is_missing_or_no_number_breaks_its_limits() -> None:
    for weight in (None, math.nan, math.inf):
        found = recomputed(facts(("A", "x", DAY, weight)), "PORTFOLIO", TERMS, earns=True)
        assert {one.rule for one in found if one.count} == {"weight of one name", "gross weight"}


def test_a_weight_at_the_limit_up_to_rounding_keeps_it() -> None:
    found = recomputed(facts(("A", "x", DAY, float(np.nextafter(0.3, 1.0)))), "PORTFOLIO", TERMS, earns=True)
    assert not any(one.count for one in found)


def test_an_engine_that_only_forecasts_holds_nothing_but_may_not_name_what_is_forbidden() -> None:
    found = recomputed(facts(("A", CANARY, DAY, 1.0)), "REGIME", TERMS, earns=False)
    assert [(one.rule, one.count) for one in found] == [("blacklisted names", 1)]


def test_baskets_are_held_to_the_limits_of_their_engine() -> None:
    found = recomputed(facts(("US_EQ", "US_EQ:basket", DAY, 1.0)), "UNIVERSE", ConstraintTerms(), earns=True)
    assert not any(one.count for one in found)
