"""Calibration cells (a fixed grid of probability bins) and confusion cells, added up like the cells beside them."""

from __future__ import annotations

from typing import Final

import polars as pl

from kronos.core.conventions import CALIBRATION_BINS
from kronos.core.fixed_point import from_fixed, to_fixed
from kronos.core.frames import CALIBRATION_CELLS, CELL_KEYS, CONFUSION_CELLS, Schema, empty, month_of
from kronos.core.scores import ClassPart

_CALIBRATION_KEYS: Final = (*CELL_KEYS, "regime", "target", "bin")
_CONFUSION_KEYS: Final = (*CELL_KEYS, "regime", "predicted", "realised")
_KEYS_ORDER: Final = ("engine_name", "config_id", "horizon", "as_of_date", "market_id", "mode", "experiment_id")


def probability_bin(p: pl.Expr) -> pl.Expr:
    """Grid bin of a probability: 0 and the last hold exactly 0 and 1, the others cut (0, 1) equally, left-closed."""
    inner = CALIBRATION_BINS - 2
    index = (p * inner).floor().clip(0, inner - 1) + 1
    return pl.when(p <= 0).then(0).when(p >= 1).then(inner + 1).otherwise(index).cast(pl.Int16)


def calibration_sums(rows: pl.DataFrame, parts: list[ClassPart]) -> pl.DataFrame:
    """Calibration measures of one frame of contributions, in fixed point: the event, each class, each threshold."""
    forecasts = rows.filter(pl.col("probability").is_not_null() & pl.col("event").is_not_null())
    sums = [_target_sums(forecasts, "event", pl.col("probability"), pl.col("event"))]
    for part in parts:
        for name in part.classes:
            realised = (pl.col("realised_class") == name).cast(pl.Float64)
            sums.append(_target_sums(part.rows, f"class:{name}", part.probability(name), realised))
        for name, p, y in part.thresholds():
            sums.append(_target_sums(part.rows, f"threshold:{name}", p.clip(0.0, 1.0), y))
    return pl.concat(sums)


def confusion_sums(rows: pl.DataFrame) -> pl.DataFrame:
    """Counts of predicted by realised class: predicted is the label, else the likeliest class (the first of equals)."""
    likeliest = pl.col("classes").list.get(pl.col("class_probabilities").list.arg_max(), null_on_oob=True)
    named = rows.filter(pl.col("realised_class").is_not_null()).with_columns(
        predicted=pl.coalesce("label", likeliest), realised=pl.col("realised_class")
    )
    counted = named.lazy().filter(pl.col("predicted").is_not_null()).group_by(list(_CONFUSION_KEYS))
    return counted.agg(n=pl.col("sign").sum()).collect(engine="streaming")


def finish_calibration(sums: list[pl.DataFrame]) -> pl.DataFrame:
    """frames.CALIBRATION_CELLS of several frames' sums."""
    return _finish(sums, _CALIBRATION_KEYS, CALIBRATION_CELLS)


def finish_confusion(sums: list[pl.DataFrame]) -> pl.DataFrame:
    """frames.CONFUSION_CELLS of several frames' sums."""
    return _finish(sums, _CONFUSION_KEYS, CONFUSION_CELLS)


def _target_sums(rows: pl.DataFrame, target: str, p: pl.Expr, y: pl.Expr) -> pl.DataFrame:
    values = rows.lazy().with_columns(_p=p, _y=y, target=pl.lit(target), bin=probability_bin(p))
    terms = {"sum_p": pl.col("_p"), "sum_p2": pl.col("_p").pow(2), "sum_y": pl.col("_y"), "sum_y2": pl.col("_y").pow(2)}
    sums = {name: (to_fixed(value) * pl.col("sign")).sum() for name, value in terms.items()}
    grouped = values.group_by(list(_CALIBRATION_KEYS)).agg(n=pl.col("sign").sum(), **sums)
    return grouped.collect(engine="streaming")


def _finish(sums: list[pl.DataFrame], keys: tuple[str, ...], schema: Schema) -> pl.DataFrame:
    if not sums:
        return empty(schema)
    measures = [name for name in schema if name not in (*keys, "month")]
    total = pl.concat(sums).lazy().group_by(list(keys)).agg(pl.col(measures).sum())
    floats = [from_fixed(pl.col(name)).alias(name) for name in measures if schema[name] == pl.Float64]
    rest = [name for name in keys if name not in _KEYS_ORDER]
    return total.with_columns(*floats, month=month_of()).select(list(schema)).sort(*_KEYS_ORDER, *rest).collect()
