"""The cells of one engine, mode and horizon, checked once at the door and coded for fast grouping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from kronos.core.conventions import DECISION_HORIZON
from kronos.core.frames import (
    CALIBRATION_CELLS,
    CELL_MEASURES,
    CELLS,
    CONFUSION_CELLS,
    SESSIONS,
    Schema,
    conform,
    empty,
)
from kronos.core.metrics.hac import Ints
from kronos.core.metrics.registry import COUNTS, RATIOS
from kronos.core.vocabulary import Cube
from kronos.errors import BadValue

Codes = dict[str, pl.Enum]

CODED: Final = ("config_id", "market_id", "slice")
READ: Final = frozenset(
    {name for metric in RATIOS for name in (metric.numerator, metric.denominator)}
    | {name for metric in COUNTS for name in (metric.measure, metric.carrier)}
)
"""Measures that metrics read."""
ALWAYS: Final = ("due", "valid", "returns", "weight_due", "weighted_return", "pnl", "pnl_n")
"""Measures that every report reads, also where they are zero everywhere."""

NEVER: Final = int(np.iinfo(np.int64).min)
"""The day number of no date; numpy's NaT."""

_EPOCH: Final = date(1970, 1, 1).toordinal()
_MARKET_BITS: Final = 16
_MARKETS: Final = 2**_MARKET_BITS
_DAY_BITS: Final = 24
_DAYS: Final = 2**_DAY_BITS
_KEYS: Final = ("place", "kind", "config_id", "market_id", "slice", "as_of_date", "eval_date", "known_date")
_RECORD: Final = ("month", "engine_name", "mode", "experiment_id", "horizon")


@dataclass(frozen=True)
class Evidence:
    """Cells of one (engine, mode, experiment) and horizon, by cube.

    `newest` is the last date that the record reaches; outcomes due later have not matured. `place` is one integer for
    (config, market, as_of_date), `kind` for (config, market, slice).
    """

    engine_name: str
    mode: str
    horizon: int
    outcomes: dict[Cube, pl.DataFrame]
    decisions: dict[Cube, pl.DataFrame]
    calibration: pl.DataFrame
    confusion: pl.DataFrame
    sessions: pl.DataFrame
    newest: date
    measures: tuple[str, ...]
    """Measures of `outcomes`: the others are zero everywhere."""
    codes: Codes

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        frames = (*self.outcomes.values(), *self.decisions.values(), self.calibration, self.confusion, self.sessions)
        return int(sum(frame.estimated_size() for frame in frames))

    @cached_property
    def calendar(self) -> dict[int, Ints]:
        """Session day numbers of each market, by its code."""
        markets, days = (self.sessions[name].to_physical().to_numpy() for name in ("market_id", "session"))
        return {code: days[markets == code].astype(np.int64) for code in range(len(self.codes["market_id"].categories))}

    def only(self, config_id: str) -> Evidence:
        """The evidence of one config."""
        if self.codes["config_id"].categories.to_list() == [config_id]:
            return self
        return self._where(pl.col("config_id").cast(pl.String) == config_id)

    @property
    def markets(self) -> list[str]:
        """Markets with a cell, sorted."""
        return self.codes["market_id"].categories.to_list()

    def without_market(self, market_id: str) -> Evidence:
        """The evidence as if nothing had ever been decided in a market."""
        return self._where(pl.col("market_id").cast(pl.String) != market_id)

    def _where(self, kept: pl.Expr) -> Evidence:
        return replace(
            self,
            outcomes={cube: frame.filter(kept) for cube, frame in self.outcomes.items()},
            decisions={cube: frame.filter(kept) for cube, frame in self.decisions.items()},
            calibration=self.calibration.filter(kept),
            confusion=self.confusion.filter(kept),
        )


