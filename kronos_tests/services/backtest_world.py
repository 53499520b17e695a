"""A database with the sandbox's configs, two years to backtest, and room on the machine whatever else runs there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from kronos.core.backtests.policy import BacktestPolicy
from kronos.core.backtests.runner import Ability, ChosenRunner, Produced, Watch
from kronos.core.backtests.spec import Task
from kronos.core.changes.model import Experiment
from kronos.core.changes.request import CONTROLS, KRONOS, EngineDates, ExperimentRequest
from kronos.core.policy import ObservationPolicy
from kronos.core.scenarios.battery import Battery, HistoricalWindow, Scenario, ShockOverlay
from kronos.core.scheduling.policy import Caps, Need, SchedulerPolicy
from kronos.core.vocabulary import ExperimentStatus, ResourceClass
from kronos.lake.tables import Lake
from kronos.sandbox.backtest import produce
from kronos.sandbox.configs import CONFIGS, HANDICAPPED_INCUMBENT
from kronos.services.attempts import Bench
from kronos.services.experiments import create_experiment
from kronos.services.pipeline import Pipeline
from kronos.services.refresh import refresh_cells, refresh_facts
from kronos.services.scheduling_snapshot import RunQueue
from kronos.services.workplace import Workplace, check_sandbox_config
from kronos.settings import Dialect, RecordedBy, Settings
from kronos.sources.reader import SourceReader
from kronos.store import backtests as store
from kronos.store.clock import SandboxClock, start_clock
from kronos.store.database import Database, Role
from kronos.store.engine_configs import activate, register
from kronos.store.experiments import matching_experiments, move_experiment
from kronos.store.principals import begin_principals, hash_of
from kronos_tests.builders import decision, engine_run, insert, outcome, regime

START, END = date(1995, 1, 3), date(1996, 12, 31)
LAST_SESSION = date(1996, 12, 31)
NOW = datetime(1997, 1, 1, 1, 30, tzinfo=UTC)
BODY = {"style": "momentum", "lookback": 63, "names": 6, "rebalance_every": 5}
BATTERY = Battery(
    scenarios=(
        HistoricalWindow(name="summer", about="a window", start=date(1996, 6, 3), end=date(1996, 8, 30)),
        ShockOverlay(name="gaps", about="falls", gap=-0.05, gap_count=3, years=1.0),
    )
)
PIECES = 5
"""Four half years and a scenario."""


def roomy(**changes: Any) -> SchedulerPolicy:
    """A scheduler to whose backtests a busy, full or slow machine is no obstacle."""
    caps = Caps(cpu=50.0, gpu=1.0, memory=1.0, io=1.0)
    need = Need(cpu=0.01, memory_mb=1_500, io=0.0)
    values: dict[str, Any] = {
        "caps": caps,
        "quiet_caps": caps,
        "needs": dict.fromkeys(ResourceClass, need),
        "launches_per_node": 10,
        "least_disk_free_mb": 0,
        "telemetry_age": timedelta(hours=1),
        "cooldown": timedelta(milliseconds=1),
        "tier1_settle": timedelta(milliseconds=1),
    }
    return SchedulerPolicy(**values | changes)


def no_runs(_: Set[str]) -> RunQueue:
    """No run queue, so no end to its slots."""
    return RunQueue(under_way=0, queued=0, others=0, limit=None)


def trading_job(**changes: Any) -> dict[str, Any]:
    """A tier-1 job that is running in the sandbox's time."""
    row = {
        "execution_id": "e1",
        "job_id": "j",
        "job_type": "ENGINES",
        "dag_id": "d",
        "market_id": "US_EQ",
        "as_of_date": NOW.date(),
        "status": "RUNNING",
        "started_at": NOW - timedelta(minutes=10),
        "completed_at": None,
        "attempt_number": 1,
    }
    return row | changes


def policy(**changes: Any) -> ObservationPolicy:
    """Half-year folds and a short battery, without probes and neighbours."""
    return ObservationPolicy(backtests=short(), scheduler=roomy(**changes))


def short(**changes: Any) -> BacktestPolicy:
    """What a backtest of these worlds is like."""
    values: dict[str, Any] = {"fold_months": 6, "battery": BATTERY, "probes": 0, "neighbours": 0}
    return BacktestPolicy(**values | changes)


@dataclass
class Direct:
    """The sandbox's function in this process. fails: pieces at which it fails, and how, once each.

    gives: what it makes of a task, where a test wants other rows than the sandbox's.
    """

    fails: dict[str, Exception] = field(default_factory=dict)
    gives: Callable[[Task], Produced] = produce
    ran: list[str] = field(default_factory=list)
    closed: int = 0

    def unsupported(self, scenario: Scenario) -> str | None:
        return None

    def unable(self, ability: Ability) -> str | None:
        return None

    def run(self, task: Task, watch: Watch) -> Produced:
        watch()
        self.ran.append(task.piece)
        if task.piece in self.fails:
            raise self.fails.pop(task.piece)
        return self.gives(task)

    def close(self) -> None:
        self.closed += 1


