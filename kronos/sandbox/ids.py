"""Names and chances derived from data alone: the same row gets the same id and the same fate in every run."""

from __future__ import annotations

from hashlib import md5

import numpy as np
import numpy.typing as npt
import polars as pl

from kronos.sandbox.markets import Floats

Words = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


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


def mix(*words: npt.ArrayLike) -> Words:
    """One well-mixed 64-bit word per row from any number of integer columns (splitmix64 chained)."""
    state = np.zeros(1, dtype=np.uint64)
    for word in words:
        state = _splitmix(state ^ np.asarray(word).astype(np.uint64))
    return state


def chances(*words: npt.ArrayLike) -> Floats:
    """Uniform numbers in [0, 1) determined by integer columns."""
    return (mix(*words) >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def words_of(identifiers_: pl.Series) -> Words:
    """48 bits of each UUID as an integer, to draw further chances from."""
    return identifiers_.str.slice(24, 12).str.to_integer(base=16, dtype=pl.Int64).to_numpy().astype(np.uint64)


def _splitmix(state: Words) -> Words:
    z = state + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))
