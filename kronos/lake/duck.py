"""DuckDB over frames: the queries of sql/lake, run in a connection that can reach nothing else."""

from __future__ import annotations

from functools import cache
from typing import Final

import duckdb
import polars as pl

from kronos.errors import NotFound
from kronos.settings import sql_root

_CLOSED: Final = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


def run(name: str, **frames: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """The result of sql/lake/<name>.sql over the frames, each a table under its own name."""
    statement = lake_query(name)
    with duckdb.connect(config=dict(_CLOSED)) as connection:
        connection.execute("SET lock_configuration = true")
        for table, frame in frames.items():
            connection.register(table, frame)
        result: pl.DataFrame = connection.sql(statement).pl()
        return result


@cache
def lake_query(name: str) -> str:
    """The text of sql/lake/<name>.sql."""
    path = sql_root() / "lake" / f"{name}.sql"
    if not path.is_file():
        raise NotFound("lake query", name, sorted(file.stem for file in path.parent.glob("*.sql")))
    return path.read_text(encoding="utf-8")
