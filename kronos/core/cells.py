"""Cells: the additive cubes that every report is read from.

Floats are summed as fixed-point integers, so the same facts give the same bytes whatever the threads do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from kronos.core import scores
from kronos.core.calibration import calibration_sums, confusion_sums, finish_calibration, finish_confusion
from kronos.core.codes import LABELS, Codes, cube_of, encode
from kronos.core.contributions import CELL_CODES, contributions, outcome_contributions
from kronos.core.facts import FactsBatch, horizons_in
from kronos.core.frames import CELL_MEASURES, CELLS
from kronos.core.measures import class_measures, finished, forecast_measures, row_measures, sums
from kronos.core.policy import ObservationPolicy
from kronos.core.regular import is_regular, regular_calibration, regular_cells

CELL_ORDER: Final = (
    *("engine_name", "config_id", "horizon", "cube"),
    *("as_of_date", "market_id", "mode", "experiment_id", "eval_date", "known_date", "slice"),
)
"""Row order of cells: what one report reads stands together."""

_FORECASTS: Final = pl.any_horizontal(pl.col("probability", "class_probabilities", "label").is_not_null())
_CLASS_FORECASTS: Final = pl.any_horizontal(pl.col("class_probabilities", "label").is_not_null())


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
    regular, others = _parted(encoded)
    joint = [_row_sums(rows) for rows in contributions(others, superseded)]
    calibration: list[pl.LazyFrame] = []
    confusion: list[pl.LazyFrame] = []
    # binary forecasts of regular facts are added up with them
    classes = regular.filter(_CLASS_FORECASTS).with_columns(probability=pl.lit(None, dtype=pl.Float64))
    for rows in outcome_contributions(pl.concat([classes, others.filter(_FORECASTS)]), superseded):
        forecasts = rows.filter(pl.col("probability").is_not_null() & pl.col("event").is_not_null())
        parts = scores.class_parts(rows, policy)
        joint.append(_add_up(forecasts, forecast_measures()))
        joint += [_add_up(part.rows, class_measures(part)) for part in parts]
        calibration += calibration_sums(forecasts, parts)
        confusion += confusion_sums(rows)
    cells = _cells(regular, [part for part in joint if part.height], codes)
    # what more is to be added to is not rounded yet
    calibrated = finish_calibration(regular_calibration(regular, fixed=bool(calibration)), calibration, codes)
    return CellsBatch(cells, calibrated, finish_confusion(confusion, codes))


def _parted(facts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Facts on which nothing was late, and the others."""
    on_time = facts.select(is_regular(horizons_in(facts))).to_series()
    if on_time.all():
        return facts, facts.clear()
    return facts.filter(on_time), facts.filter(~on_time)


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
    """The sums of regular facts, which share no keys, and the marginal cubes of the joint sums, as frames.CELLS."""
    sums = pl.concat([*regular_cells(regular, fixed=bool(joint)), *_marginal(joint)], how="diagonal")
    if joint:
        measures = [name for name in sums.collect_schema().names() if name in CELL_MEASURES]
        sums = sums.group_by("cube", *CELL_CODES, "slice").agg(pl.col(measures).sum())
    cells = codes.decode(sums.collect(engine="in-memory"), ("cube", "book", "eval_date", "known_date", "slice"))
    typed = [pl.col(name).cast(dtype) for name, dtype in CELLS.items()]
    return cells.lazy().with_columns(finished(cells.schema)).select(typed).collect(engine="in-memory")


def _marginal(joint: list[pl.DataFrame]) -> Iterator[pl.LazyFrame]:
    """The joint sums once per cube."""
    for label in LABELS if joint else ():
        rows = pl.concat(joint, how="diagonal").lazy()
        yield rows.with_columns(pl.col(label).alias("slice"), cube_of(label)).drop(LABELS)
