"""What is done to a forecast: mirrored, moved, sharpened. Each keeps probabilities in [0, 1] and adding up to 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import polars as pl

from kronos.core.chances import Floats
from kronos.core.controls.rows import DECIMALS

ClassChange: TypeAlias = Callable[[int, Floats], Floats]
"""(row, probabilities in the order of the classes) -> probabilities, not yet adding up."""

_EDGE = 1e-9
"""Probabilities are kept this far from certainty before they are moved in logits."""


def mirrored(decisions: pl.DataFrame, turned: Sequence[bool]) -> pl.DataFrame:
    """p becomes 1 - p and class probabilities are reversed over the order of the classes, where `turned`."""
    where = pl.Series("turned", turned, dtype=pl.Boolean)
    changed = decisions.with_columns(
        probability=pl.when(where).then((1.0 - pl.col("probability")).round(DECIMALS)).otherwise("probability")
    )
    return with_classes(changed, lambda row, p: p[::-1] if turned[row] else p, where)


def tilted(decisions: pl.DataFrame, by: Floats) -> pl.DataFrame:
    """Logits moved by so much per row; of classes, towards the last in their order."""
    p = _logits(decisions["probability"])
    moved = pl.Series(1.0 / (1.0 + np.exp(-(p + by)))).round(DECIMALS)
    changed = decisions.with_columns(probability=pl.when(pl.col("probability").is_not_null()).then(moved))
    return with_classes(changed, lambda row, q: q * np.exp(by[row] * np.linspace(-0.5, 0.5, len(q))))


def sharpened(decisions: pl.DataFrame, factor: float) -> pl.DataFrame:
    """Logits times a factor; class probabilities to that power."""
    p = _logits(decisions["probability"])
    pushed = pl.Series(1.0 / (1.0 + np.exp(-factor * p))).round(DECIMALS)
    changed = decisions.with_columns(probability=pl.when(pl.col("probability").is_not_null()).then(pushed))
    return with_classes(changed, lambda _, q: q**factor)


def with_classes(decisions: pl.DataFrame, change: ClassChange, where: pl.Series | None = None) -> pl.DataFrame:
    """Class probabilities changed row by row, labels the likeliest class then; rows without classes stay."""
    classes, probabilities = decisions["classes"].to_list(), decisions["class_probabilities"].to_list()
    labels = decisions["label"].to_list()
    for row, (names, told) in enumerate(zip(classes, probabilities, strict=True)):
        if names and told and (where is None or where[row]):
            made = np.round(_adding_up(change(row, np.array(told, dtype=np.float64))), DECIMALS)
            probabilities[row] = made.tolist()
            if labels[row] is not None:
                labels[row] = names[int(made.argmax())]
    return decisions.with_columns(
        pl.Series("class_probabilities", probabilities, dtype=pl.List(pl.Float64)),
        pl.Series("label", labels, dtype=pl.String),
    )


def _logits(probability: pl.Series) -> Floats:
    """Of null, 0: whoever has no probability gets none."""
    p = probability.fill_null(0.5).clip(_EDGE, 1.0 - _EDGE).to_numpy()
    return np.asarray(np.log(p) - np.log1p(-p))


def _adding_up(values: Floats) -> Floats:
    total = values.sum()
    return values / total if total > 0.0 else np.full_like(values, 1.0 / len(values))
