"""What the code was: the package's version and a digest of its sources, which edits in a checkout change too, and of
the versions of the packages it computes with."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import requires, version
from pathlib import Path
from typing import Final

from kronos.errors import ChangeRefused
from kronos.settings import sql_root

_DISTRIBUTION: Final = "kronos-meta"
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


def installed_code() -> str:
    """`0.1.0+` and twelve hex digits over the package's Python and the SQL beside it, by name and content, as of now.

    What a process begun now will run. The packages Kronos always needs are in it by their installed versions: another
    numpy may give another number.
    """
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for root, ending in ((package, "py"), (sql_root(), "sql")):
        for path in sorted(root.rglob(f"*.{ending}")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}:{len(content)}:".encode() + content)
    for needed in sorted(packages()):
        digest.update(needed.encode())
    return f"{version(_DISTRIBUTION)}+{digest.hexdigest()[:12]}"


def packages() -> Iterator[str]:
    """Name and installed version of every package that Kronos needs whatever it is used for."""
    for requirement in requires(_DISTRIBUTION) or ():
        found = _NAME.match(requirement)
        if found is not None and "extra ==" not in requirement:
            yield f"{found[0]}=={version(found[0])};"


@cache
def code_version() -> str:
    """The installed code when this process first asked."""
    return installed_code()


def require_unchanged() -> None:
    """`ChangeRefused` when the code was changed under this process: what it loads late may be of either version."""
    began, now = code_version(), installed_code()
    if began != now:
        raise ChangeRefused(f"the code was {began} when this process began and is {now} now: begin again")
