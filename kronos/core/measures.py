"""What one contribution adds to each measure of the cells, and how sums are kept while adding."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from kronos.core import scores
from kronos.core.fixed_point import from_fixed, to_fixed
from kronos.core.frames import CELL_MEASURES
from kronos.core.scores import Column


def row_measures(column: Column, present: Collection[str], *, judged: bool = False) -> dict[str, pl.Expr]:
    """Measures of any contribution; null adds nothing, and what rests on columns without values is left out.

    judged: the column `hit` is already scores.hit.
    """
    weight, ret, pnl = column("weight"), column("return"), column("pnl")
    hard, soft = column("hard_violations"), column("soft_violations")
    hit = column("hit") if judged else scores.hit(column)
    measures: dict[tuple[str, ...], dict[str, pl.Expr]] = {
        ("is_decision",): {"decisions": column("is_decision")},
        ("is_due",): {"due": column("is_due"), "weight_due": pl.when(column("is_due")).then(weight)},
        ("is_valid",): {"valid": column("is_valid")},
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
        ("cost",): {"cost": column("cost")},
        ("turnover",): {"turnover": column("turnover")},
        ("loss",): {"loss_sum": column("loss"), "loss_n": column("loss").is_not_null()},
    }
    held = set(present)
    return {name: value for read, group in measures.items() if held & set(read) for name, value in group.items()}


def forecast_measures(column: Column = pl.col) -> dict[str, pl.Expr]:
    """Measures of a binary forecast; null adds nothing."""
    brier = scores.brier(column)
    return {
        "brier_sum": brier,
        "log_loss_sum": scores.log_loss(column),
        "forecast_n": brier.is_not_null(),
        "clip_n": scores.clipped(column),
    }


def class_measures(part: scores.ClassPart) -> dict[str, pl.Expr]:
    """Measures of a valid outcome of a class forecast."""
    score = scores.class_scores(part)
    return {
        "class_brier_sum": score["class_brier"],
        "class_log_loss_sum": score["class_log_loss"],
        "class_n": pl.col("is_valid"),
        "class_clip_n": score["class_clip"],
        "rps_sum": score["rps"],
        "rps_n": score["rps"].is_not_null(),
    }


def sums(measures: Mapping[str, pl.Expr], *, signed: bool) -> list[pl.Expr]:
    """Sums of measures: counts as Int64, floats in fixed point; signed when some rows take claims back."""
    return [_sum(value, CELL_MEASURES[name], signed=signed).alias(name) for name, value in measures.items()]


def finished(held: pl.Schema) -> list[pl.Expr]:
    """Every measure of frames.CELLS from the sums that are held, in fixed point or finished; the others are zero."""
    return [_finished(name, held.get(name)) for name in CELL_MEASURES]


def _sum(value: pl.Expr, dtype: object, *, signed: bool) -> pl.Expr:
    if dtype == pl.Float64:
        fixed = to_fixed(value)
        return (fixed * pl.col("sign")).sum() if signed else fixed.sum()
    return (value.cast(pl.Int64) * pl.col("sign")).sum() if signed else value.sum().cast(pl.Int64)


def _finished(name: str, held: pl.DataType | None) -> pl.Expr:
    value = pl.lit(0) if held is None else pl.col(name).fill_null(0)
    return (from_fixed(value) if held == pl.Int128 else value).alias(name)
