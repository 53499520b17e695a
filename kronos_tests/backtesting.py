"""`kronos up` in a home of its own, with experiments to test, for proofs over the real daemon and run queue."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psutil

from kronos.core.backtests.attempts import Attempt
from kronos.core.backtests.policy import BacktestPolicy
from kronos.core.backtests.spec import BacktestSpec
from kronos.core.policy import ControlsPolicy, ObservationPolicy, SelfProposalPolicy
from kronos.core.scenarios.battery import Battery, ShockOverlay
from kronos.core.scheduling.policy import Retries
from kronos.core.vocabulary import ExperimentStatus, ResourceClass
from kronos.errors import KronosError
from kronos.services.backtest import run_backtest
from kronos.services.bench import bench_over
from kronos.services.experiments import attempts_at, experiment_results, list_experiments
from kronos.services.observatory import current_instant, open_pipeline
from kronos.services.proposals import Conversion, convert_proposal, create_proposal
from kronos.services.scheduling import Scheduling, tick
from kronos.services.workplace import Workplace, workplace_over
from kronos.settings import Settings
from kronos.store.backtests import specs_of
from kronos.store.database import Role
from kronos.store.open import open_database
from kronos_tests.services.backtest_world import no_runs, roomy

UNTIL: Final = "1990-12-28"
RUN_WORKER: Final = "run worker"
CHILD: Final = "worker child"
_SERVER: Final = "api grpc"
_MARKS: Final = {
    "daemon": ("dagster._daemon",),
    "code server": ("code-server", _SERVER),
    "postgres": ("/bin/postgres -D",),
}
_SPAWNED: Final = "multiprocessing.spawn"
_SERVING: Final = "kronos.backtests.serve"
KINDS: Final = (RUN_WORKER, CHILD, *_MARKS)
"""Of the processes that a backtest needs. The first two are there only while one is tested."""


def settings_in(home: Path) -> Settings:
    home.mkdir()
    quick = {"first_after": timedelta(seconds=1), "longest": timedelta(seconds=2), "attempts": 100}
    terms = ObservationPolicy(
        backtests=BacktestPolicy(
            fold_months=3,
            probes=1,
            neighbours=1,
            battery=Battery(scenarios=(ShockOverlay(name="gaps", about="falls", gap=-0.05, gap_count=3, years=0.5),)),
            heartbeat=timedelta(seconds=1),
            lease=timedelta(seconds=15),
            launch_lease=timedelta(seconds=60),
        ),
        scheduler=roomy(tick=timedelta(seconds=3), retries=Retries(**quick)),
        # neither what the sandbox's comparison would have Kronos propose nor controls are among the experiments counted
        proposals=SelfProposalPolicy(most_per_day=0),
        controls=ControlsPolicy(weekly=False),
    )
    policy = home / "policy.json"
    policy.write_text(terms.model_dump_json())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Settings(home=home, policy=policy, sandbox_until=UNTIL, report_months=1, dagster_port=port)


def environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "KRONOS_HOME": str(settings.home),
        "KRONOS_POLICY": str(settings.policy),
        "KRONOS_SANDBOX_UNTIL": UNTIL,
        "KRONOS_REPORT_MONTHS": "1",
        "KRONOS_DAGSTER_PORT": str(settings.dagster_port),
    }


@contextmanager
def at_work(settings: Settings) -> Iterator[Workplace]:
    with open_database(settings) as database, open_pipeline(settings, database) as pipeline:
        yield workplace_over(settings, database, pipeline.policy)


def create(settings: Settings, count: int) -> None:
    """Proposals, each converted into an experiment in the queue: of mixed class and priority."""
    with at_work(settings) as workplace:
        for number in range(count):
            body = {"style": "reversal", "lookback": 5 + number, "names": 4, "rebalance_every": 5}
            made = create_proposal(workplace, "PORTFOLIO", "portfolio-momentum-hasty", body, "a try", "ann")
            chosen = Conversion(
                description=f"number {number}",
                priority=(7 * number) % 10,
                resource_class=list(ResourceClass)[number % 3],
            )
            convert_proposal(workplace, made.proposal_id, "ben", chosen)


def undisturbed(settings: Settings, count: int) -> dict[str, Any]:
    """What one worker gives that nobody disturbs, without daemon or queue."""
    up(settings, "--once").wait()
    create(settings, count)
    with ExitStack() as stack:
        database = stack.enter_context(open_database(settings))
        pipeline = stack.enter_context(open_pipeline(settings, database))
        workplace = workplace_over(settings, database, pipeline.policy)
        bench = bench_over(settings, pipeline, current_instant(settings, database), lambda _: None)
        while not reviewed(workplace, count):
            for launch in tick(Scheduling(settings, workplace, pipeline, lambda _: None, no_runs)).launches:
                for experiment_id, attempt in launch.members:
                    run_backtest(bench, experiment_id, attempt, "undisturbed")
    return numbers_of_all(settings)


def numbers_of_all(settings: Settings) -> dict[str, Any]:
    """Every number of every experiment, by description."""
    with at_work(settings) as workplace, workplace.database.connect(Role.READER) as session:
        return {
            one.description: numbers(
                experiment_results(workplace.database, one.experiment_id).to_json_dict(),
                specs_of(session, one.experiment_id),
            )
            for one in list_experiments(workplace.database)
        }


def numbers(result: Mapping[str, Any], specs: Sequence[BacktestSpec]) -> str:
    """All that is stored of an experiment's results, as JSON: ids, times, attempts and lake versions aside.

    A spec's digest is of its ids too: in its place stands the spec.
    """
    stored = {one.digest: one.model_dump(mode="json") for one in specs}
    periods = [_lasting(period, stored) for period in result["periods"]]
    text = json.dumps(periods, sort_keys=True)
    experiment = result["experiment"]
    return text.replace(experiment["proposed_config_id"], "proposed").replace(experiment["experiment_id"], "experiment")


def _lasting(period: Mapping[str, Any], specs: Mapping[str, Any]) -> dict[str, Any]:
    provenance = {name: value for name, value in period["provenance"].items() if name not in ("lake", "build")}
    kept = {name: value for name, value in period.items() if name not in ("experiment_id", "attempt", "recorded_at")}
    return kept | {"provenance": provenance | {"spec": specs[provenance["spec"]]}}


def attempts_of_all(settings: Settings) -> dict[str, list[Attempt]]:
    """Every attempt of every experiment, by description."""
    with at_work(settings) as workplace:
        return {
            one.description: attempts_at(workplace.database, one.experiment_id)
            for one in list_experiments(workplace.database)
        }


def all_reviewed(settings: Settings, count: int) -> bool:
    try:
        with at_work(settings) as workplace:
            return reviewed(workplace, count)
    except KronosError:
        return False  # the server is on its way back


def reviewed(workplace: Workplace, count: int) -> bool:
    experiments = list_experiments(workplace.database)
    return [one.status for one in experiments] == [ExperimentStatus.AWAITING_REVIEW] * count


def up(settings: Settings, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "kronos.cli", "up", *options]
    log = (settings.home / "up.log").open("ab")
    return subprocess.Popen(
        command, env=environment(settings), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )


@dataclass
class Supervisor:
    """Keeps `kronos up` running."""

    settings: Settings
    process: subprocess.Popen[bytes]
    starts: int = 1

    def until(self, done: Callable[[], bool], longest: float, every: float = 0.5) -> bool:
        """Wait, starting what has ended again."""
        deadline = time.monotonic() + longest
        while time.monotonic() < deadline:
            if done():
                return True
            if self.process.poll() is not None:
                self.process = up(self.settings)
                self.starts += 1
            time.sleep(every)
        return False


@contextmanager
def supervised(settings: Settings) -> Iterator[Supervisor]:
    supervisor = Supervisor(settings, up(settings))
    try:
        supervisor.until(lambda: bool(members(settings, "daemon")), 600.0)
        yield supervisor
    finally:
        supervisor.process.send_signal(signal.SIGINT)
        try:
            supervisor.process.wait(60)
        except subprocess.TimeoutExpired:
            supervisor.process.kill()


def members(settings: Settings, kind: str) -> list[psutil.Process]:
    """Processes of a kind that work for the home, by process id."""
    if kind not in (RUN_WORKER, CHILD):
        return _marked(settings, _MARKS[kind])
    workers = workers_of(settings)
    if kind == RUN_WORKER:
        return list(workers)
    return [child for children in workers.values() for child in children]


def workers_of(settings: Settings) -> dict[psutil.Process, list[psutil.Process]]:
    """The run workers of the home, by process id, each with its children that play backtests."""
    workers = [worker for server in _marked(settings, [_SERVER]) for worker in _below(server, _SPAWNED)]
    # what a worker starts has lost the settings, and so the home, from its environment
    return {worker: _below(worker, _SERVING) for worker in workers}


def _marked(settings: Settings, marks: Sequence[str]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline", "pid"]):
        line = " ".join(process.info["cmdline"] or ())
        if any(mark in line for mark in marks) and (str(settings.home) in line or _is_for(process, settings)):
            found.append(process)
    return sorted(found, key=lambda process: process.pid)


def _below(parent: psutil.Process, mark: str) -> list[psutil.Process]:
    """Children whose command line holds the mark."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for process in parent.children():
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if mark in " ".join(process.cmdline()):
                    found.append(process)
    return sorted(found, key=lambda process: process.pid)


def _is_for(process: psutil.Process, settings: Settings) -> bool:
    try:
        return process.environ().get("KRONOS_HOME") == str(settings.home)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
