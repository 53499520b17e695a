"""Which regions the barrier waits for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from kronos.core.frames import empty
from kronos.core.scheduling.expectation import ACTIVE_FOR, ACTIVITY, CLOSES, RUNS, expected_sessions
from kronos.core.vocabulary import Phase
from kronos.errors import BadValue

DAY = date(2024, 7, 3)
NOON = datetime(2024, 7, 3, 12, tzinfo=UTC)


def _closes(*rows: tuple[str, str, int]) -> pl.DataFrame:
    """Sessions on DAY as (market, region, closing hour after noon)."""
    return pl.DataFrame([(m, r, DAY, NOON + timedelta(hours=h)) for m, r, h in rows], schema=CLOSES, orient="row")


def _runs(*rows: tuple[str, date, str]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=RUNS, orient="row")


def _activity(*rows: tuple[str, date]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=ACTIVITY, orient="row")


WORLD = _closes(("US_EQ", "US", 8), ("US_FUT", "US", 9), ("EU_EQ", "EU", 4), ("JP_EQ", "JP", -6))
YESTERDAY = DAY - timedelta(days=1)


def test_a_region_nobody_runs_is_not_expected() -> None:
    found = expected_sessions(WORLD, empty(RUNS), _activity(("EU_EQ", YESTERDAY)))
    assert [entry.region for entry in found] == ["EU"]


def test_a_region_that_decides_but_logs_no_run_is_missing() -> None:
    (entry,) = expected_sessions(WORLD, empty(RUNS), _activity(("EU_EQ", DAY)))
    assert entry.phase is None


def test_the_close_is_the_latest_of_the_markets_that_decide() -> None:
    only_stocks = expected_sessions(WORLD, empty(RUNS), _activity(("US_EQ", DAY)))
    both = expected_sessions(WORLD, empty(RUNS), _activity(("US_EQ", DAY), ("US_FUT", YESTERDAY)))
    assert [only_stocks[0].closes_at.hour, both[0].closes_at.hour] == [20, 21]


def test_a_region_whose_engines_ran_is_expected_without_any_decision() -> None:
    (entry,) = expected_sessions(WORLD, _runs(("JP", DAY, "FAILED")), empty(ACTIVITY))
    assert (entry.region, entry.phase) == ("JP", Phase.FAILED)


def test_a_region_on_holiday_is_not_expected() -> None:
    without_japan = WORLD.filter(pl.col("region") != "JP")
    runs = _runs(("JP", YESTERDAY, "COMPLETED"), ("EU", DAY, "COMPLETED"))
    found = expected_sessions(without_japan, runs, empty(ACTIVITY))
    assert [entry.region for entry in found] == ["EU"]


@pytest.mark.parametrize(("days", "expected"), [(ACTIVE_FOR.days, 1), (ACTIVE_FOR.days + 1, 0)])
def test_a_market_that_has_left_is_no_longer_waited_for(days: int, expected: int) -> None:
    found = expected_sessions(WORLD, empty(RUNS), _activity(("EU_EQ", DAY - timedelta(days=days))))
    assert len(found) == expected


def test_what_happens_later_expects_nothing_earlier() -> None:
    later = DAY + timedelta(days=1)
    assert expected_sessions(WORLD, _runs(("EU", later, "COMPLETED")), _activity(("US_EQ", later))) == []


def test_an_unknown_phase_is_an_unfinished_run() -> None:
    (entry,) = expected_sessions(WORLD, _runs(("EU", DAY, "POSTPROCESSING")), empty(ACTIVITY))
    assert entry.missing


def test_nothing_at_all_expects_nothing() -> None:
    assert expected_sessions(empty(CLOSES), empty(RUNS), empty(ACTIVITY)) == []


def test_a_frame_without_its_columns_is_refused() -> None:
    with pytest.raises(BadValue, match="frame runs"):
        expected_sessions(WORLD, empty(RUNS).drop("phase"), empty(ACTIVITY))
