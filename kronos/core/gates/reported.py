"""Whether outcomes report what the gates read of them: sums of what nobody reported are zero, and mean nothing."""

from __future__ import annotations

from typing import Final

import polars as pl

REPORTED: Final = ("cost", "turnover")
"""What outcomes may leave out, and the gates hold against a limit."""


def reporting(facts: pl.DataFrame, horizon: int, least: float) -> dict[str, frozenset[str]]:
    """By column of `REPORTED` the configs that report it for at least this share of their outcomes with a return.

    facts: config_id and, as far as there are such columns, return and REPORTED at the horizon, of wide decision facts.
    A config without such outcomes reports nothing.
    """
    value = f"return_h{horizon}"
    if value not in facts.columns:
        return dict.fromkeys(REPORTED, frozenset())
    told = facts.filter(pl.col(value).is_not_null())
    return {name: _reporting(told, f"{name}_h{horizon}", least) for name in REPORTED}


def _reporting(told: pl.DataFrame, column: str, least: float) -> frozenset[str]:
    shares = told.group_by("config_id").agg(pl.col(column).is_not_null().mean().alias("share"))
    return frozenset(shares.filter(pl.col("share") >= least)["config_id"])
