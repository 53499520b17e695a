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
from kronos.core.contributions import LABELS, contributions
from kronos.core.facts import FactsBatch
from kronos.core.fixed_point import from_fixed, to_fixed
from kronos.core.frames import CELL_KEYS, CELL_MEASURES, CELLS, empty, month_of
from kronos.core.policy import ObservationPolicy
from kronos.core.vocabulary import Cube

CELL_ORDER: Final = (
    "engine_name",
    "config_id",
    "horizon",
    "cube",
    "as_of_date",
    "market_id",
    "mode",
    "experiment_id",
    "eval_date",
    "known_date",
    "slice",
)
"""Row order of cells: what one report reads stands together."""

_CUBES: Final[Mapping[Cube, str]] = {
    Cube.REGIME: "regime",
    Cube.STABILITY: "stability_bucket",
    Cube.FRAGILITY: "fragility_bucket",
}


@dataclass(frozen=True)
class CellsBatch:
    """Cells (frames.CELLS) with their calibration and confusion cells."""

    cells: pl.DataFrame
    calibration: pl.DataFrame
    confusion: pl.DataFrame


def build_cells(facts: FactsBatch, policy: ObservationPolicy) -> CellsBatch:
    """Add facts and their superseded versions up into cells, in one row order.

    As of a date D the cells with eval_date <= D and known_date <= D add up to what was known at D, and each cube adds
    up to the same book. No facts give no cells. Hold to a few months of facts at a time.
    """
    sums, calibration, confusion = [], [], []
    for rows in contributions(facts):
        parts = scores.class_parts(rows, policy)
        sums.append(_sums(rows, parts))
        calibration.append(calibration_sums(rows, parts))
        confusion.append(confusion_sums(rows))
    return CellsBatch(_cubes(sums), finish_calibration(calibration), finish_confusion(confusion))


def _sums(rows: pl.DataFrame, parts: list[scores.ClassPart]) -> pl.DataFrame:
    """Measures per key and all labels at once, still in fixed point."""
    plain = _add_up(rows, _row_measures())
    classes = [_add_up(part.rows, _class_measures(part)) for part in parts]
    return pl.concat([plain, *classes], how="diagonal")


def _add_up(rows: pl.DataFrame, measures: Mapping[str, pl.Expr]) -> pl.DataFrame:
    signed = rows["sign"].min() != 1
    sums = {name: (value * pl.col("sign") if signed else value).sum() for name, value in _in_storage(measures).items()}
    return rows.lazy().group_by(*CELL_KEYS, *LABELS).agg(**sums).collect(engine="streaming")


def _in_storage(measures: Mapping[str, pl.Expr]) -> dict[str, pl.Expr]:
    """Counts as Int64, floats in fixed point."""
    return {
        name: to_fixed(value) if CELL_MEASURES[name] == pl.Float64 else value.cast(pl.Int64)
        for name, value in measures.items()
    }


def _row_measures() -> dict[str, pl.Expr]:
    """What one contribution adds; null adds nothing."""
    weight, ret, pnl, hit = pl.col("weight"), pl.col("return"), pl.col("pnl"), scores.hit()
    forecast = pl.col("probability").is_not_null() & pl.col("event").is_not_null()
    violations = pl.col("hard_violations").is_not_null() | pl.col("soft_violations").is_not_null()
    return {
        "decisions": pl.col("is_decision"),
        "due": pl.col("is_due"),
        "valid": pl.col("is_valid"),
        "weight_due": pl.when("is_due").then(weight),
        "returns": ret.is_not_null(),
        "weight_returned": pl.when(ret.is_not_null()).then(weight),
        "weighted_return": weight * ret,
        "pnl": pnl,
        "pnl_abs": pnl.abs(),
        "pnl_n": pnl.is_not_null(),
        "hits": hit == 1,
        "hit_ties": (hit > 0) & (hit < 1),
        "hit_eligible": (hit == 1) | (hit == 0),
        "hard_violations": pl.col("hard_violations"),
        "soft_violations": pl.col("soft_violations"),
        "violations_n": violations,
        "cost": pl.col("cost"),
        "turnover": pl.col("turnover"),
        "brier_sum": scores.brier(),
        "log_loss_sum": scores.log_loss(),
        "forecast_n": forecast,
        "clip_n": scores.clipped(),
        "loss_sum": pl.col("loss"),
        "loss_n": pl.col("loss").is_not_null(),
    }


def _class_measures(part: scores.ClassPart) -> dict[str, pl.Expr]:
    score = scores.class_scores(part)
    return {
        "class_brier_sum": score["class_brier"],
        "class_log_loss_sum": score["class_log_loss"],
        "class_n": pl.col("is_valid"),
        "class_clip_n": score["class_clip"],
        "rps_sum": score["rps"],
        "rps_n": score["rps"].is_not_null(),
    }


def _cubes(sums: list[pl.DataFrame]) -> pl.DataFrame:
    """The marginal cubes of the joint sums, as frames.CELLS."""
    joint = pl.concat(sums, how="diagonal") if sums else empty(CELLS)
    cubes = [_cube(joint, cube, label) for cube, label in _CUBES.items()]
    return pl.concat(cubes).sort(CELL_ORDER)


def _cube(joint: pl.DataFrame, cube: Cube, label: str) -> pl.DataFrame:
    held = [name for name in CELL_MEASURES if name in joint.columns]
    sums = joint.lazy().group_by(*CELL_KEYS, pl.col(label).alias("slice")).agg(pl.col(held).sum())
    measures = [_from_storage(name, name in held) for name in CELL_MEASURES]
    cells = sums.with_columns(*measures, month=month_of(), cube=pl.lit(cube.value))
    return cells.select(list(CELLS)).collect(engine="streaming")


def _from_storage(name: str, held: bool) -> pl.Expr:
    value = pl.col(name) if held else pl.lit(0)
    return (from_fixed(value) if CELL_MEASURES[name] == pl.Float64 else value.cast(pl.Int64)).alias(name)
