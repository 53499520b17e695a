"""Which windows the scheduler knows, on real calendars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kronos.core.policy import ObservationPolicy
from kronos.services.scheduling_snapshot import windows_in_use

NOTHING = timedelta(0)
AFTER_CLOSURES = {
    "EU_EQ after Easter": ("EU_EQ", datetime(2026, 4, 7, 0, 1, tzinfo=UTC)),
    "EU_EQ after Christmas": ("EU_EQ", datetime(2026, 12, 28, 0, 1, tzinfo=UTC)),
    "JP_EQ after ten days of a new era": ("JP_EQ", datetime(2019, 5, 7, 0, 1, tzinfo=UTC)),
    "US_EQ after a weekend of three days": ("US_EQ", datetime(2026, 1, 20, 0, 1, tzinfo=UTC)),
}


@pytest.mark.parametrize("case", AFTER_CLOSURES)
def test_windows_are_known_on_the_first_day_after_a_closure(case: str) -> None:
    market, now = AFTER_CLOSURES[case]
    found = windows_in_use(ObservationPolicy(), [market], now, NOTHING, sandbox=False)
    assert found is not None and found.covers(int(now.timestamp()))


def test_the_closes_before_a_closure_are_protected_as_ever() -> None:
    """Thursday before Easter 2026: XETR closes at 17:30 in Berlin, 15:30 UTC."""
    now = datetime(2026, 4, 2, 16, 0, tzinfo=UTC)
    found = windows_in_use(ObservationPolicy(), ["EU_EQ"], now, NOTHING, sandbox=False)
    assert found is not None
    instant = int(now.timestamp())
    assert any(start <= instant < end for start, end in zip(found.starts, found.ends, strict=True))
