"""Sums of floats that do not depend on the order of adding."""

from __future__ import annotations

import polars as pl

from kronos.core.conventions import FIXED_POINT_SCALE


def to_fixed(value: pl.Expr) -> pl.Expr:
    """A float as an Int128 multiple of 1 / FIXED_POINT_SCALE; null stays null. Raises beyond 1e20."""
    return (value * FIXED_POINT_SCALE).round().cast(pl.Int128)


def from_fixed(total: pl.Expr) -> pl.Expr:
    """The float nearest to a fixed-point sum."""
    return total.cast(pl.Float64) / FIXED_POINT_SCALE
