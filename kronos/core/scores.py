"""Proper scores of forecasts, one expression each; a row without forecast or outcome scores null.

References: Brier (1950); Epstein (1969) for the ranked probability score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Final

import polars as pl

from kronos.core.conventions import LOG_LOSS_CLIP
from kronos.core.policy import ObservationPolicy

Column = Callable[[str], pl.Expr]
"""Where a column is found."""

CLASS_SCORES: Final = ("class_brier", "class_log_loss", "class_clip", "rps")


def hit(column: Column = pl.col) -> pl.Expr:
    """1 hit, 0 miss, 0.5 tie: as given, else a fractional event is a tie, else the sign of the return."""
    given, event, ret = column("hit"), column("event"), column("return")
    return (
        pl.when(given.is_not_null())
        .then(given)
        .when((event > 0) & (event < 1))
        .then(0.5)
        .when(ret.is_not_null())
        .then((ret.sign() + 1) / 2)
    )


def brier(column: Column = pl.col) -> pl.Expr:
    """(p - y)^2 of a binary forecast, in [0, 1]; y may be a fraction."""
    return (column("probability") - column("event")).pow(2)


def log_loss(column: Column = pl.col) -> pl.Expr:
    """-[y ln p + (1 - y) ln(1 - p)] of a binary forecast, p clipped to [1e-15, 1 - 1e-15]."""
    p = column("probability").clip(LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    y = column("event")
    return -(y * p.log() + (1 - y) * (1 - p).log())


def clipped(column: Column = pl.col) -> pl.Expr:
    """Whether the log loss of a binary forecast was clipped; null where there is none."""
    p = column("probability")
    outside = (p < LOG_LOSS_CLIP) | (p > 1 - LOG_LOSS_CLIP)
    return pl.when(column("event").is_not_null()).then(outside)


@dataclass(frozen=True)
class ClassPart:
    """Valid class forecasts of one engine over one list of classes."""

    rows: pl.DataFrame
    classes: Sequence[str]
    order: Sequence[str] | None
    """The engine's declared order, when it names exactly these classes."""

    def probability(self, name: str) -> pl.Expr:
        """Forecast probability of a class."""
        return pl.col("class_probabilities").list.get(self.classes.index(name))

    def thresholds(self) -> list[tuple[str, pl.Expr, pl.Expr]]:
        """(class, P(at most that class), whether at most that class came true), the certain last one left out."""
        order = self.order or ()
        return [
            (name, _total(self.probability(c) for c in order[: n + 1]), _realised_in(order[: n + 1]))
            for n, name in enumerate(order[:-1])
        ]


def class_parts(df: pl.DataFrame, policy: ObservationPolicy) -> list[ClassPart]:
    """Rows that carry a class forecast and a realised class, by engine and list of classes, in a fixed order."""
    rows = df.filter(pl.col("realised_class").is_not_null() & (pl.col("class_probabilities").list.len() > 0))
    parts = [_part(part, policy) for part in rows.partition_by("engine_name", "classes", maintain_order=False)]
    return sorted(parts, key=lambda part: (part.rows["engine_name"][0], list(part.classes)))


def class_scores(part: ClassPart) -> dict[str, pl.Expr]:
    """CLASS_SCORES of a part: summed Brier in [0, 2], log loss, whether it was clipped, ranked probability score.

    A realised class outside the list had probability 0. rps is null unless the classes are ordered (at least two).
    """
    hits = {name: (part.probability(name), _realised_in([name])) for name in part.classes}
    p_realised = _total(p * y for p, y in hits.values())
    unlisted = 1 - _total(y for _, y in hits.values())
    steps = part.thresholds()
    rps = _total((p - y).pow(2) for _, p, y in steps) / len(steps) if steps else pl.lit(None, dtype=pl.Float64)
    return {
        "class_brier": _total((p - y).pow(2) for p, y in hits.values()) + unlisted,
        "class_log_loss": -p_realised.clip(LOG_LOSS_CLIP, 1.0).log(),
        "class_clip": p_realised < LOG_LOSS_CLIP,
        "rps": rps if part.order is None else pl.when(_realised_in(part.order) == 1).then(rps),
    }


def _part(rows: pl.DataFrame, policy: ObservationPolicy) -> ClassPart:
    classes = rows["classes"][0].to_list()
    return ClassPart(rows, classes, _order(policy, rows["engine_name"][0], classes))


def _order(policy: ObservationPolicy, engine: str, classes: Sequence[str]) -> Sequence[str] | None:
    order = policy.ordered_classes.get(engine)
    return order if order and sorted(order) == sorted(classes) else None


def _realised_in(classes: Sequence[str]) -> pl.Expr:
    return pl.col("realised_class").is_in(list(classes)).cast(pl.Float64)


def _total(terms: Iterable[pl.Expr]) -> pl.Expr:
    """Left-to-right sum: the same bytes every time."""
    return reduce(add, terms)
