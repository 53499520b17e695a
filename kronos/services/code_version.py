"""What the code was: the package's version and a digest of its sources, which edits in a checkout change too."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path


@cache
def code_version() -> str:
    """`0.1.0+` and twelve hex digits over every Python file of the package, by name and content."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}:{len(content)}:".encode() + content)
    return f"{version('kronos-meta')}+{digest.hexdigest()[:12]}"
