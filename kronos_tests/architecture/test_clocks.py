"""Who reads this machine's clock: nobody who decides when something may start, so that a wrong one cannot matter.

Schedulers, workers and promotions on machines whose clocks are minutes apart all go by the database's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from kronos.settings import dagster_root

READERS = {
    "backtests/http_client.py": "how long a server's Retry-After date is away",
    "defs/again.py": "how long a sensor waits before it asks again for what failed",
    "cli/render_promotion.py": "whether evidence on a page is still fresh; promoting asks the database",
    "services/audit.py": "when a day's root was kept, beside the root",
    "services/experiments.py": "when a config was first seen, for the record",
    "services/observatory.py": "today, where there is no sandbox: of which date reports and windows are",
}
_CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("date", "today"), ("datetime", "today"), ("time", "time")}


def test_this_machines_clock_is_read_for_these_reasons_alone() -> None:
    root = dagster_root() / "kronos"
    found = {str(path.relative_to(root)) for path in root.rglob("*.py") if any(_reads(path))}
    assert found == set(READERS)


def test_a_read_of_the_clock_is_seen(tmp_path: Path) -> None:
    for line in ("datetime.now(UTC)", "dt.datetime.now()", "date.today()", "time.time()", "lambda: time.time"):
        (tmp_path / "one.py").write_text(f"x = {line}\n")
        assert any(_reads(tmp_path / "one.py")), line


def _reads(path: Path) -> Iterator[bool]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            yield (name, node.attr) in _CLOCKS
