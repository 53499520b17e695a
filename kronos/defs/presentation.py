"""Metadata that reads well in the UI: markdown tables and text plots."""

from collections.abc import Sequence

import dagster as dg
import polars as pl

_BLOCKS = "▁▂▃▄▅▆▇█"
_SHOWN = 25


def table(df: pl.DataFrame, rows: int = _SHOWN) -> dg.MarkdownMetadataValue:
    """The first rows of a frame; says how many there are when some are left out."""
    head = "| " + " | ".join(df.columns) + " |\n|" + " --- |" * df.width
    body = "".join("\n| " + " | ".join(_cell(value) for value in row) + " |" for row in df.head(rows).iter_rows())
    rest = f"\n\n{rows} of {df.height} rows" if df.height > rows else ""
    return dg.MetadataValue.md(f"{head}{body}{rest}" if df.width else "nothing")


def sparkline(values: Sequence[float | None]) -> str:
    """One block character per value, lowest to highest; a missing value is a blank."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, span = min(known), (max(known) - min(known)) or 1.0
    top = len(_BLOCKS) - 1
    return "".join(" " if value is None else _BLOCKS[round((value - low) / span * top)] for value in values)


def plot(title: str, labels: Sequence[str], values: Sequence[float | None]) -> dg.MarkdownMetadataValue:
    """A sparkline with its range, from the first to the last label."""
    known = [value for value in values if value is not None]
    if not known:
        return dg.MetadataValue.md(f"{title}: nothing to show")
    caption = f"{labels[0]} to {labels[-1]}, {min(known):,.6g} to {max(known):,.6g}"
    return dg.MetadataValue.md(f"**{title}**\n\n`{sparkline(values)}`\n\n{caption}")


def sparklines(history: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """One row per series: the names, and the values of `periods` as a sparkline. The last two columns are lists."""
    names = history.columns[:-2]
    lines = [
        (*row[:-2], sparkline(row[-1]), f"{row[-2][0]} to {row[-2][-1]}", row[-1][-1]) for row in history.iter_rows()
    ]
    return table(pl.DataFrame(lines, schema=[*names, "trend", "periods", "newest"], orient="row"))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).replace("|", "\\|") if value is not None else ""