@dataclass(frozen=True)
class World:
    """What a test of backtests works with."""

    settings: Settings
    workplace: Workplace
    pipeline: Pipeline
    runner: Direct

    @property
    def database(self) -> Database:
        return self.workplace.database

    def as_admin(self) -> Workplace:
        """The workplace of the first admin."""
        with self.database.connect(Role.OWNER) as session:
            begin_principals(session, "admin", hash_of("a token"), code_version="test")
        return replace(self.workplace, token="a token")

    def bench(self, say: Callable[[str], None] = lambda _: None) -> Bench:
        """A worker's bench over the direct runner."""
        chosen = ChosenRunner("sandbox", lambda: self.runner, ("US_EQ", "US_FUT"))
        return Bench(self.workplace, self.pipeline, NOW, lambda _: chosen, say)

    def queued(self, author: str = "ann", lookback: int = 63, **changes: Any) -> Experiment:
        """An experiment in the queue, controls by Kronos."""
        if changes.get("expected_outcome") in CONTROLS:
            author = KRONOS
        request = ExperimentRequest(
            **{
                "engine_name": "PORTFOLIO",
                "base_config_id": HANDICAPPED_INCUMBENT,
                "proposed_config": {**BODY, "lookback": lookback},
                "description": "fresher signals",
                "start_date": START,
                "end_date": END,
                **changes,
            }
        )
        return create_experiment(self.workplace, request, author, queued=True)

    def admitted(
        self, experiment: Experiment, node: str = "n", leave_in: float | None = None, lead: Experiment | None = None
    ) -> int:
        """The number of an attempt that the scheduler has just admitted. lead: of the batch, when it is another."""
        from kronos.services.experiments import changing

        leave_by = None if leave_in is None else datetime.now(UTC) + timedelta(seconds=leave_in)
        with changing(self.workplace, "Kronos", "admitted") as session:
            moved = move_experiment(
                session,
                experiment.experiment_id,
                [ExperimentStatus.QUEUED_FOR_BACKTEST],
                ExperimentStatus.RUNNING_BACKTESTS,
                leased_until=datetime.now(UTC) + timedelta(minutes=5),
            )
            store.admit(
                session,
                experiment.experiment_id,
                moved.attempt,
                node=node,
                batch=(lead or experiment).experiment_id,
                leave_by=leave_by,
                pieces=PIECES,
                pieces_before=0,
            )
        return moved.attempt

    def now(self, experiment: Experiment) -> Experiment:
        """The experiment as it stands."""
        with self.database.connect(Role.READER) as session:
            return matching_experiments(session, str(experiment.experiment_id))[0]

    def attempts(self, experiment_id: UUID) -> list[store.Attempt]:
        with self.database.connect(Role.READER) as session:
            return store.attempts_of(session, experiment_id)


@contextmanager
def backtest_world(database: Database, home: Path, terms: ObservationPolicy | None = None) -> Iterator[World]:
    """The world over a migrated database."""
    terms = terms or policy()
    settings = Settings(home=home, database_url=database.url, history_start=START)
    _fill(database)
    with SourceReader(database.url, Dialect.SPEC, RecordedBy.RECORDED, terms) as source:
        pipeline = Pipeline(source, Lake(settings.lake), database, terms, RecordedBy.RECORDED)
        refresh_facts(pipeline, ["1996-12"], today=NOW.date())
        refresh_cells(pipeline, ["1996-12"])
        workplace = Workplace(
            database, terms, lambda _: EngineDates((START, END), (START, END)), check_sandbox_config, "test"
        )
        yield World(settings, workplace, pipeline, Direct())


def _fill(database: Database) -> None:
    """Configs, incumbents, the clock, and one day of one engine: enough to know whose windows to protect."""
    with database.connect(Role.ORCHESTRATOR) as session:
        for one in CONFIGS:
            register(
                session,
                config_id=one.config_id,
                engine_name=one.engine_name,
                version=one.version,
                config_body=one.body,
                created_by="sandbox",
                created_at=datetime(1990, 1, 2, tzinfo=UTC),
            )
        start_clock(session, SandboxClock(LAST_SESSION, NOW, START, date(2022, 12, 28)))
    with database.connect(Role.CHANGE_MANAGER) as session:
        for one in CONFIGS:
            if one.incumbent:
                activate(
                    session,
                    engine_name=one.engine_name,
                    config_id=one.config_id,
                    by="ann",
                    reason="first",
                    at=datetime(1990, 1, 2, tzinfo=UTC),
                    expected_incumbent=None,
                )
    row = decision("live", LAST_SESSION, config_id=HANDICAPPED_INCUMBENT)
    insert(
        database,
        engine_decisions=[row],
        decision_outcomes=[outcome(row)],
        regimes=[regime(START, "CALM"), regime(date(1996, 3, 1), "STRESS")],
        engine_runs=[engine_run(LAST_SESSION, "US", "COMPLETED")],
    )
