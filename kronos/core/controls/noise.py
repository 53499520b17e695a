"""The best of many strategies by coin, by the engine's own measure: what a search over nothing finds."""

from __future__ import annotations

import numpy as np
import polars as pl

from kronos.core.chances import Floats
from kronos.core.controls.forecasts import tilted
from kronos.core.controls.model import BestOfNoise
from kronos.core.controls.rows import Rows, gross
from kronos.core.controls.signals import noise_side
from kronos.errors import BadValue

_BOOK_DATE = ("market_id", "as_of_date")


def best_variant(
    decisions: pl.DataFrame, outcomes: pl.DataFrame, count: int = 200, seed: int = 0, strength: float = 0.5
) -> int:
    """The number of the variant of `BestOfNoise` that does best on some rows of the incumbent, at the shortest horizon.

    By the ratio of mean and deviation of the book's returns, markets weighing the same; for forecasts by the mean
    score (Brier, of one event or of classes). The whole period the variants will be judged on belongs in: the control
    is a search that saw everything. Deterministic, whatever the order of the rows; `BadValue` without any outcome.
    """
    rows = Rows(decisions, outcomes)
    told = rows.told().filter(pl.col("valid"))
    if told.is_empty():
        raise BadValue("outcomes to choose noise by", 0, "at least one")
    days = _books(told) if rows.earns else _scores(rows, strength)
    days = days.sort(*_BOOK_DATE)
    dates = days["as_of_date"].rank("dense").to_numpy() - 1
    share = 1.0 / np.bincount(dates)[dates]
    made = [
        _measure(np.where(noise_side(days, seed, variant) > 0.0, days["up"], days["down"]), share, dates)
        for variant in range(count)
    ]
    return int(np.argmax(made))


def chosen_noise(decisions: pl.DataFrame, outcomes: pl.DataFrame, *, trials: int = 200, seed: int = 0) -> BestOfNoise:
    """The control itself, chosen among `trials`."""
    return BestOfNoise(seed=seed, variant=best_variant(decisions, outcomes, trials, seed), trials=trials)


def _books(told: pl.DataFrame) -> pl.DataFrame:
    """What a market's book earns on a date on either side, costs paid."""
    first = told.filter(pl.col("horizon") == pl.col("horizon").min(), pl.col("return").is_not_null())
    won = (pl.col("weight") * gross()).sort_by("decision_id").sum()
    paid = pl.col("cost").fill_null(0.0).sort_by("decision_id").sum()
    return first.group_by(*_BOOK_DATE).agg(up=won - paid, down=-won - paid)


def _scores(rows: Rows, strength: float) -> pl.DataFrame:
    """How good a market's forecasts of a date are, the higher the better, moved up or down."""
    ones = np.full(rows.decisions.height, strength)
    up, down = (rows.with_decisions(tilted(rows.decisions, by)).told() for by in (ones, -ones))
    both = up.select("decision_id", *_BOOK_DATE, "horizon", "valid").with_columns(
        _score(up).alias("up"), _score(down).alias("down")
    )
    first = both.filter(pl.col("horizon") == pl.col("horizon").min(), pl.col("valid"), pl.col("up").is_not_null())
    return first.group_by(*_BOOK_DATE).agg(pl.col("up", "down").sort_by("decision_id").mean())


def _score(told: pl.DataFrame) -> pl.Series:
    brier = ((told["probability"] - told["event"]) ** 2).to_list()
    columns = (told[name].to_list() for name in ("classes", "class_probabilities", "realised_class"))
    values = []
    for of_event, classes, probabilities, realised in zip(brier, *columns, strict=True):
        if of_event is None and classes and realised is not None:
            values.append(-sum((p - (name == realised)) ** 2 for name, p in zip(classes, probabilities, strict=True)))
        else:
            values.append(None if of_event is None else -of_event)
    return pl.Series(values, dtype=pl.Float64)


def _measure(values: Floats, share: Floats, dates: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> float:
    series = np.bincount(dates, weights=values * share)
    spread = series.std()
    return float(series.mean() / spread) if spread > 0.0 else float(series.mean())
