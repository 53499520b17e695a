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
from kronos.core.contributions import CELL_CODES, contributions
from kronos.core.facts import FactsBatch
from kronos.core.fixed_point import from_fixed, to_fixed
from kronos.core.frames import CELL_MEASURES, CELLS
from kronos.core.policy import ObservationPolicy
from kronos.core.vocabulary import Cube

CELL_ORDER: Final = (
    *("engine_name", "config_id", "horizon", "cube"),
    *("as_of_date", "market_id", "mode", "experiment_id", "eval_date", "known_date", "slice"),
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
    up to the same book. No facts give no cells. Hold to a month or so of facts at a time.
    """
    codes, (encoded, superseded) = encode(facts.facts, facts.superseded)
    sums: list[pl.DataFrame] = []
    calibration: list[pl.DataFrame] = []
    confusion: list[pl.DataFrame] = []
    for rows in contributions(encoded, superseded):
        forecasts = rows.filter(pl.col("probability").is_not_null() & pl.col("event").is_not_null())
        parts = scores.class_parts(rows, policy)
        sums.append(_add_up(rows, _row_measures(rows)))
        if forecasts.height:
            sums.append(_add_up(forecasts, _forecast_measures()))
        sums += [_add_up(part.rows, _class_measures(part)) for part in parts]
        calibration += calibration_sums(forecasts, parts)
        confusion += confusion_sums(rows)
    return CellsBatch(_cubes(sums, codes), finish_calibration(calibration, codes), finish_confusion(confusion, codes))


def _add_up(rows: pl.DataFrame, measures: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """Measures per key and all labels at once: counts as Int64, floats in fixed point."""
    signed = rows["sign"].min() == -1
    sums = [_summed(value, CELL_MEASURES[name], signed=signed).alias(name) for name, value in measures.items()]
    return rows.lazy().group_by(*CELL_CODES, *LABELS).agg(sums).collect(engine="streaming")


def _summed(value: pl.Expr, dtype: object, *, signed: bool) -> pl.Expr:
    if dtype == pl.Float64:
        fixed = to_fixed(value)
        return (fixed * pl.col("sign")).sum() if signed else fixed.sum()
    return (value.cast(pl.Int64) * pl.col("sign")).sum() if signed else value.sum().cast(pl.Int64)


def _row_measures(rows: pl.DataFrame) -> dict[str, pl.Expr]:
    """What one contribution adds; null adds nothing, and a column without values nothing at all."""
    weight, ret, pnl, hit = pl.col("weight"), pl.col("return"), pl.col("pnl"), scores.hit()
    hard, soft = pl.col("hard_violations"), pl.col("soft_violations")
    measures: dict[tuple[str, ...], dict[str, pl.Expr]] = {
        ("is_decision",): {"decisions": pl.col("is_decision")},
        ("is_due",): {"due": pl.col("is_due"), "weight_due": pl.when("is_due").then(weight)},
        ("is_valid",): {"valid": pl.col("is_valid")},
        ("return",): {
            "returns": ret.is_not_null(),
            "weight_returned": pl.when(ret.is_not_null()).then(weight),
            "weighted_return": weight * ret,
        },
        ("pnl",): {"pnl": pnl, "pnl_abs": pnl.abs(), "pnl_n": pnl.is_not_null()},
        ("hit", "event", "return"): {
            "hits": hit == 1,
            "hit_ties": (hit > 0) & (hit < 1),
            "hit_eligible": (hit == 1) | (hit == 0),
        },
        ("hard_violations", "soft_violations"): {
            "hard_violations": hard,
            "soft_violations": soft,
            "violations_n": hard.is_not_null() | soft.is_not_null(),
        },
        ("cost",): {"cost": pl.col("cost")},
        ("turnover",): {"turnover": pl.col("turnover")},
        ("loss",): {"loss_sum": pl.col("loss"), "loss_n": pl.col("loss").is_not_null()},
    }
    present = {name for name, count in rows.count().row(0, named=True).items() if count}
    present -= {name for name in ("is_decision", "is_due", "is_valid") if not rows[name].any()}
    return {name: value for read, group in measures.items() if present & set(read) for name, value in group.items()}


def _forecast_measures() -> dict[str, pl.Expr]:
    return {
        "brier_sum": scores.brier(),
        "log_loss_sum": scores.log_loss(),
        "forecast_n": pl.col("is_valid"),
        "clip_n": scores.clipped(),
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


def _cubes(sums: list[pl.DataFrame], codes: Codes) -> pl.DataFrame:
    """The marginal cubes of the joint sums, as frames.CELLS."""
    joint = pl.concat(sums, how="diagonal")
    names = pl.Enum(sorted(cube.value for cube in _CUBES))
    cubes = pl.concat([_cube(joint, label, pl.lit(cube.value, dtype=names)) for cube, label in _CUBES.items()])
    cells = codes.decode(cubes, ("cube", "book", "eval_date", "known_date", "slice"))
    measures = [_from_storage(name, held=name in cells.columns) for name in CELL_MEASURES]
    return cells.with_columns(measures).select(pl.col(name).cast(dtype) for name, dtype in CELLS.items())


def _cube(joint: pl.DataFrame, label: str, cube: pl.Expr) -> pl.DataFrame:
    measures = [name for name in joint.columns if name in CELL_MEASURES]
    sums = joint.lazy().group_by(*CELL_CODES, pl.col(label).alias("slice")).agg(pl.col(measures).sum())
    return sums.with_columns(cube=cube).collect(engine="streaming")


def _from_storage(name: str, *, held: bool) -> pl.Expr:
    value = pl.col(name) if held else pl.lit(0)
    return (from_fixed(value) if CELL_MEASURES[name] == pl.Float64 else value).alias(name)
