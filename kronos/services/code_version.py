"""What the code was: the package's version and a digest of its sources, which edits in a checkout change too."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

from kronos.errors import ChangeRefused
from kronos.settings import sql_root


def installed_code() -> str:
    """`0.1.0+` and twelve hex digits over the package's Python and the SQL beside it, by name and content, as of now.

    What a process begun now will run. The packages Kronos needs are not in it: their versions are the lock file's.
    """
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for root, ending in ((package, "py"), (sql_root(), "sql")):
        for path in sorted(root.rglob(f"*.{ending}")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}:{len(content)}:".encode() + content)
    return f"{version('kronos-meta')}+{digest.hexdigest()[:12]}"


@cache
def code_version() -> str:
    """The installed code when this process first asked."""
    return installed_code()


def require_unchanged() -> None:
    """`ChangeRefused` when the code was changed under this process: what it loads late may be of either version."""
    began, now = code_version(), installed_code()
    if began != now:
        raise ChangeRefused(f"the code was {began} when this process began and is {now} now: begin again")
