"""Kill -9 of run workers, the daemon, the code server and Postgres while ten experiments are tested.

No experiment is lost, none is run to completion twice, none is stuck, and the results equal those of an undisturbed
worker, ids and times aside. Everything is real: `kronos up` with its daemon and run queue, the embedded server, the
sandbox's runner in its child processes. A supervisor starts `kronos up` again when it is gone, as one would.
"""

from __future__ import annotations

import random
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from kronos.core.backtests.attempts import AttemptOutcome
from kronos.settings import Settings
from kronos_tests.backtesting import (
    MARKS,
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
"""Per case: fifty in all."""
EXPERIMENTS: Final = 10
LONGEST_S: Final = 1_500.0
_VICTIMS: Final = tuple(MARKS)


def run(case: str, kills: int = KILLS, experiments: int = EXPERIMENTS) -> dict[str, object]:
    """Test the experiments undisturbed in one home, and under kills in another."""
    rng = random.Random(case)
    with tempfile.TemporaryDirectory(prefix="kronos-storm-") as folder:
        # the account that runs Postgres for root must be able to pass
        Path(folder).chmod(0o755)
        expected = undisturbed(settings_in(Path(folder) / "a"), experiments)
        settings = settings_in(Path(folder) / "b")
        with supervised(settings) as supervisor:
            create(settings, experiments)
            struck = [_strike(settings, supervisor, rng) for _ in range(kills)]
            finished = supervisor.until(lambda: all_reviewed(settings, experiments), LONGEST_S)
        found, attempts = numbers_of_all(settings), attempts_of_all(settings)
    completed = [[one.outcome for one in each].count(AttemptOutcome.COMPLETED) for each in attempts.values()]
    return {
        "holds": finished and found == expected and completed == [1] * experiments,
        "finished": finished,
        "equal": found == expected,
        "completed_once": completed == [1] * experiments,
        "killed": struck,
        "attempts": sum(map(len, attempts.values())),
        "restarts": supervisor.starts - 1,
    }


def _strike(settings: Settings, supervisor: Supervisor, rng: random.Random) -> str:
    """Wait a random moment, then kill one process of a random kind: the first kind that is there."""
    pause = time.monotonic() + rng.uniform(1.0, 20.0)
    supervisor.until(lambda: time.monotonic() >= pause, 60.0)
    kinds = rng.sample(_VICTIMS, len(_VICTIMS))
    for kind in kinds:
        victims = members(settings, kind)
        if victims:
            with suppress(psutil.NoSuchProcess):
                rng.choice(victims).kill()
            return kind
    return "nothing was there"
