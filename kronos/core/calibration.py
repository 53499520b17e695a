"""Calibration cells (a fixed grid of probability bins) and confusion cells, added up like the cells beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl

from kronos.core.codes import Codes
from kronos.core.contributions import CELL_CODES
from kronos.core.conventions import CALIBRATION_BINS
from kronos.core.fixed_point import from_fixed, to_fixed
from kronos.core.frames import CALIBRATION_CELLS, CELL_KEYS, CONFUSION_CELLS, Schema, empty
from kronos.core.scores import ClassPart

EVENT: Final = "event"
"""Target of binary forecasts."""

_CALIBRATION: Final = (*CELL_CODES, "regime", "target", "bin")
_CONFUSION: Final = (*CELL_CODES, "regime", "predicted", "realised")


def probability_bin(p: pl.Expr) -> pl.Expr:
    """Grid bin of a probability: 0 and the last hold exactly 0 and 1, the others cut (0, 1) equally, left-closed."""
    inner = CALIBRATION_BINS - 2
    index = (p * inner).floor().clip(0, inner - 1) + 1
    return pl.when(p <= 0).then(0).when(p >= 1).then(inner + 1).otherwise(index).cast(pl.Int16)


def calibration_terms(p: pl.Expr, y: pl.Expr) -> dict[str, pl.Expr]:
    """What a forecast p of an event y adds to each measure but n."""
    return {"sum_p": p, "sum_p2": p.pow(2), "sum_y": y, "sum_y2": y.pow(2)}


def calibration_sums(forecasts: pl.DataFrame, parts: list[ClassPart]) -> Iterator[pl.LazyFrame]:
    """Calibration measures of contributions, in fixed point: the event, each class, each threshold."""
    if forecasts.height:
        yield _target_sums(forecasts, EVENT, pl.col("probability"), pl.col("event"))
    for part in parts:
        for name in part.classes:
            realised = (pl.col("realised_class") == name).cast(pl.Float64)
            yield _target_sums(part.rows, f"class:{name}", part.probability(name), realised)
        for name, p, y in part.thresholds():
            yield _target_sums(part.rows, f"threshold:{name}", p.clip(0.0, 1.0), y)


def confusion_sums(rows: pl.DataFrame) -> Iterator[pl.LazyFrame]:
    """Counts of predicted by realised class: predicted is the label, else the likeliest class (the first of equals)."""
    likeliest = pl.col("classes").list.get(pl.col("class_probabilities").list.arg_max(), null_on_oob=True)
    rows = rows.filter(pl.col("realised_class").is_not_null())
    if rows.is_empty():
        return
    named = rows.lazy().select(
        *CELL_CODES, "regime", "sign", predicted=pl.coalesce("label", likeliest), realised="realised_class"
    )
    yield named.filter(pl.col("predicted").is_not_null()).group_by(_CONFUSION).agg(n=pl.col("sign").sum())


def finish_calibration(regular: list[pl.LazyFrame], sums: list[pl.LazyFrame], codes: Codes) -> pl.DataFrame:
    """frames.CALIBRATION_CELLS of several frames' sums; the regular ones share no keys among themselves."""
    return _finish(regular, sums, _CALIBRATION, codes, CALIBRATION_CELLS)


def finish_confusion(sums: list[pl.LazyFrame], codes: Codes) -> pl.DataFrame:
    """frames.CONFUSION_CELLS of several frames' sums."""
    return _finish([], sums, _CONFUSION, codes, CONFUSION_CELLS)


def _target_sums(rows: pl.DataFrame, target: str, p: pl.Expr, y: pl.Expr) -> pl.LazyFrame:
    values = rows.lazy().select(*CELL_CODES, "regime", "sign", p=p, y=y, bin=probability_bin(p))
    terms = calibration_terms(pl.col("p"), pl.col("y"))
    sums = {name: (to_fixed(value) * pl.col("sign")).sum() for name, value in terms.items()}
    grouped = values.group_by(*CELL_CODES, "regime", "bin").agg(n=pl.col("sign").sum(), **sums)
    return grouped.with_columns(target=pl.lit(target))


def _finish(
    regular: list[pl.LazyFrame], sums: list[pl.LazyFrame], keys: tuple[str, ...], codes: Codes, schema: Schema
) -> pl.DataFrame:
    if not regular and not sums:
        return empty(schema)
    measures = [name for name in schema if name not in (*CELL_KEYS, *keys, "month")]
    total = pl.concat([*regular, *sums], how="diagonal")
    if sums:
        # different frames share keys where claims were superseded, or classes came in several lists
        total = total.group_by(keys).agg(pl.col(measures).sum())
    cells = codes.decode(total.collect(engine="in-memory"), [name for name in keys if name != "horizon"])
    floats = [from_fixed(pl.col(name)).alias(name) for name in measures if cells.schema[name] == pl.Int128]
    typed = [pl.col(name).cast(dtype) for name, dtype in schema.items()]
    return cells.lazy().with_columns(floats).select(typed).collect(engine="in-memory")
