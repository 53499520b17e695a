"""What the page of the queue says, held against the run workers and Dagster runs there are.

Two reads are never of one instant. But an experiment only goes forward, from attempt to attempt and from stage to stage
of each, so whatever is seen between two pages lies between the places that they say. So it is where nobody kills,
cancels or asks for an experiment again, and no worker falls silent: a page on which an attempt is under way after its
worker's end is then wrong. What does not follow is not held against the page: a run and its worker outlive their
attempt, for it is judged in the same run, and an attempt that was just admitted may have no run yet.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

import dagster as dg

from kronos.core.scheduling.policy import CLASS_LIMITS, MOST_BACKTESTS
from kronos.defs.experiments.partitions import members_of
from kronos.services.backtest_queue import QueueStatus
from kronos.settings import Settings
from kronos_tests.backtesting import workers_of

_BEGUN: Final = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
_IN_PROGRESS: Final = (dg.DagsterRunStatus.STARTING, *_BEGUN)


class Stage(IntEnum):
    """How far an attempt is."""

    ADMITTED = 0
    TAKEN_UP = 1
    OVER = 2
    """The experiment waits, for its first attempt or for another."""


class Place(NamedTuple):
    """Where an experiment stands: later places are greater."""

    attempt: int
    stage: Stage

    def __str__(self) -> str:
        return "gone" if self == GONE else f"{self.stage.name} {self.attempt}"


GONE: Final = Place(sys.maxsize, Stage.OVER)
"""On no list of the page: reviewed, or about to be."""


@dataclass(frozen=True)
class Page:
    """Where experiments stand at one moment, and the runs of those that were taken up."""

    places: Mapping[UUID, Place]
    run_ids: Mapping[UUID, str | None] = field(default_factory=dict)

    def at(self, experiment_id: UUID) -> Place:
        return self.places.get(experiment_id, GONE)


@dataclass(frozen=True)
class Run:
    """A Dagster run of backtests. process: the one in which it began."""

    run_id: str
    status: dg.DagsterRunStatus
    members: Sequence[tuple[UUID, int]]
    resource_class: str
    process: int | None = None


@dataclass(frozen=True)
class Outside:
    """What there was between two pages: runs at one moment; processes, by id, that were there before and after it.

    playing: run workers with a child that plays a backtest, the same one before and after.
    """

    runs: Sequence[Run]
    workers: frozenset[int]
    playing: frozenset[int]


def page_of(status: QueueStatus) -> Page:
    waiting = {one.experiment.experiment_id: Place(one.experiment.attempt, Stage.OVER) for one in status.waiting}
    running = {
        one.experiment.experiment_id: _running(one.attempt.attempt, one.attempt.started_at) for one in status.running
    }
    return Page(waiting | running, {one.experiment.experiment_id: one.attempt.run_id for one in status.running})


def told(page: Mapping[str, Any], before: Page) -> Page:
    """A page as JSON, which leaves out after how many attempts an experiment waits: after as few as may be."""
    running = {
        UUID(one["experiment_id"]): (_running(one["attempt"], one["started_at"]), one["run_id"])
        for one in page["running"]
    }
    waiting = [UUID(one["experiment_id"]) for one in page["waiting"]]
    places = {one: Place(before.at(one).attempt if before.at(one) != GONE else 0, Stage.OVER) for one in waiting}
    places |= {one: place for one, (place, _) in running.items()}
    return Page(places, {one: run_id for one, (_, run_id) in running.items()})


def _running(attempt: int, started_at: object) -> Place:
    return Place(attempt, Stage.ADMITTED if started_at is None else Stage.TAKEN_UP)


def look_outside(settings: Settings, instance: dg.DagsterInstance, job: str) -> Outside:
    """The runs of a job, between two looks at the processes of the home."""
    first = workers_of(settings)
    runs = [_run(instance, run) for run in instance.get_runs(dg.RunsFilter(job_name=job))]
    last = workers_of(settings)
    both = first.keys() & last.keys()
    return Outside(
        runs,
        frozenset(worker.pid for worker in both),
        frozenset(worker.pid for worker in both if {*first[worker]} & {*last[worker]}),
    )


def _run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Run:
    process = None
    if run.status in _BEGUN:
        for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_START):
            process = entry.dagster_event.pid if entry.dagster_event else None
    members = members_of(run.tags)
    return Run(run.run_id, run.status, members, run.tags.get("kronos/resource_class", ""), process)


def contradictions(before: Page, outside: Outside, after: Page) -> list[str]:
    """All that cannot be true of two pages and what was seen between them."""
    return [
        *moved_back(before, after),
        *_too_early(outside.runs, after),
        *(said for one in still_under_way(before, after) for said in _without_its_run(one, before, outside)),
        *_unknown_work(before, outside, after),
        *_over_caps(outside.runs),
    ]


def still_under_way(before: Page, after: Page) -> list[UUID]:
    """Experiments whose attempt was at work all the time between two pages."""
    return [
        one for one, place in before.places.items() if place.stage is Stage.TAKEN_UP and after.places.get(one) == place
    ]


def moved_back(before: Page, after: Page) -> Iterator[str]:
    """Experiments that stood further on an earlier page, or in another run in the same attempt."""
    for one in sorted({*before.places, *after.places}):
        if after.at(one) < before.at(one):
            yield f"{one} was {before.at(one)} and then {after.at(one)}"
    for one in still_under_way(before, after):
        first, last = before.run_ids.get(one), after.run_ids.get(one)
        if first != last:
            yield f"attempt {before.at(one).attempt} of {one} was in run {first} and then in run {last}"


def _too_early(runs: Sequence[Run], after: Page) -> Iterator[str]:
    """Runs for attempts that were not admitted: one is asked for after its attempts are."""
    for run in runs:
        for one, attempt in run.members:
            if after.at(one) < Place(attempt, Stage.ADMITTED):
                yield f"run {run.run_id} is for attempt {attempt} of {one}, which is {after.at(one)} later"


def _without_its_run(one: UUID, before: Page, outside: Outside) -> Iterator[str]:
    """What the run of an attempt under way lacks: an attempt is over before its run and its worker are."""
    run_id, attempt = before.run_ids.get(one), before.at(one).attempt
    run = next((run for run in outside.runs if run.run_id == run_id), None)
    if run is None:
        yield f"attempt {attempt} of {one} is under way, and there is no run {run_id}"
        return
    if (one, attempt) not in run.members:
        yield f"attempt {attempt} of {one} is under way in run {run_id}, which is not for it"
    if run.status not in _BEGUN:
        yield f"attempt {attempt} of {one} is under way, and its run {run_id} is {run.status.value}"
    elif run.process not in outside.workers:
        yield f"attempt {attempt} of {one} is under way, and process {run.process} of its run {run_id} is not there"


def _unknown_work(before: Page, outside: Outside, after: Page) -> Iterator[str]:
    """Backtests that are played and that the pages do not know: what plays one is there only while it is taken up."""
    begun = {run.process: run for run in outside.runs if run.status in _BEGUN}
    for process in sorted(outside.playing):
        run = begun.get(process)
        if run is None:
            yield f"process {process} plays a backtest, and no run that has begun is in it"
        elif not any(before.at(one) <= Place(n, Stage.TAKEN_UP) <= after.at(one) for one, n in run.members):
            places = ", ".join(f"{one} was {before.at(one)} and then {after.at(one)}" for one, _ in run.members)
            yield f"process {process} plays a backtest in run {run.run_id}, and {places}"


def _over_caps(runs: Sequence[Run]) -> Iterator[str]:
    """Caps that runs which the queue let go exceed together."""
    going = Counter(run.resource_class for run in runs if run.status in _IN_PROGRESS)
    yield from (f"{going[name]} {name} runs go on" for name, limit in CLASS_LIMITS.items() if going[name] > limit)
    if going.total() > MOST_BACKTESTS:
        yield f"{going.total()} runs go on"
