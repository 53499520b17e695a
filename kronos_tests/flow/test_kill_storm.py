"""A sample of the kill storm: one kill, in the middle of a short history. `make prove` runs the whole of it."""

from __future__ import annotations

import pytest

from kronos_tests.proofs.kill_storm import run


@pytest.mark.proof
def test_killed_and_run_again_gives_the_same_reports() -> None:
    """Kill -9 of the command, its database server and all else it started."""
    result = run("sample", until="1990-04-30")
    assert result["holds"], result
