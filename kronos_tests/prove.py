"""`make prove`: run every case of every long proof, resuming where the last run ended; results are JSON files.

A proof is a module in kronos_tests/proofs with `CASES: list[str]` and `run(case: str) -> dict`, whose result says
`"holds": true` or false with what was seen. `make test` runs a sample of the same cases.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
import time
from pathlib import Path

from kronos_tests import proofs

RESULTS = Path("proof-results")


def main() -> int:
    """Prove what is not yet proven; exit 1 when a case does not hold."""
    parser = argparse.ArgumentParser(description="run the long proofs")
    parser.add_argument("names", nargs="*", help="proofs to run; default all")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    options = parser.parse_args()
    names = options.names or [module.name for module in pkgutil.iter_modules(proofs.__path__)]
    held = [prove(name, fresh=options.fresh) for name in names]
    return int(not all(held))


def prove(name: str, *, fresh: bool) -> bool:
    """Run the missing cases of one proof and store each as soon as it ends."""
    module = importlib.import_module(f"kronos_tests.proofs.{name}")
    path = RESULTS / f"{name}.json"
    results = json.loads(path.read_text()) if path.exists() and not fresh else {}
    for case in module.CASES:
        if case not in results:
            started = time.monotonic()
            results[case] = {**module.run(case), "seconds": round(time.monotonic() - started, 1)}
            _store(path, results)
        sys.stdout.write(f"{name} {case}: {'holds' if results[case]['holds'] else 'FAILS'}\n")
    return all(result["holds"] for result in results.values())


def _store(path: Path, results: dict[str, dict[str, object]]) -> None:
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(results, indent=1, sort_keys=True))
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())
