"""Kill -9 of run workers, the daemon, the code server and Postgres while ten experiments are tested.

No experiment is lost, none is run to completion twice, none is stuck, and the results equal those of an undisturbed
worker, ids and times aside. Everything is real: `kronos up` with its daemon and run queue, the embedded server, the
sandbox's runner in its child processes. A supervisor starts `kronos up` again when it is gone, as one would.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psutil

from kronos.core.backtests.attempts import AttemptOutcome
from kronos.core.backtests.policy import BacktestPolicy
from kronos.core.changes.request import ExperimentRequest
from kronos.core.policy import ObservationPolicy
from kronos.core.scenarios.battery import Battery, ShockOverlay
from kronos.core.scheduling.policy import Retries
from kronos.core.vocabulary import ExperimentStatus, ResourceClass
from kronos.errors import KronosError
from kronos.services.backtest import run_backtest
from kronos.services.bench import bench_over
from kronos.services.experiments import attempts_at, create_experiment, experiment_results, list_experiments
from kronos.services.observatory import current_instant, open_pipeline
from kronos.services.scheduling import Scheduling, tick
from kronos.services.workplace import Workplace, workplace_over
from kronos.settings import Settings
from kronos.store.open import open_database
from kronos_tests.services.backtest_world import roomy

CASES = [f"seed-{seed}" for seed in range(10)]
KILLS: Final = 5
"""Per case: fifty in all."""
EXPERIMENTS: Final = 10
UNTIL: Final = "1990-12-28"
LONGEST_S: Final = 1_500.0
_VICTIMS: Final = ("run worker", "child", "daemon", "code server", "postgres")
_MARKS: Final = {
    "run worker": ("execute_run",),
    "child": ("kronos.backtests.serve",),
    "daemon": ("dagster._daemon",),
    "code server": ("code-server", "api grpc"),
    "postgres": ("/bin/postgres -D",),
}


def run(case: str, kills: int = KILLS, experiments: int = EXPERIMENTS) -> dict[str, object]:
    """Test the experiments undisturbed in one home, and under kills in another."""
    rng = random.Random(case)
    with tempfile.TemporaryDirectory(prefix="kronos-storm-") as folder:
        # the account that runs Postgres for root must be able to pass
        Path(folder).chmod(0o755)
        expected = _undisturbed(_settings(Path(folder) / "a"), experiments)
        settings = _settings(Path(folder) / "b")
        with _supervised(settings) as supervisor:
            _create(settings, experiments)
            struck = [_strike(settings, supervisor, rng) for _ in range(kills)]
            finished = supervisor.until(lambda: _all_reviewed(settings, experiments), LONGEST_S)
        found, attempts = _found(settings), _attempts(settings)
    completed = [sum(one == AttemptOutcome.COMPLETED for one in outcomes) for outcomes in attempts]
    return {
        "holds": finished and found == expected and completed == [1] * experiments,
        "finished": finished,
        "equal": found == expected,
        "completed_once": completed == [1] * experiments,
        "killed": struck,
        "attempts": sum(map(len, attempts)),
        "restarts": supervisor.starts - 1,
    }


def _settings(home: Path) -> Settings:
    home.mkdir()
    quick = {"first_after": timedelta(seconds=1), "longest": timedelta(seconds=2), "attempts": 100}
    terms = ObservationPolicy(
        backtests=BacktestPolicy(
            fold_months=3,
            battery=Battery(scenarios=(ShockOverlay(name="gaps", about="falls", gap=-0.05, gap_count=3, years=0.5),)),
            heartbeat=timedelta(seconds=1),
            lease=timedelta(seconds=15),
            launch_lease=timedelta(seconds=60),
        ),
        scheduler=roomy(tick=timedelta(seconds=3), retries=Retries(**quick)),
    )
    policy = home / "policy.json"
    policy.write_text(terms.model_dump_json())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Settings(home=home, policy=policy, sandbox_until=UNTIL, report_months=1, dagster_port=port)


def _environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "KRONOS_HOME": str(settings.home),
        "KRONOS_POLICY": str(settings.policy),
        "KRONOS_SANDBOX_UNTIL": UNTIL,
        "KRONOS_REPORT_MONTHS": "1",
        "KRONOS_DAGSTER_PORT": str(settings.dagster_port),
    }


@contextmanager
def _at_work(settings: Settings) -> Iterator[Workplace]:
    with open_database(settings) as database, open_pipeline(settings, database) as pipeline:
        yield workplace_over(settings, database, pipeline.policy)


def _create(settings: Settings, count: int) -> None:
    """Experiments of mixed class and priority, straight into the queue."""
    with _at_work(settings) as workplace:
        for number in range(count):
            request = ExperimentRequest(
                engine_name="PORTFOLIO",
                base_config_id="portfolio-momentum-hasty",
                proposed_config={"style": "reversal", "lookback": 5 + number, "names": 4, "rebalance_every": 5},
                description=f"number {number}",
                priority=number % 10,
                resource_class=list(ResourceClass)[number % 3],
            )
            create_experiment(workplace, request, "ann", queued=True)


def _undisturbed(settings: Settings, count: int) -> dict[str, Any]:
    """What one worker gives that nobody disturbs, without daemon or queue."""
    _up(settings, "--once").wait()
    _create(settings, count)
    with ExitStack() as stack:
        database = stack.enter_context(open_database(settings))
        pipeline = stack.enter_context(open_pipeline(settings, database))
        workplace = workplace_over(settings, database, pipeline.policy)
        bench = bench_over(settings, pipeline, current_instant(settings, database), lambda _: None)
        while not _reviewed(workplace, count):
            for launch in tick(Scheduling(settings, workplace, pipeline, lambda _: None)).launches:
                for experiment_id, attempt in launch.members:
                    run_backtest(bench, experiment_id, attempt, "undisturbed")
    return _found(settings)


def _found(settings: Settings) -> dict[str, Any]:
    """Every number of every experiment, by description."""
    with _at_work(settings) as workplace:
        return {
            one.description: _numbers(experiment_results(workplace.database, one.experiment_id).to_json_dict())
            for one in list_experiments(workplace.database)
        }


def _numbers(result: dict[str, Any]) -> str:
    own = result["experiment"]["proposed_config_id"]
    periods = [
        {name: period[name] for name in ("period_start", "period_end", "metrics", "by_regime", "by_market", "detail")}
        for period in result["periods"]
    ]
    return json.dumps(periods, sort_keys=True).replace(own, "proposed")


def _attempts(settings: Settings) -> list[list[AttemptOutcome | None]]:
    with _at_work(settings) as workplace:
        return [
            [attempt.outcome for attempt in attempts_at(workplace.database, one.experiment_id)]
            for one in list_experiments(workplace.database)
        ]


def _all_reviewed(settings: Settings, count: int) -> bool:
    try:
        with _at_work(settings) as workplace:
            return _reviewed(workplace, count)
    except KronosError:
        return False  # the server is on its way back


def _reviewed(workplace: Workplace, count: int) -> bool:
    experiments = list_experiments(workplace.database)
    return [one.status for one in experiments] == [ExperimentStatus.AWAITING_REVIEW] * count


def _up(settings: Settings, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "kronos.cli", "up", *options]
    log = (settings.home / "up.log").open("ab")
    return subprocess.Popen(
        command, env=_environment(settings), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )


@dataclass
class _Supervisor:
    """Keeps `kronos up` running."""

    settings: Settings
    process: subprocess.Popen[bytes]
    starts: int = 1

    def until(self, done: Callable[[], bool], longest: float) -> bool:
        """Wait, starting what has ended again."""
        deadline = time.monotonic() + longest
        while time.monotonic() < deadline:
            if done():
                return True
            if self.process.poll() is not None:
                self.process = _up(self.settings)
                self.starts += 1
            time.sleep(0.5)
        return False


@contextmanager
def _supervised(settings: Settings) -> Iterator[_Supervisor]:
    supervisor = _Supervisor(settings, _up(settings))
    try:
        supervisor.until(lambda: bool(_members(settings, "daemon")), 600.0)
        yield supervisor
    finally:
        supervisor.process.send_signal(signal.SIGINT)
        try:
            supervisor.process.wait(60)
        except subprocess.TimeoutExpired:
            supervisor.process.kill()


def _strike(settings: Settings, supervisor: _Supervisor, rng: random.Random) -> str:
    """Wait a random moment, then kill one process of a random kind: the first kind that is there."""
    pause = time.monotonic() + rng.uniform(1.0, 20.0)
    supervisor.until(lambda: time.monotonic() >= pause, 60.0)
    kinds = rng.sample(_VICTIMS, len(_VICTIMS))
    for kind in kinds:
        victims = _members(settings, kind)
        if victims:
            with suppress(psutil.NoSuchProcess):
                rng.choice(victims).kill()
            return kind
    return "nothing was there"


def _members(settings: Settings, kind: str) -> list[psutil.Process]:
    """Processes of a kind that work for the home."""
    found = []
    for process in psutil.process_iter(["cmdline", "pid"]):
        line = " ".join(process.info["cmdline"] or ())
        if any(mark in line for mark in _MARKS[kind]) and (str(settings.home) in line or _is_for(process, settings)):
            found.append(process)
    return sorted(found, key=lambda process: process.pid)


def _is_for(process: psutil.Process, settings: Settings) -> bool:
    try:
        return process.environ().get("KRONOS_HOME") == str(settings.home)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
