"""DuckDB over the lake's frames can reach nothing else."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pytest

from kronos.errors import NotFound
from kronos.lake import duck


def test_unknown_query_names_the_known_ones() -> None:
    """Queries live in sql/lake."""
    with pytest.raises(NotFound, match="calibration_cells, cells"):
        duck.lake_query("sells")


def test_local_variables_and_files_are_out_of_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only registered frames are tables."""
    file = tmp_path / "secret.csv"
    file.write_text("a\n1\n")
    hidden = pl.DataFrame({"a": [1]})
    for statement in (f"SELECT * FROM '{file}'", "SELECT * FROM hidden"):
        monkeypatch.setattr(duck, "lake_query", lambda name, text=statement: text)
        with pytest.raises(duckdb.Error):
            duck.run("cells")
    assert hidden.height == 1
