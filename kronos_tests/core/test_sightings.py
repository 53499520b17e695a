"""Sightings: what was seen of the world, and when."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.core.frames import SIGHTINGS, Contexts, empty
from kronos.core.sightings import new_sightings, sighted_contexts, told_now
from kronos_tests.frames import FIRST, History, at, contexts

DAY = timedelta(days=1)
NOTHING = empty(SIGHTINGS)


def regime(label: str) -> Contexts:
    return contexts(regimes=[{"region": "US", "as_of_date": FIRST, "regime": label}])


def see(known: pl.DataFrame, told: Contexts, days: int | None) -> pl.DataFrame:
    """All sightings after a look, so many days after the first date (None: the first look)."""
    seen_at = None if days is None else at(FIRST + days * DAY)
    return pl.concat([known, new_sightings(known, told_now(told), seen_at)])


def test_overwritten_value_stays_beside_the_new_one() -> None:
    """Calm was there; storm was seen a day later, calm again on the next."""
    seen = see(see(see(NOTHING, regime("CALM"), None), regime("STORM"), 1), regime("CALM"), 2)
    assert seen.select("value", "first_seen").rows() == [
        ("CALM", None),
        ("STORM", at(FIRST + DAY)),
        ("CALM", at(FIRST + 2 * DAY)),
    ]


def test_looking_again_sees_nothing_new() -> None:
    seen = see(NOTHING, regime("CALM"), 0)
    assert see(seen, regime("CALM"), 1).equals(seen)


def test_nothing_told_takes_nothing_back() -> None:
    seen = see(NOTHING, regime("CALM"), 0)
    assert see(seen, contexts(), 1).equals(seen)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_values_come_back_to_the_last_bit(seed: int) -> None:
    """Each entity's last value of a date, scores as floats, recorded when they were seen."""
    told = History(seed).contexts
    stability = told.stability.drop_nulls("stability_score")
    usable = Contexts(told.regimes, stability, told.fragility.drop_nulls("fragility_score"), told.soft_targets)
    found = sighted_contexts(see(NOTHING, usable, 0)).stability
    key = ["entity_type", "entity_id", "as_of_date"]
    expected = stability.unique(key, keep="last", maintain_order=True)
    assert found.drop("recorded_at").equals(expected.select(found.drop("recorded_at").columns))
    assert set(found["recorded_at"]) <= {at(FIRST)}
