"""Cells: the additive cubes that every report is read from.

Floats are summed as fixed-point integers, so the same facts give the same bytes whatever the threads do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from kronos.core import scores
from kronos.core.calibration import calibration_sums, confusion_sums, finish_calibration, finish_confusion
from kronos.core.codes import LABELS, Codes, encode
from kronos.core.contributions import CELL_CODES, contributions, outcome_contributions
from kronos.core.facts import FactsBatch, horizons_in
from kronos.core.frames import CELL_MEASURES, CELLS
from kronos.core.measures import class_measures, finished, forecast_measures, row_measures, sums
from kronos.core.policy import ObservationPolicy
from kronos.core.regular import is_regular, regular_cubes, regular_sums
from kronos.core.vocabulary import Cube

CELL_ORDER: Final = (
    *("engine_name", "config_id", "horizon", "cube"),
    *("as_of_date", "market_id", "mode", "experiment_id", "eval_date", "known_date", "slice"),
)
"""Row order of cells: what one report reads stands together."""

_CUBES: Final = dict(zip((Cube.REGIME, Cube.STABILITY, Cube.FRAGILITY), LABELS, strict=True))
_FORECASTS: Final = pl.any_horizontal(pl.col("probability", "class_probabilities", "label").is_not_null())


@dataclass(frozen=True)
class CellsBatch:
    """Cells (frames.CELLS) with their calibration and confusion cells."""

    cells: pl.DataFrame
    calibration: pl.DataFrame
    confusion: pl.DataFrame


def build_cells(facts: FactsBatch, policy: ObservationPolicy) -> CellsBatch:
    """Add facts and their superseded versions up into cells, in one row order.

    As of a date D the cells with eval_date <= D and known_date <= D add up to what was known at D, and each cube adds
    up to the same book. No facts give no cells. Hold to a month or so of facts at a time.
    """
    codes, (encoded, superseded) = encode(facts.facts, facts.superseded)
    on_time = encoded.select(is_regular(horizons_in(encoded))).to_series()
    regular = regular_sums(encoded.filter(on_time))
    joint = [_row_sums(rows) for rows in contributions(encoded.filter(~on_time), superseded)]
    calibration: list[pl.LazyFrame] = []
    confusion: list[pl.LazyFrame] = []
    for rows in outcome_contributions(encoded.filter(_FORECASTS), superseded):
        forecasts = rows.filter(pl.col("probability").is_not_null() & pl.col("event").is_not_null())
        parts = scores.class_parts(rows, policy)
        joint.append(_add_up(forecasts, forecast_measures()))
        joint += [_add_up(part.rows, class_measures(part)) for part in parts]
        calibration += calibration_sums(forecasts, parts)
        confusion += confusion_sums(rows)
    cells = _cells(regular, [part for part in joint if part.height], codes)
    return CellsBatch(cells, finish_calibration(calibration, codes), finish_confusion(confusion, codes))


def _row_sums(rows: pl.DataFrame) -> pl.DataFrame:
    present = {name for name, count in rows.count().row(0, named=True).items() if count}
    present -= {name for name in ("is_decision", "is_due", "is_valid") if not rows[name].any()}
    return _add_up(rows, row_measures(pl.col, present))


def _add_up(rows: pl.DataFrame, measures: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """Measures per key and all labels at once."""
    if rows.is_empty():
        return rows.select(*CELL_CODES, *LABELS)
    added = sums(measures, signed=rows["sign"].min() == -1)
    return rows.lazy().group_by(*CELL_CODES, *LABELS).agg(added).collect(engine="in-memory")


def _cells(regular: pl.DataFrame, joint: list[pl.DataFrame], codes: Codes) -> pl.DataFrame:
    """The marginal cubes of the joint sums, as frames.CELLS."""
    names = pl.Enum(sorted(cube.value for cube in _CUBES))
    rest = pl.concat(joint, how="diagonal") if joint else None
    cubes = [
        _cube(parts, rest, label).with_columns(cube=pl.lit(cube.value, dtype=names))
        for (cube, label), parts in zip(_CUBES.items(), regular_cubes(regular), strict=True)
    ]
    cells = codes.decode(
        pl.concat(cubes).collect(engine="in-memory"), ("cube", "book", "eval_date", "known_date", "slice")
    )
    typed = [pl.col(name).cast(dtype) for name, dtype in CELLS.items()]
    return cells.lazy().with_columns(finished(cells.columns)).select(typed).collect(engine="in-memory")


def _cube(regular: list[pl.LazyFrame], rest: pl.DataFrame | None, label: str) -> pl.LazyFrame:
    if rest is None:
        return pl.concat(regular, how="diagonal")
    others = rest.lazy().with_columns(pl.col(label).alias("slice")).drop(LABELS)
    rows = pl.concat([*regular, others], how="diagonal")
    measures = [name for name in rows.collect_schema().names() if name in CELL_MEASURES]
    return rows.group_by(*CELL_CODES, "slice").agg(pl.col(measures).sum())
