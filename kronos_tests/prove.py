"""`make prove`: run every case of every long proof, resuming where the last run ended; results are JSON files.

A proof is a module in kronos_tests/proofs with `CASES: list[str]` and either `run(case) -> dict`, or a case in parts
that are stored one by one: `PARTS: int`, `part(case, number) -> dict` and `judge(case, parts) -> dict`. A result says
`"holds": true` or false with what was seen. `make test` runs a sample of the same cases.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import pkgutil
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from kronos_tests import proofs

RESULTS = Path("proof-results")
LARGEST_JOBS = 4
"""Processes by default, where there are so many processors: each holds about a gigabyte of resamples."""


def main() -> int:
    """Prove what is not yet proven; exit 1 when a case does not hold."""
    parser = argparse.ArgumentParser(description="run the long proofs")
    parser.add_argument("names", nargs="*", help="proofs to run; default all")
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--jobs", type=int, default=min(LARGEST_JOBS, os.cpu_count() or 1), help="parts run at once")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the processes of parts end with this one
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when a proof imports numpy; the parts are the threads
    names = options.names or [module.name for module in pkgutil.iter_modules(proofs.__path__)]
    held = [prove(name, options.case, fresh=options.fresh, jobs=options.jobs) for name in names]
    return int(not all(held))


def prove(name: str, wanted: str = "", *, fresh: bool, jobs: int) -> bool:
    """Run the missing cases of one proof whose name contains `wanted` and store each as soon as it ends."""
    module = importlib.import_module(f"kronos_tests.proofs.{name}")
    path = RESULTS / f"{name}.json"
    if fresh:
        _forget(name)
    results = stored(name)
    cases = [case for case in module.CASES if wanted in case]
    for case in cases:
        if case not in results:
            started = time.monotonic()
            found = _in_parts(name, case, jobs) if hasattr(module, "PARTS") else module.run(case)
            results[case] = {**found, "seconds": round(time.monotonic() - started, 1)}
            _store(path, results)
        sys.stdout.write(f"{name} {case}: {'holds' if results[case]['holds'] else 'FAILS'}\n")
        sys.stdout.flush()
    return all(results[case]["holds"] for case in cases)


def stored(name: str) -> dict[str, Any]:
    """What was proven so far: results by case."""
    return _stored(RESULTS / f"{name}.json")


def _in_parts(name: str, case: str, jobs: int) -> dict[str, Any]:
    """Run the parts not yet stored, each in a process of its own, and judge all of them."""
    module = importlib.import_module(f"kronos_tests.proofs.{name}")
    path = RESULTS / f"{name}.parts.json"
    every = _stored(path)
    parts = every.setdefault(case, {})
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        numbers = [number for number in range(module.PARTS) if str(number) not in parts]
        running = {pool.submit(_part, name, case, number): number for number in numbers}
        try:
            for done in as_completed(running):
                parts[str(running[done])] = done.result()
                _store(path, every)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # else the parts not yet begun would all be run first
            raise
    return dict(module.judge(case, [parts[str(number)] for number in range(module.PARTS)]))


def _part(name: str, case: str, number: int) -> dict[str, Any]:
    return dict(importlib.import_module(f"kronos_tests.proofs.{name}").part(case, number))


def _forget(name: str) -> None:
    for path in (RESULTS / f"{name}.json", RESULTS / f"{name}.parts.json"):
        path.unlink(missing_ok=True)


def _stored(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _store(path: Path, results: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(results, indent=1, sort_keys=True))
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())
