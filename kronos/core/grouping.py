"""Columns added up by group in dense arrays: a fraction of the time that hashing keys and summing Int128 takes.

Sums are exact, and thus the same whatever the order: every float is cut into integers whose sums fit 64 bits.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from kronos.core.conventions import FIXED_POINT_SCALE
from kronos.errors import BadValue

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = defaultdict[int, list[tuple[pl.Series, Integers]]]
"""Flags and their sums, by how many rows have them."""

_BITS: Final = round(math.log2(FIXED_POINT_SCALE))
"""Fixed point in powers of two: sums are multiples of 2 ** -_BITS."""
_SUM_BITS: Final = 62
"""Sums of integers stay below 2 ** 62 in absolute value, to fit Int64."""
_EXACT: Final = 2**53
"""Integers up to here are floats too."""
_LARGEST_SUM: Final = 2.0 ** (126 - _BITS)
"""Sums stay below, to fit Int128 as multiples of 2 ** -_BITS."""
_FILLED: Final = (
    pl.col(pl.Float64).fill_null(0.0),
    pl.col(pl.Boolean).fill_null(value=False),
    pl.col(pl.Int64).fill_null(0),
)
_ROOM: Final = 4
"""So many times as many codes as rows may be left unused in between."""


@dataclass(frozen=True)
class Groups:
    """Rows in groups numbered from 0. A group may have no row."""

    of_row: Integers
    count: int

    def add_up(self, values: Integers) -> Integers:
        """Sums of one value per row, per group; wraps beyond 64 bits."""
        sums = np.zeros(self.count, dtype=np.int64)
        np.add.at(sums, self.of_row, values)
        return sums

    @cached_property
    def a_row(self) -> Integers:
        """A row of each group; 0 where it has none."""
        rows = np.zeros(self.count, dtype=np.int64)
        rows[self.of_row] = np.arange(len(self.of_row))
        return rows


def number(codes: Integers) -> Groups:
    """Rows grouped by code (from 0, not much more of them than rows), in rising order of code."""
    occurs = np.zeros(int(codes.max(initial=-1)) + 1, dtype=np.bool_)
    occurs[codes] = True
    numbers = np.cumsum(occurs, dtype=np.int64)
    numbers -= 1
    return Groups(numbers[codes], int(numbers[-1]) + 1 if len(numbers) else 0)


def number_all(*keys: Integers) -> Groups:
    """Rows grouped by several codes, in rising order of the first, then of the next."""
    codes, space = keys[0], int(keys[0].max(initial=0)) + 1
    for key in keys[1:]:
        width = int(key.max(initial=0)) + 1
        if space * width > _ROOM * len(codes):
            groups = number(codes)
            codes, space = groups.of_row, groups.count
        codes, space = codes * width + key, space * width
    return number(codes)


@dataclass(frozen=True)
class Sum:
    """Sums per group of a measure, or of the part of it that counts multiples of 2 ** (exponent - _BITS)."""

    measure: str
    exponent: int | None
    values: Integers


def roll_up(sums: Sequence[Sum], groupings: Sequence[Groups]) -> list[Sum]:
    """The sums by groups of groups, one grouping after the other."""
    return [
        Sum(part.measure, part.exponent, np.concatenate([groups.add_up(part.values) for groups in groupings]))
        for part in sums
    ]


def put_together(sums: Sequence[Sum], *, fixed: bool) -> pl.DataFrame:
    """A column per measure: whole ones as Int64, the others as Float64, or as Int128 in fixed point."""
    columns: dict[str, pl.Series] = {}
    parts: dict[str, list[tuple[int, Integers]]] = {}
    for part in sums:
        if part.exponent is None:
            columns[part.measure] = pl.Series(part.values)
        else:
            parts.setdefault(part.measure, []).append((part.exponent, part.values))
    put = _fixed if fixed else _nearest
    return pl.DataFrame(columns | {name: put(held) for name, held in parts.items()})


def _fixed(parts: Sequence[tuple[int, Integers]]) -> pl.Series:
    """Multiples of 2 ** -_BITS in Int128."""
    return reduce(
        add,
        (pl.Series(values).cast(pl.Int128) * pl.Series([1 << exponent], dtype=pl.Int128) for exponent, values in parts),
    )


def _nearest(parts: Sequence[tuple[int, Integers]]) -> pl.Series:
    """The floats nearest to the sums of parts."""
    if len(parts) == 2:
        (exponent, high), (_, low) = parts
        # with the low part carried over both are floats exactly, so that one addition rounds once
        carried = high + (low >> exponent)
        if int(np.abs(carried).max(initial=0)) <= _EXACT and 2**exponent <= _EXACT:
            return pl.Series((carried * 2.0**exponent + (low & (2**exponent - 1))) * 2.0**-_BITS)
    return _fixed(parts).cast(pl.Float64) * 2.0**-_BITS


def add_up(measures: pl.DataFrame, groups: Groups) -> list[Sum]:
    """Sums of each column per group: null is 0, floats are rounded to multiples of 1 / FIXED_POINT_SCALE.

    Sums of sums fit 64 bits too, as long as no row is counted twice. Of a float's parts the coarsest comes first.
    Raises `BadValue` for NaN, infinity, and values whose sum might not fit Int128.
    """
    sums: list[Sum] = []
    flags: Flags = defaultdict(list)
    spare = (np.empty(measures.height), np.empty(measures.height), np.empty(measures.height, dtype=np.int64))
    for values in measures.select(_FILLED):
        if values.dtype == pl.Float64:
            parts = _cut(values, *spare)
            sums += [Sum(values.name, exponent, groups.add_up(part)) for exponent, part in parts]
        elif values.dtype == pl.Boolean:
            sums.append(Sum(values.name, None, _counted(values, groups, flags)))
        else:
            sums.append(Sum(values.name, None, groups.add_up(values.to_numpy())))
    return sums


def _counted(flag: pl.Series, groups: Groups, flags: Flags) -> Integers:
    """Sums of a flag; those of one seen before are not found again."""
    # the number of rows that have it tells most flags apart at once
    seen = flags[int(flag.sum())]
    known = next((sums for same, sums in seen if same.equals(flag)), None)
    if known is None:
        known = groups.add_up(flag.to_numpy().astype(np.int64))
        seen.append((flag, known))
    return known


def _cut(values: pl.Series, scaled: Floats, rest: Floats, whole: Integers) -> Iterator[tuple[int, Integers]]:
    """(n, integers) whose multiples of 2 ** (n - _BITS) add up to the values, coarsest first.

    Integers have 62 bits less those of the number of values, so that no sum of them leaves 64 bits. They are valid
    until the next are asked for. scaled, rest, whole: room to work in, which saves the time to ask for it.
    """
    given = values.to_numpy()
    width = _SUM_BITS - len(given).bit_length()
    bits = math.frexp(_largest(given, values.name))[1] + _BITS
    np.copyto(rest, given)
    for exponent in reversed(range(0, max(bits, 1), width)):
        np.multiply(rest, 2.0 ** (_BITS - exponent), out=scaled)
        (np.trunc if exponent else np.rint)(scaled, out=scaled)
        np.copyto(whole, scaled, casting="unsafe")
        yield exponent, whole
        if exponent:
            np.multiply(scaled, 2.0 ** (exponent - _BITS), out=scaled)
            np.subtract(rest, scaled, out=rest)


def _largest(values: Floats, name: str) -> float:
    """The largest absolute value, once it is certain that no sum of the values is too large."""
    largest = max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))
    # the product is a bound; only where it is too large is the sum itself looked at
    if not (largest * len(values) < _LARGEST_SUM or float(np.abs(values).sum()) < _LARGEST_SUM):
        raise BadValue(f"{name} to add up", largest, f"finite numbers whose sum stays below {_LARGEST_SUM:g}")
    return largest
