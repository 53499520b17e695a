"""Kill -9 `kronos up --once` and everything it started at a random moment, run it again: the reports are the same."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

CASES = [f"seed-{seed}" for seed in range(20)]
UNTIL = "1991-06-28"
"""A year and a half of sandbox history: long enough to pass every stage, short enough to repeat."""


def run(case: str, until: str = UNTIL) -> dict[str, object]:
    """Compare the reports of a home killed once with those of an undisturbed home."""
    with tempfile.TemporaryDirectory(prefix="kronos-storm-") as folder:
        # the account that runs Postgres for root must be able to pass
        Path(folder).chmod(0o755)
        undisturbed, disturbed = Path(folder) / "a", Path(folder) / "b"
        started = time.monotonic()
        _up(undisturbed, until).wait()
        expected = _reports(undisturbed, until)
        moment = random.Random(case).uniform(0.0, time.monotonic() - started)
        _kill_everything(_up(disturbed, until), disturbed, moment)
        code = _up(disturbed, until).wait()
        return {
            "holds": code == 0 and bool(json.loads(expected)) and _reports(disturbed, until) == expected,
            "killed_after_seconds": round(moment, 2),
            "exit_code_of_second_run": code,
            "report_bytes": len(expected),
        }


def _environment(home: Path, until: str) -> dict[str, str]:
    return {**os.environ, "KRONOS_HOME": str(home), "KRONOS_SANDBOX_UNTIL": until}


def _up(home: Path, until: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "kronos.cli", "up", "--once"]
    return subprocess.Popen(command, env=_environment(home, until), stdout=subprocess.DEVNULL, start_new_session=True)


def _kill_everything(process: subprocess.Popen[bytes], home: Path, moment: float) -> None:
    """Kill the command, all its descendants and the database server of its home."""
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        for victim in [*psutil.Process(process.pid).children(recursive=True), *_naming(home)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.send_signal(signal.SIGKILL)
        process.kill()
        process.wait()


def _naming(home: Path) -> list[psutil.Process]:
    """Processes whose command line names the home: the server is no descendant."""
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if any(str(home) in word for word in process.info["cmdline"] or [])]


def _reports(home: Path, until: str) -> str:
    command = [sys.executable, "-m", "kronos.cli", "report", "--json"]
    return subprocess.run(command, env=_environment(home, until), capture_output=True, text=True, check=True).stdout
