"""How often a code server that is gone, or cannot load its code, is started again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kronos.cli.upkeep import Upkeep
from kronos.services.guard import Stack
from kronos.settings import Settings

STACK = Stack(pid=0, started=0.0, session=0)


class Watched(Upkeep):
    """An upkeep of a Dagster elsewhere: what is wrong is set, and what would be asked of it is counted."""

    trouble: str | None = "it is gone"
    asked = 0

    def _trouble(self, stack: Stack) -> str | None:
        return self.trouble

    def _ask(self, query: str, longest: float) -> dict[str, Any]:
        self.asked += 1
        return {}

    def looked(self, times: int) -> int:
        """How often it asked in so many looks."""
        before = self.asked
        for _ in range(times):
            self.look(STACK)
        return self.asked - before


@pytest.fixture
def upkeep(tmp_path: Path) -> Watched:
    return Watched(Settings(home=tmp_path, database_url="postgresql://elsewhere/kronos"), lambda _: None)


def test_at_the_start_it_is_given_time_and_later_little(upkeep: Watched) -> None:
    assert [upkeep.looked(23), upkeep.looked(1)] == [0, 1]
    upkeep.trouble = None
    upkeep.looked(1)
    upkeep.trouble = "it is gone"
    assert [upkeep.looked(1), upkeep.looked(1)] == [0, 1]


def test_what_comes_back_by_itself_is_not_started_again(upkeep: Watched) -> None:
    for _ in range(50):
        upkeep.trouble = "it is gone" if upkeep.trouble is None else None
        upkeep.looked(1)
    assert upkeep.asked == 0


def test_code_that_cannot_be_loaded_is_tried_ever_less_often(upkeep: Watched) -> None:
    upkeep.trouble = None
    upkeep.looked(1)
    upkeep.trouble = "it could not load its code"
    assert upkeep.looked(2 + 4 + 8 + 16 + 32) == 5
    assert upkeep.looked(600) == 10
