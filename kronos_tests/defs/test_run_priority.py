"""The process of an experiment's run gives way to everything else; one that merely plays the run keeps its priority."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NICE = 14
WORKER = """
import os, sys
from pathlib import Path

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

from kronos.defs.assembly import assemble
from kronos.defs.resources import Kronos
from kronos.settings import Settings

home, policy, located = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "located"
job = assemble(Kronos(Settings(home=home, policy=policy))).resolve_job_def("experiment_backtests")
repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("kronos"), "__repository__")
with dg.DagsterInstance.ephemeral() as instance:
    origin = repository.get_job_origin(job.name) if located else None
    run = instance.create_run_for_job(job, remote_job_origin=origin)
    said = execute_run(InMemoryJob(job), run, instance)
failed = next(one for one in said.all_events if one.is_step_failure).step_failure_data
print(os.nice(0), "only the scheduler starts backtests" in failed.error_display_string)
"""
"""A run without an attempt to work on: it begins its step and gives up."""


@pytest.mark.parametrize(("origin", "least"), [("located", NICE), ("nowhere", 0)])
def test_a_run_lowers_the_priority_of_its_own_process_alone(tmp_path: Path, origin: str, least: int) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(f'{{"backtests": {{"nice": {NICE}}}}}')
    command = [sys.executable, "-c", WORKER, str(tmp_path), str(policy), origin]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(max(least, os.nice(0))), "True"]