def evidence(
    cells: pl.DataFrame,
    sessions: pl.DataFrame,
    *,
    horizon: int,
    calibration: pl.DataFrame | None = None,
    confusion: pl.DataFrame | None = None,
    newest: date | None = None,
) -> Evidence:
    """Check the frames and keep what a report at `horizon` reads; `newest` defaults to the last date of these cells.

    Raises `BadValue` for a missing column, a wrong dtype, a NaN or infinity, and for several engines, modes or
    experiments in one frame: those never pool.
    """
    checked = _finite(conform(cells, CELLS, "cells"), "cells")
    checked = checked.filter(pl.col("horizon").is_in([DECISION_HORIZON, horizon]))
    engine_name, mode = _one_record(checked)
    codes = {key: pl.Enum(checked[key].unique().sort().to_list()) for key in CODED}
    measures = _present(checked)
    decided, outcomes = checked.filter(horizon=DECISION_HORIZON), checked.filter(horizon=horizon)
    return Evidence(
        engine_name=engine_name,
        mode=mode,
        horizon=horizon,
        outcomes=_by_cube(outcomes, codes, measures),
        decisions=_by_cube(decided, codes, ("due", "decisions")),
        calibration=_targets(calibration, CALIBRATION_CELLS, horizon, "calibration_cells", codes),
        confusion=_targets(confusion, CONFUSION_CELLS, horizon, "confusion_cells", codes),
        sessions=_sessions(sessions, codes),
        newest=newest or newest_date(checked) or date.min,
        measures=measures,
        codes=codes,
    )


def newest_date(cells: pl.DataFrame) -> date | None:
    """The last date the record reaches: of a decision, or of an outcome that arrived. None without either."""
    reached = cells.select(
        pl.col("as_of_date").filter(pl.col("decisions") > 0).max().alias("decided"),
        pl.col("eval_date").filter(pl.col("valid") > 0).max().alias("evaluated"),
    ).row(0)
    return max((day for day in reached if day is not None), default=None)


def rows_within(frame: pl.DataFrame, limits: Mapping[str, tuple[int, int]]) -> pl.DataFrame:
    """The rows whose dates lie within limits, as day numbers, both included; where all do, the frame itself.

    A missing date lies within none.
    """
    kept = np.ones(frame.height, dtype=np.bool_)
    for name, (first, last) in limits.items():
        days = frame[name].cast(pl.Int32).to_numpy()
        kept &= (days >= first) & (days <= last)
    return frame if kept.all() else frame.filter(pl.Series(kept))


def rising(*sorted_numbers: Ints) -> Ints:
    """The distinct numbers of arrays that rise, in rising order: np.unique hashes, which takes ten times as long."""
    merged = np.concatenate(sorted_numbers)
    merged.sort(kind="stable")
    return np.asarray(merged[np.diff(merged, prepend=merged[:1] - 1) != 0])


def named(codes: Ints, names: pl.Enum) -> pl.Series:
    """The names that codes stand for."""
    return names.categories.gather(codes).cast(names)


def day_number(day: date) -> int:
    """Days since 1970."""
    return day.toordinal() - _EPOCH


def place_of(config: int, market: int, days: Ints) -> Ints:
    """`place_code` of day numbers."""
    return (config * _MARKETS + market) * _DAYS + days


