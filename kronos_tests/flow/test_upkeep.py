"""What is killed below a `kronos up` is started again by it, whoever else is there to notice."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from kronos.services.backtest_queue import queue_status
from kronos.settings import Settings
from kronos_tests.backtesting import Supervisor, at_work, members, settings_in, supervised

LONGEST_S = 300.0


def named(settings: Settings, kind: str, words: str) -> list[psutil.Process]:
    """Living processes of a kind whose command line holds the words."""
    found = []
    for process in members(settings, kind):
        with suppress(psutil.NoSuchProcess):  # a zombie is none either
            if words in " ".join(process.cmdline()):
                found.append(process)
    return found


def planned_since(settings: Settings, started: float) -> Callable[[], bool]:
    """Whether the scheduler, a sensor of Dagster's, has planned after the instant."""

    def planned() -> bool:
        with at_work(settings) as workplace:
            state = queue_status(workplace.database, workplace.policy.scheduler).state
        return state is not None and state.planned_at.timestamp() > started

    return planned


def killed(supervisor: Supervisor, kind: str, words: str) -> None:
    """Kill a process once it is there, and wait for another in its place."""
    settings = supervisor.settings
    assert supervisor.until(lambda: bool(named(settings, kind, words)), LONGEST_S)
    victim = named(settings, kind, words)[0]
    victim.kill()
    assert supervisor.until(lambda: bool({*named(settings, kind, words)} - {victim}), LONGEST_S), kind


def home_in(folder: str) -> Settings:
    # the account that runs Postgres for root must be able to pass
    Path(folder).chmod(0o755)
    return settings_in(Path(folder) / "home")


@pytest.mark.proof
def test_postgres_and_the_code_server_are_started_again_and_plans_go_on() -> None:
    """Nothing is asked of Kronos meanwhile: whoever opens the database would start the server by himself."""
    with tempfile.TemporaryDirectory(prefix="kronos-upkeep-") as folder, supervised(home_in(folder)) as supervisor:
        settings = supervisor.settings
        assert supervisor.until(planned_since(settings, 0.0), LONGEST_S)
        killed(supervisor, "code server", "api grpc")
        killed(supervisor, "postgres", "/bin/postgres -D")
        assert supervisor.until(planned_since(settings, time.time()), LONGEST_S)
        assert supervisor.starts == 1
        log = (settings.home / "up.log").read_text()
    assert "code server was gone: starting it again" in log and "Postgres was gone: started again" in log
