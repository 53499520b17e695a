"""Names derived from data alone: the same row gets the same id in every run."""

from __future__ import annotations

from hashlib import md5

import numpy as np
import polars as pl

from kronos.core.chances import Words


def identifiers(keys: pl.Series, days: pl.Series) -> pl.Series:
    """UUIDs (version 8: own scheme) as text: the day as YYYYMMDD, then the MD5 of a string key.

    The day in front keeps a table's index in the order in which rows arrive.
    """
    digests = pl.Series(
        [md5(key.encode(), usedforsecurity=False).hexdigest() for key in keys.to_list()], dtype=pl.String
    )
    part = digests.str.slice
    front = days.dt.strftime("%Y%m%d")
    pieces = [front, "-", part(8, 4), "-8", part(13, 3), "-a", part(17, 3), "-", part(20, 12)]
    return pl.select(pl.concat_str([pl.lit(piece) for piece in pieces])).to_series()


def words_of(identifiers_: pl.Series) -> Words:
    """48 bits of each UUID as an integer, to draw further chances from."""
    return identifiers_.str.slice(24, 12).str.to_integer(base=16, dtype=pl.Int64).to_numpy().astype(np.uint64)