def unplaced(places: Ints) -> tuple[Ints, Ints, Ints]:
    """Config code, market code and day number of places; days before 1970 are negative."""
    books = (places + _DAYS // 2) >> _DAY_BITS
    return books >> _MARKET_BITS, books & (_MARKETS - 1), places - (books << _DAY_BITS)


def kind_code(codes: Codes) -> pl.Expr:
    """(config_id, market_id, slice) as one small integer."""
    config, market, label = (pl.col(key).to_physical().cast(pl.Int64) for key in ("config_id", "market_id", "slice"))
    markets, labels = _radix(codes)
    return ((config * markets + market) * labels + label).alias("kind")


def kinds_of(config: Ints, market: Ints, codes: Codes) -> Ints:
    """`kind_code` of the first slice."""
    markets, labels = _radix(codes)
    return (config * markets + market) * labels


def unkind(kinds: Ints, codes: Codes) -> tuple[Ints, Ints, Ints]:
    """Config, market and slice code of kinds."""
    markets, labels = _radix(codes)
    return kinds // labels // markets, kinds // labels % markets, kinds % labels


def _radix(codes: Codes) -> tuple[int, int]:
    return max(1, len(codes["market_id"].categories)), max(1, len(codes["slice"].categories))


def place_code() -> pl.Expr:
    """(config_id, market_id, as_of_date) as one integer: joins and groups by it are cheap."""
    config, market = (pl.col(key).to_physical().cast(pl.Int64) for key in ("config_id", "market_id"))
    return ((config * _MARKETS + market) * _DAYS + pl.col("as_of_date").to_physical().cast(pl.Int64)).alias("place")


def _by_cube(cells: pl.DataFrame, codes: Codes, measures: tuple[str, ...]) -> dict[Cube, pl.DataFrame]:
    coded = _coded(cells, codes).with_columns(place_code(), kind_code(codes))
    cubes = {cube: coded.filter(cube=cube.value).sort("place", "slice", "known_date", "eval_date") for cube in Cube}
    # floats, so that numpy sums them as they are
    floats = [pl.col(name) if name == "decisions" else pl.col(name).cast(pl.Float64) for name in measures]
    return {cube: frame.select(*_KEYS, *floats, *_opens()).rechunk() for cube, frame in cubes.items()}


def _opens() -> list[pl.Expr]:
    """1 on the first due row of each config, market and date, and of each slice of it: they count the books."""
    due = pl.col("due") > 0
    first = {"place_opens": pl.struct("place", due), "slice_opens": pl.struct("place", "slice", due)}
    return [(due & key.is_first_distinct()).cast(pl.Float64).alias(name) for name, key in first.items()]


def _present(cells: pl.DataFrame) -> tuple[str, ...]:
    found = cells.select((pl.col(list(CELL_MEASURES)) != 0).any()).row(0, named=True)
    read = READ | {"hit_eligible", "hit_ties"}
    return tuple(name for name in CELL_MEASURES if name in ALWAYS or (name in read and found[name]))


def _targets(frame: pl.DataFrame | None, schema: Schema, horizon: int, name: str, codes: Codes) -> pl.DataFrame:
    checked = empty(schema) if frame is None else _finite(conform(frame, schema, name), name)
    return _coded(checked.filter(horizon=horizon).rename({"regime": "slice"}).drop(_RECORD), codes)


def _sessions(sessions: pl.DataFrame, codes: Codes) -> pl.DataFrame:
    """Sessions of the markets that occur, in rising order."""
    checked = conform(sessions, SESSIONS, "sessions")
    chosen = checked.filter(pl.col("market_id").is_in(codes["market_id"].categories.to_list()))
    return _coded(chosen.sort("market_id", "session"), codes)


def _one_record(cells: pl.DataFrame) -> tuple[str, str]:
    keys = cells.select("engine_name", "mode", "experiment_id").unique()
    if keys.height > 1:
        raise BadValue("cells", keys.rows(), "one engine, mode and experiment: they never pool")
    return keys.row(0)[:2] if keys.height else ("", "")


def _finite(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Refuse NaN and infinities, naming the first."""
    for column in [name for name, dtype in frame.schema.items() if dtype == pl.Float64]:
        values = frame[column]
        if not values.is_finite().all():
            bad = values.filter(~values.is_finite())
            raise BadValue(f"frame {name}.{column}", bad[0], "finite numbers; missing is null")
    return frame


def _coded(frame: pl.DataFrame, codes: Codes) -> pl.DataFrame:
    """Codes instead of strings: grouping costs half."""
    return frame.with_columns(pl.col(key).cast(code) for key, code in codes.items() if key in frame.columns)
