"""Named SQL from sql/queries: blocks `-- name: some_name`, each followed by a comment that says what it answers."""

from __future__ import annotations

import re
from functools import cache

from kronos.errors import NotFound
from kronos.settings import sql_root

_BLOCK = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


def query(noun: str, name: str) -> str:
    """The statement `name` of sql/queries/<noun>.sql."""
    found = _queries(noun)
    if name not in found:
        raise NotFound("query", f"{noun}.{name}", sorted(found))
    return found[name]


@cache
def _queries(noun: str) -> dict[str, str]:
    path = sql_root() / "queries" / f"{noun}.sql"
    if not path.is_file():
        raise NotFound("query file", path.name)
    _, *parts = _BLOCK.split(path.read_text(encoding="utf-8"))
    return {name: body.strip().removesuffix(";") for name, body in zip(parts[::2], parts[1::2], strict=True)}
