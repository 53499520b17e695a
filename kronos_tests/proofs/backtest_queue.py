"""Ten proposals become experiments and are tested by the real daemon, run queue and Postgres: caps and order hold.

While they are, the page of the queue is read again and again and held against the caps, against itself, and against
the Dagster runs and processes that are there between two readings of it (`queue_truth` says what follows from those).
What the command says is held between two readings too. Afterwards the times of all attempts tell whether a cap was
exceeded between two looks.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, chain
from pathlib import Path
from typing import Any
from uuid import UUID

from kronos.core.backtests.attempts import Attempt, AttemptOutcome
from kronos.core.scheduling.policy import CLASS_LIMITS, MOST_BACKTESTS
from kronos.core.vocabulary import ResourceClass
from kronos.defs.experiments.sensors import experiment_job
from kronos.errors import KronosError
from kronos.services.backtest_queue import queue_status
from kronos.services.experiments import list_experiments
from kronos.services.workplace import Workplace
from kronos.settings import Settings
from kronos_tests.backtesting import (
    all_reviewed,
    at_work,
    attempts_of_all,
    create,
    environment,
    settings_in,
    supervised,
    up,
)
from kronos_tests.instances import dagster_of
from kronos_tests.queue_truth import Page, contradictions, look_outside, moved_back, page_of, still_under_way, told

CASES = ["ten"]
EXPERIMENTS = 10
LONGEST_S = 3_000.0
_EVERY_S = 2.0
_COMMAND_EVERY = 10


def run(case: str, experiments: int = EXPERIMENTS) -> dict[str, object]:
    """Everything is in the queue before the scheduler starts, so that the order is known."""
    del case
    with tempfile.TemporaryDirectory(prefix="kronos-queue-") as folder:
        # the account that runs Postgres for root must be able to pass
        Path(folder).chmod(0o755)
        settings = settings_in(Path(folder) / "a")
        up(settings, "--once").wait()
        create(settings, experiments)
        seen = _Seen(settings)
        with supervised(settings) as supervisor:
            finished = supervisor.until(lambda: seen.look() or all_reviewed(settings, experiments), LONGEST_S)
        attempts, ordered = attempts_of_all(settings), _in_order(settings)
        broken = [*seen.broken, *over_caps(chain(*attempts.values()), _classes(settings))]
    once = all([one.outcome for one in each] == [AttemptOutcome.COMPLETED] for each in attempts.values())
    return {
        "holds": finished and once and ordered and not broken and bool(seen.under_way and seen.playing and seen.told),
        "finished": finished,
        "each_started_and_completed_once": once,
        "in_order_of_priority": ordered,
        "broken": broken,
        "looks": seen.looks,
        "seen_under_way": seen.under_way,
        "seen_playing": seen.playing,
        "told_by_the_command": seen.told,
        "most_at_once": most_at_once(chain(*attempts.values())),
        "seconds_from_admission_to_end": sorted(round(_seconds(each)) for each in attempts.values()),
    }


def most_at_once(attempts: Iterable[Attempt]) -> int:
    """Largest number of attempts that were under way at one instant; what ended as another began was over."""
    begun = list(attempts)
    changes = [(one.admitted_at, 1) for one in begun]
    changes += [(one.ended_at, -1) for one in begun if one.ended_at is not None]
    return max(accumulate(change for _, change in sorted(changes)), default=0)


def over_caps(attempts: Iterable[Attempt], class_of: Mapping[UUID, ResourceClass]) -> list[str]:
    """Caps that more attempts than they allow were under way at once; class_of: each experiment's."""
    begun = list(attempts)
    most = {name: most_at_once(one for one in begun if class_of[one.experiment_id] == name) for name in ResourceClass}
    found = [f"{most[name]} {name} were under way" for name, limit in CLASS_LIMITS.items() if most[name] > limit]
    together = most_at_once(begun)
    return [*found, f"{together} were under way"] if together > MOST_BACKTESTS else found


@dataclass
class _Seen:
    """What the page said, again and again.

    under_way, playing: how often an attempt was found at work as the page said, and a process that played one.
    """

    settings: Settings
    looks: int = 0
    under_way: int = 0
    playing: int = 0
    told: int = 0
    broken: list[str] = field(default_factory=list)
    _page: Page | None = None
    _last: float = 0.0

    def look(self) -> bool:
        """Read the page and what there is; False, so that waiting goes on."""
        if time.monotonic() - self._last >= _EVERY_S:
            self._last = time.monotonic()
            with at_work(self.settings) as workplace:
                self._look(workplace)
        return False

    def _look(self, workplace: Workplace) -> None:
        earlier, before = self._page, self._read(workplace)
        with dagster_of(self.settings, workplace.database) as instance:
            outside = look_outside(self.settings, instance, experiment_job.name)
        after = self._read(workplace)
        self.broken += [*(moved_back(earlier, before) if earlier else ()), *contradictions(before, outside, after)]
        self.under_way += len(still_under_way(before, after))
        self.playing += len(outside.playing)
        if self.looks % _COMMAND_EVERY == 0:
            said = self._command()
            page = told(said, after)
            self.broken += [*_broken(said), *moved_back(after, page), *moved_back(page, self._read(workplace))]
            self.told += 1
        self.looks += 1

    def _read(self, workplace: Workplace) -> Page:
        status = queue_status(workplace.database, workplace.policy.scheduler)
        self.broken += _broken(status.to_json_dict())
        self._page = page = page_of(status)
        return page

    def _command(self) -> dict[str, Any]:
        command = [sys.executable, "-m", "kronos.cli", "experiment", "queue", "--json"]
        done = subprocess.run(command, env=environment(self.settings), capture_output=True, text=True, check=True)
        page: dict[str, Any] = json.loads(done.stdout)
        return page


def _broken(page: Mapping[str, Any]) -> Iterable[str]:
    """Caps that are exceeded, an experiment in two places, a wait without a reason after a plan."""
    running, waiting = page["running"], page["waiting"]
    by_class = Counter(one["resource_class"] for one in running)
    yield from (f"{by_class[name]} {name} run" for name, limit in CLASS_LIMITS.items() if by_class[name] > limit)
    if len(running) > MOST_BACKTESTS:
        yield f"{len(running)} run"
    ids = Counter(one["experiment_id"] for one in (*running, *waiting))
    yield from (f"{name} stands {count} times" for name, count in ids.items() if count > 1)
    yield from (f"{one['attempt']} attempts" for one in running if one["attempt"] != 1)
    yield from (f"{one['experiment_id']} waits for nothing" for one in waiting if one["reason"] == "FREE")


def _classes(settings: Settings) -> dict[UUID, ResourceClass]:
    with at_work(settings) as workplace:
        return {one.experiment_id: one.resource_class for one in list_experiments(workplace.database)}


def _in_order(settings: Settings) -> bool:
    """Within a class whoever is more important was admitted no later."""
    try:
        with at_work(settings) as workplace:
            experiments = list_experiments(workplace.database)
    except KronosError:
        return False
    attempts = attempts_of_all(settings)
    by_class: dict[str, list[tuple[int, float]]] = {}
    for one in experiments:
        first = attempts[one.description][0].admitted_at.timestamp()
        by_class.setdefault(one.resource_class, []).append((one.priority, first))
    return all([at for _, at in sorted(each)] == sorted(at for _, at in each) for each in by_class.values())


def _seconds(attempts: Iterable[Attempt]) -> float:
    return sum((one.ended_at - one.admitted_at).total_seconds() for one in attempts if one.ended_at is not None)
