"""A sample of the long proofs: promotions that race, and promotions that are killed."""

from __future__ import annotations

import pytest

from kronos.store.database import Database
from kronos_tests.proofs import promotion_kills, promotion_races
from kronos_tests.store.promoting import Gated


@pytest.mark.parametrize("case", promotion_races.CASES)
def test_of_two_promotions_one_wins(database: Database, case: str) -> None:
    found = promotion_races.race(Gated(database).begin(), case, rounds=3)
    assert found["holds"], found


def test_a_killed_promotion_leaves_the_old_state_or_the_new(database: Database) -> None:
    """At each place, in one way or the other by turns, one promotion after the other."""
    gated = Gated(database).begin()
    for number, place in enumerate(promotion_kills.PLACES):
        case = f"{promotion_kills.WAYS[number % 2]} at {place}"
        found = promotion_kills.kill(gated, case)
        assert found["holds"], (case, found)
