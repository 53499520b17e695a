"""What the code was: the package's version and a digest of its sources, which edits in a checkout change too."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

from kronos.settings import sql_root


@cache
def code_version() -> str:
    """`0.1.0+` and twelve hex digits over the package's Python and the SQL beside it, by name and content."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for root, ending in ((package, "py"), (sql_root(), "sql")):
        for path in sorted(root.rglob(f"*.{ending}")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}:{len(content)}:".encode() + content)
    return f"{version('kronos-meta')}+{digest.hexdigest()[:12]}"
