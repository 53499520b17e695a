"""The SELECTs that turn a dialect's tables into contract columns, from sql/adapters."""

from __future__ import annotations

from functools import cache
from typing import Final

from kronos.errors import NotFound
from kronos.settings import Dialect, sql_root

_ANY: Final = "any"
"""Folder of the statements that read the same in every dialect."""
_CONTEXT: Final = "{context}"


@cache
def adapter(dialect: Dialect, name: str) -> str:
    """The statement `name` of the dialect, else the one shared by all dialects."""
    root = sql_root() / "adapters"
    for folder in (dialect.value, _ANY):
        path = root / folder / f"{name}.sql"
        if path.is_file():
            return path.read_text(encoding="utf-8").strip()
    raise NotFound("adapter", f"{dialect.value}/{name}", sorted(path.stem for path in root.glob("*/*.sql")))


def over_context(dialect: Dialect, name: str, context: str) -> str:
    """The shared statement `name` over the dialect's context table `context`."""
    return adapter(dialect, name).replace(_CONTEXT, adapter(dialect, context))
