"""Whether outcomes report what the gates read of them: sums of what nobody reported are zero, and mean nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import polars as pl

REPORTED: Final = ("cost", "turnover")
"""What outcomes may leave out, and the gates hold against a limit."""


def reporting(facts: pl.DataFrame, horizon: int, least: Mapping[str, float]) -> dict[str, frozenset[str]]:
    """By column of `REPORTED` the configs that report it for their least share of the outcomes with a return.

    facts: config_id and, as far as there are such columns, return and REPORTED at the horizon, of wide decision facts.
    least: by config; one that trades a day a month could leave out all its costs and still report nearly every
    outcome's. A config without such outcomes, or without a least share, reports nothing.
    """
    value = f"return_h{horizon}"
    if value not in facts.columns:
        return dict.fromkeys(REPORTED, frozenset())
    told = facts.filter(pl.col(value).is_not_null())
    return {name: _reporting(told, f"{name}_h{horizon}", least) for name in REPORTED}


def _reporting(told: pl.DataFrame, column: str, least: Mapping[str, float]) -> frozenset[str]:
    shares = told.group_by("config_id").agg(pl.col(column).is_not_null().mean().alias("share"))
    return frozenset(name for name, share in shares.rows() if share >= least.get(name, math.inf))
