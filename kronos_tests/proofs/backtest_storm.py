"""Kill -9 of run workers, their children, the daemon, the code server and Postgres while ten experiments are tested.

No experiment is lost, none is run to completion twice, none is stuck, and the results equal those of an undisturbed
worker, ids, times and lake versions aside. Everything is real: `kronos up` with its daemon and run queue, the embedded
server, the sandbox's runner in its child processes. A supervisor starts `kronos up` again when it is gone, as one
would.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import psutil

from kronos.core.backtests.attempts import AttemptOutcome
from kronos.settings import Settings
from kronos_tests.backtesting import (
    KINDS,
    Supervisor,
    all_reviewed,
    attempts_of_all,
    create,
    members,
    numbers_of_all,
    settings_in,
    supervised,
    undisturbed,
)

CASES = [f"seed-{seed}" for seed in range(10)]
KILLS: Final = 5
"""Per case: fifty in all, ten of each kind."""
EXPERIMENTS: Final = 10
LONGEST_S: Final = 3_000.0
LONGEST_ABSENCE_S: Final = 600.0
"""Time for a process of the drawn kind to appear: a stack that was struck needs minutes on a busy machine."""
_LOOK_S: Final = 0.1


@dataclass(frozen=True)
class Strike:
    """A kill as drawn: so long after the last one, of a kind, so far into its presence, which of those there are."""

    kind: str
    pause: float
    within: float
    which: float


def drawn(case: str, kills: int) -> list[Strike]:
    """The kills of a case, from a deck that holds every kind once and is shuffled anew when it is used up."""
    rng = random.Random(case)
    kinds: list[str] = []
    while len(kinds) < kills:
        kinds += rng.sample(KINDS, len(KINDS))
    return [Strike(kind, rng.uniform(1.0, 20.0), rng.uniform(0.0, 6.0), rng.random()) for kind in kinds[:kills]]


def run(case: str, kills: int = KILLS, experiments: int = EXPERIMENTS) -> dict[str, object]:
    """Test the experiments under kills, and compare with what they give undisturbed in another home."""
    strikes, expected = drawn(case, kills), _undisturbed(experiments)
    with tempfile.TemporaryDirectory(prefix="kronos-storm-") as folder:
        # the account that runs Postgres for root must be able to pass
        Path(folder).chmod(0o755)
        settings = settings_in(Path(folder) / "home")
        with supervised(settings) as supervisor:
            create(settings, experiments)
            struck, absent = _storm(settings, supervisor, strikes)
            finished = supervisor.until(lambda: all_reviewed(settings, experiments), LONGEST_S)
        found, attempts = numbers_of_all(settings), attempts_of_all(settings)
    outcomes = [[one.outcome for one in each] for each in attempts.values()]
    completed = [each.count(AttemptOutcome.COMPLETED) for each in outcomes]
    return {
        "holds": finished and found == expected and completed == [1] * experiments and len(struck) == kills,
        "finished": finished,
        "equal": found == expected,
        "completed_once": completed == [1] * experiments,
        "killed": struck,
        "killed_by_kind": Counter(struck),
        "absent": absent,
        "attempts": Counter(str(outcome) for each in outcomes for outcome in each),
        "restarts": supervisor.starts - 1,
    }


@cache
def _undisturbed(experiments: int) -> dict[str, Any]:
    """What the storms of all cases must give: the experiments are the same in each."""
    with tempfile.TemporaryDirectory(prefix="kronos-calm-") as folder:
        Path(folder).chmod(0o755)
        return undisturbed(settings_in(Path(folder) / "home"), experiments)


def _storm(settings: Settings, supervisor: Supervisor, strikes: Sequence[Strike]) -> tuple[list[str], list[str]]:
    """Kinds that were killed and kinds that did not appear, in order; the absent are tried once more after all."""
    struck: list[str] = []
    missed: list[Strike] = []
    for strike in strikes:
        if _strike(settings, supervisor, strike):
            struck.append(strike.kind)
        else:
            missed.append(strike)
    struck += [strike.kind for strike in missed if _strike(settings, supervisor, strike)]
    return struck, [strike.kind for strike in missed]


def _strike(settings: Settings, supervisor: Supervisor, strike: Strike) -> bool:
    """After its pause kill a process of the kind, a moment after one is seen; False when none appears for long."""
    _wait(supervisor, strike.pause)
    within, deadline = strike.within, time.monotonic() + LONGEST_ABSENCE_S
    while time.monotonic() < deadline:
        if not supervisor.until(lambda: bool(members(settings, strike.kind)), 1.0, _LOOK_S):
            continue
        _wait(supervisor, within)
        victims = members(settings, strike.kind)
        if victims and _killed(victims[int(strike.which * len(victims))]):
            return True
        # gone before its moment came: the next one is struck earlier
        within /= 2
    return False


def _killed(victim: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        victim.kill()
        return True
    return False


def _wait(supervisor: Supervisor, seconds: float) -> None:
    over = time.monotonic() + seconds
    supervisor.until(lambda: time.monotonic() >= over, seconds + 60.0, _LOOK_S)
