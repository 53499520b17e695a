"""`make bench`: run every benchmark and print its ratios as JSON."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import sys

import benchmarks


def main() -> None:
    """Each benchmark module has `run() -> dict`; modules whose name starts with an underscore only help."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported: one thread on either side
    wanted = sys.argv[1:]
    for module in pkgutil.iter_modules(benchmarks.__path__):
        if not module.name.startswith("_") and (not wanted or module.name in wanted):
            result = importlib.import_module(f"benchmarks.{module.name}").run()
            print(json.dumps({module.name: result}, indent=1))


if __name__ == "__main__":
    main()
