"""Chances derived from data alone: the same row meets the same fate in every run, whatever rows stand around it.

splitmix64 (Steele, Lea, Flood 2014, OOPSLA), chained over the words of a row.
"""

from __future__ import annotations

from hashlib import md5
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

Words: TypeAlias = npt.NDArray[np.uint64]
Floats: TypeAlias = npt.NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def mix(*words: npt.ArrayLike) -> Words:
    """One well-mixed 64-bit word per row from any number of integer columns."""
    state = np.zeros(1, dtype=np.uint64)
    for word in words:
        state = _splitmix(state ^ np.asarray(word).astype(np.uint64))
    return state


def chances(*words: npt.ArrayLike) -> Floats:
    """Uniform numbers in [0, 1) determined by integer columns."""
    return (mix(*words) >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def word_of(text: str) -> int:
    """63 bits of a text's MD5."""
    return int.from_bytes(md5(text.encode(), usedforsecurity=False).digest()[:8], "big") >> 1


def words_in(column: pl.Series) -> Words:
    """`word_of` of every text of a column; null is a text of its own."""
    known = {text: word_of("\0" if text is None else text) for text in column.unique().to_list()}
    return np.array([known[text] for text in column.to_list()], dtype=np.uint64)


def _splitmix(state: Words) -> Words:
    z = state + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))
