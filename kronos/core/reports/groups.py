"""Slices of books as single integers, so that all dimensions are measured in one group_by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from kronos.core.metrics.hac import Ints
from kronos.core.reports.evidence import Codes
from kronos.core.vocabulary import ALL, POOLED, Cube, Dimension

GROUP: Final = "group"


@dataclass(frozen=True)
class Cut:
    """Which columns tell the slices of a dimension apart, and the cube they are read from."""

    cube: Cube
    by_slice: bool
    by_market: bool

    @property
    def conditional(self) -> bool:
        """Ratio metrics read sum(weight x return) / sum(weight) instead of a book return."""
        return self.by_slice


CUTS: Final[dict[Dimension, Cut]] = {
    Dimension.OVERALL: Cut(Cube.REGIME, by_slice=False, by_market=False),
    Dimension.REGIME: Cut(Cube.REGIME, by_slice=True, by_market=False),
    Dimension.STABILITY: Cut(Cube.STABILITY, by_slice=True, by_market=False),
    Dimension.FRAGILITY: Cut(Cube.FRAGILITY, by_slice=True, by_market=False),
    Dimension.MARKET: Cut(Cube.REGIME, by_slice=False, by_market=True),
    Dimension.REGIME_AND_MARKET: Cut(Cube.REGIME, by_slice=True, by_market=True),
}
_ORDER: Final = tuple(Dimension)


@dataclass(frozen=True, order=True)
class Slice:
    """One slice of one book (a config id, or `*`)."""

    book: str
    dimension: Dimension
    label: str
    market: str | None = None
    """The market, where the slice lies in one."""


@dataclass(frozen=True)
class Grouping:
    """How rows with config_id, market_id and slice map to groups, and back."""

    codes: Codes
    pooled: bool

    def code(self, dimension: Dimension) -> pl.Expr:
        """The group of a row: one integer for (dimension, book, slice, market)."""
        columns = (pl.col(key).to_physical().cast(pl.Int64) for key in ("config_id", "slice", "market_id"))
        group: pl.Expr = self._number(dimension, *columns)
        return group.alias(GROUP)

    def codes_of(self, dimension: Dimension, config: Ints, label: Ints, market: Ints) -> Ints:
        """The groups of rows with these codes."""
        groups: Ints = self._number(dimension, config, label, market)
        return groups

    def _number(self, dimension: Dimension, config: Any, label: Any, market: Any) -> Any:
        cut = CUTS[dimension]
        # a product by 0 keeps the shape of the rows
        group = config * (0 if self.pooled else 1) + _ORDER.index(dimension) * self._size("config_id")
        group = group * self._size("slice") + (label if cut.by_slice else 0)
        return group * self._size("market_id") + (market if cut.by_market else 0)

    @property
    def books(self) -> int:
        """How many books there are."""
        return 1 if self.pooled else self._size("config_id")

    def book_of(self, groups: Ints) -> Ints:
        """The book of each group, as the integer of `book`."""
        return groups // (self._size("slice") * self._size("market_id")) % self._size("config_id")

    def slice_of(self, group: int) -> Slice:
        """The slice a group stands for."""
        rest, market = divmod(group, self._size("market_id"))
        rest, label = divmod(rest, self._size("slice"))
        order, book = divmod(rest, self._size("config_id"))
        cut = CUTS[_ORDER[order]]
        market_id = self._name("market_id", market) if cut.by_market else None
        parts = [*([self._name("slice", label)] if cut.by_slice else []), *([market_id] if market_id else [])]
        return Slice(
            book=POOLED if self.pooled else self._name("config_id", book),
            dimension=_ORDER[order],
            label="|".join(parts) or ALL,
            market=market_id,
        )

    def _size(self, key: str) -> int:
        return max(1, len(self.codes[key].categories))

    def _name(self, key: str, code: int) -> str:
        return str(self.codes[key].categories[code])
