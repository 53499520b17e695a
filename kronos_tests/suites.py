"""Whole suites of controls over the sandbox's history, run in this process: real runner, battery, cells and judge."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from kronos.core.controls.outcomes import Suite
from kronos.core.controls.progress import SuiteUnderWay
from kronos.core.vocabulary import ExperimentStatus
from kronos.sandbox.load import load_history
from kronos.services.attempts import Bench
from kronos.services.backtest import run_backtest
from kronos.services.bench import bench_over
from kronos.services.controls import collect_suites, start_suites, suites_under_way
from kronos.services.experiments import changing
from kronos.services.observatory import current_instant, open_pipeline
from kronos.services.refresh import refresh_cells, refresh_facts
from kronos.services.staleness import stale_cell_months, stale_fact_months
from kronos.services.verdicts import judge_experiment
from kronos.settings import Settings
from kronos.store import backtests as store
from kronos.store.experiments import matching_experiments, move_experiment
from kronos.store.open import open_database

LEASE = timedelta(hours=1)
QUEUED, RUNNING = ExperimentStatus.QUEUED_FOR_BACKTEST, ExperimentStatus.RUNNING_BACKTESTS


@dataclass(frozen=True)
class Sandbox:
    """An observed sandbox in a home of its own."""

    bench: Bench

    @property
    def now(self) -> datetime:
        return self.bench.now

    def suite(self, engine: str, seed: int) -> Suite:
        """The engine's suite with this seed, run to its record."""
        workplace = self.bench.workplace
        start_suites(workplace, self.bench.pipeline.lake, self.now, engine, seed)
        asked = (engine, seed, workplace.code_version)
        (found,) = [
            one for one in self.under_way() if (one.key.engine_name, one.key.seed, one.key.code_version) == asked
        ]
        for member in found.members:
            run_and_judge(self.bench, member.experiment_id)
        (recorded,) = collect_suites(workplace, self.now)
        return recorded

    def under_way(self) -> tuple[SuiteUnderWay, ...]:
        """Suites that are not recorded."""
        return suites_under_way(self.bench.workplace.database, self.now)


def run_and_judge(bench: Bench, experiment_id: UUID) -> None:
    """What scheduler, run and judge do of one experiment; what was done before is not done again."""
    with bench.workplace.database.connect() as session:
        experiment = matching_experiments(session, str(experiment_id))[0]
    if experiment.status is QUEUED:
        run_backtest(bench, experiment_id, admitted(bench, experiment_id), "proof")
    judge_experiment(bench.workplace, bench.pipeline, experiment_id, bench.now.date())


def admitted(bench: Bench, experiment_id: UUID) -> int:
    """Number of the attempt that a scheduler would have begun."""
    with changing(bench.workplace, "Kronos", "admitted") as session:
        leased = datetime.now(UTC) + LEASE
        moved = move_experiment(session, experiment_id, [QUEUED], RUNNING, leased_until=leased)
        store.admit(
            session,
            experiment_id,
            moved.attempt,
            node="proof",
            batch=experiment_id,
            leave_by=None,
            pieces=1,
            pieces_before=0,
        )
    return moved.attempt


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """The sandbox's whole history, loaded and observed under the default policies."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="kronos-suites-"))
        # the account that runs Postgres for root must be able to pass
        Path(folder).chmod(0o755)
        settings = Settings(home=Path(folder))
        database = stack.enter_context(open_database(settings))
        load_history(database)
        pipeline = stack.enter_context(open_pipeline(settings, database))
        now = current_instant(settings, database)
        refresh_facts(pipeline, stale_fact_months(pipeline, now.date()), today=now.date())
        refresh_cells(pipeline, stale_cell_months(pipeline))
        yield Sandbox(bench_over(settings, pipeline, now, lambda _: None))


def wrong(suites: Sequence[Suite]) -> dict[str, str]:
    """Controls that are not as expected, and why."""
    return {one.expected.control: one.why for suite in suites for one in suite.outcomes if not one.as_expected}
