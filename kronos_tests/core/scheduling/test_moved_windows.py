"""Windows of another time, as the sandbox has them: everything is asked and answered so many seconds later."""

from __future__ import annotations

from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kronos.core.scheduling.windows import Windows, assembled, moved

many = settings(max_examples=150, deadline=None, derandomize=True)
SHIFTS = st.integers(-(10**9), 10**9)


def three() -> Windows:
    """Protected 10-20 and 50-60, quiet 5-12 and 18-30, of a span 0-86400."""
    return assembled([(50, 60, "B"), (10, 15, "A"), (15, 20, "C")], [(5, 12), (18, 30)], 0, date(1970, 1, 1))


@many
@given(SHIFTS, st.integers(-10, 100), st.booleans())
def test_a_moved_window_answers_later_what_it_answered_before(by: int, now: int, all_quiet: bool) -> None:
    found, later = three(), moved(three(), by, all_quiet=all_quiet)
    start, market = found.next_start(now)
    assert later.covers(now + by) == found.covers(now) and later.open_at(now + by) == found.open_at(now)
    assert later.next_start(now + by) == (start + by, market)
    assert later.reopens(np.array([now + by])).tolist() == (found.reopens(np.array([now])) + by).tolist()
    assert (later.opened_by, later.closed_by) == (found.opened_by, found.closed_by)


@many
@given(SHIFTS, st.integers(0, 100))
def test_quiet_hours_move_along(by: int, now: int) -> None:
    found, later = three(), moved(three(), by, all_quiet=False)
    until = found.quiet_until(now)
    assert later.quiet_until(now + by) == (None if until is None else until + by)
    assert later.next_quiet(now + by) == found.next_quiet(now) + by


@many
@given(SHIFTS, st.integers(0, 86_399))
def test_where_all_is_quiet_it_is_so_as_far_as_the_calendars_reach_and_protected_all_the_same(
    by: int, now: int
) -> None:
    later = moved(three(), by, all_quiet=True)
    assert later.quiet_until(now + by) == 86_400 + by
    assert later.open_at(now + by) == three().open_at(now)


@many
@given(SHIFTS)
def test_moving_back_undoes_it_and_leaves_what_was_moved_as_it_was(by: int) -> None:
    found = three()
    back = moved(moved(found, by, all_quiet=False), -by, all_quiet=False)
    for name in ("starts", "ends", "quiet_starts", "quiet_ends"):
        assert np.array_equal(getattr(back, name), getattr(three(), name))
        assert np.array_equal(getattr(found, name), getattr(three(), name))
    assert (back.known_from, back.known_until) == (0, 86_400)
