"""The incumbents' rows of all five reference engines, as a runner gives them."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from typing import Final

import polars as pl

from kronos.core.backtests.spec import Subject, Task
from kronos.core.controls.catalogue import CATALOGUE
from kronos.core.controls.model import BestOfNoise, ControlTransform, parsed_control
from kronos.core.controls.rows import Rows
from kronos.sandbox.backtest import produce
from kronos.sandbox.configs import incumbent

EARNING: Final = ("PORTFOLIO", "ASSESSMENT", "UNIVERSE")
FORECASTING: Final = ("REGIME", "STABILITY")
ENGINES: Final = (*EARNING, *FORECASTING)
MARKETS: Final = ("US_EQ", "US_ETF", "US_IDX", "US_FUT")
START, END = date(2014, 9, 1), date(2015, 8, 31)


def task(engine: str, start: date = START, end: date = END, **changes: object) -> Task:
    """The incumbent's task."""
    config = incumbent(engine)
    values: dict[str, object] = {
        "piece": "fold-001",
        "experiment_id": "6f1c2c52-6a9e-4c1c-9a53-0d6f3c0f6a11",
        "engine_name": engine,
        "markets": MARKETS,
        "subjects": (Subject(config_id=config.config_id, config_body=config.body),),
        "start": start,
        "end": end,
        "train_until": start - timedelta(days=32),
        "data_until": date(2017, 12, 29),
        "seed": 5,
    }
    return Task.model_validate(values | changes)


@cache
def rows(engine: str, start: date = START, end: date = END) -> Rows:
    """The incumbent's rows."""
    made = produce(task(engine, start, end))
    return Rows(made.decisions, made.outcomes)


def control(name: str) -> ControlTransform:
    """A control of the catalogue with its defaults."""
    return BestOfNoise(variant=7, seed=3) if name == "best_of_noise" else parsed_control({"kind": name, "seed": 3})


def pairs() -> list[tuple[str, str]]:
    """Every engine with every control that it has a transform of."""
    return [
        (engine, kind.transform)
        for engine in ENGINES
        for kind in CATALOGUE
        if kind.transform is not None and kind.not_for(earns=engine in EARNING, alters=True) is None
    ]


def books(found: Rows) -> pl.DataFrame:
    """Book return by market and date at horizon 1."""
    told = found.told().filter(pl.col("horizon") == 1, pl.col("valid"))
    days = told.group_by("market_id", "as_of_date").agg(book=(pl.col("weight") * pl.col("return")).sum())
    return days.sort("market_id", "as_of_date")


def scores(found: Rows) -> pl.DataFrame:
    """Score by market and date at horizon 1, lower is better: Brier of the event, else of the classes."""
    told = found.told().filter(pl.col("horizon") == 1)
    event = (pl.col("probability") - pl.col("event")) ** 2
    hit = pl.col("classes") == pl.col("realised_class")
    of_classes = told.explode("classes", "class_probabilities").with_columns(
        part=(pl.col("class_probabilities") - hit.cast(pl.Float64)) ** 2
    )
    keys = ["market_id", "as_of_date"]
    if told["event"].null_count() == told.height:
        return of_classes.group_by(keys).agg(score=pl.col("part").sum()).sort(keys)
    return told.group_by(keys).agg(score=event.mean()).sort(keys)
