"""A verdict on a terminal: nothing of it is cut off, however narrow the terminal is."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from kronos.cli.render import LEAST_WIDTH
from kronos.cli.verdict import Format, print_verdict
from kronos_tests.core.gates.packs import good
from kronos_tests.core.gates.test_page import record


@pytest.mark.parametrize("width", [80, LEAST_WIDTH])
def test_details_are_shown_whole_at_any_width(width: int) -> None:
    with Console(file=StringIO(), width=width) as console, console.capture() as shown:
        print_verdict(record(good()), Format.TABLES, console)
    words = " ".join(shown.get().split())
    assert "\u2026" not in words
    assert ("overall: 0 of 100 decisions change when" in words) == (width < LEAST_WIDTH)
    assert "decides in one market:" in words
