"""Probes: what a config's decisions look at, found out by changing what they could look at.

Each probe has a date. Three questions are asked of the decisions up to it, by running short tasks over data that
differ: are they the same when nothing differs, do they change with data that comes later (they must not: look-ahead),
and does the date's own decision change with the newest data (it must: else it is stale).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Final

import polars as pl

from kronos.core.backtests.spec import SEPARATOR, Altered, Task
from kronos.core.chances import chances, word_of

WINDOW_DAYS: Final = 31
"""Calendar days of decisions that are looked at, up to the probe's date."""

_LATER_DAYS: Final = 62
"""Calendar days that a run over uncut data goes on."""

_KEY: Final = (
    "config_id", "market_id", "portfolio_id", "strategy_id", "entity_type", "entity_id", "as_of_date",
)  # fmt: skip
_DECIDED: Final = ("weight", "probability", "score", "expected_return", "label", "classes", "class_probabilities")
_DAY: Final = timedelta(days=1)


class Method(StrEnum):
    """How data after the probe's date is made another."""

    ALTERED = "ALTERED"  # once it is there and different, once it is not there
    TRUNCATED = "TRUNCATED"  # it is not there


@dataclass(frozen=True)
class ProbeRuns:
    """Tasks of one probe: a question is answered by what a run says beside `real` (or beside `longer`).

    real is run a second time to see whether it repeats. longer goes on after the date, cut ends with it and so does its
    data: whoever knows that something rare will not happen shows it there alone, as no other future has it happen.
    """

    day: date
    real: Task
    another_future: Task
    another_present: Task
    longer: Task
    cut: Task


def probe_dates(start: date, end: date, count: int, seed: int) -> tuple[date, ...]:
    """So many dates spread over [start, end): one drawn from the middle half of each of as many equal parts.

    Fewer where the dates are fewer. The seed and the part's number decide, so another end moves them a little.
    """
    days = (end - start).days
    parts = [
        (number + 0.25 + 0.5 * float(chances(seed, word_of("probe"), number)[0])) / count for number in range(count)
    ]
    return tuple(dict.fromkeys(start + timedelta(days=int(days * part)) for part in parts)) if days > 0 else ()


def probe_runs(task: Task, freshness_sessions: int) -> ProbeRuns:
    """The tasks of a probe piece. freshness_sessions: how many of the newest sessions another present differs in."""
    day = task.end
    seed = word_of(task.piece) % (1 << 31)
    opened = day - timedelta(days=math.ceil(freshness_sessions * 7 / 5) - 1)
    real = _run(task, "real", start=day - timedelta(days=WINDOW_DAYS))
    last = max(day, task.data_until)
    return ProbeRuns(
        day=day,
        real=real,
        another_future=_run(real, "future", altered=Altered(start=day + _DAY, end=last + _DAY, seed=seed)),
        another_present=_run(real, "fresh", altered=Altered(start=opened, end=day, seed=seed)),
        longer=_run(real, "longer", end=min(last, day + timedelta(days=_LATER_DAYS))),
        cut=_run(real, "cut", data_until=day),
    )


def differing(real: pl.DataFrame, other: pl.DataFrame, until: date) -> dict[str, dict[str, Any]]:
    """Per config how many decisions up to a date the runs made, how many differ, and the date of the first that does.

    real, other: frames.DECISIONS of two runs. A decision that only one of them made differs. markets: how many there
    are and how many differ, by market.
    """
    one, two = (_said(df.filter(pl.col("as_of_date") <= until)) for df in (real, other))
    both = pl.concat([one.join(two, on=["key", "said"], how="anti"), two.join(one, on=["key", "said"], how="anti")])
    found: dict[str, dict[str, Any]] = {}
    for config_id in real["config_id"].unique().sort():
        there, changed = (df.filter(pl.col("config_id") == config_id) for df in (pl.concat([one, two]), both))
        first = changed["as_of_date"].min()
        found[config_id] = {
            "rows": there["key"].n_unique(),
            "differing": changed["key"].n_unique(),
            "first": first.isoformat() if isinstance(first, date) else None,
            "markets": _by_market(there, changed),
        }
    return found


def _by_market(there: pl.DataFrame, changed: pl.DataFrame) -> dict[str, list[int]]:
    rows, differing = (
        dict(df.group_by("market_id").agg(pl.col("key").n_unique()).iter_rows()) for df in (there, changed)
    )
    return {market: [rows.get(market, 0), differing.get(market, 0)] for market in sorted({*rows, *differing})}


NOTHING_COMPARED: Final[Mapping[str, Any]] = {"rows": 0, "differing": 0, "first": None, "markets": {}}


def added(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What two comparisons of one config found, together."""
    firsts = [found["first"] for found in (one, other) if found["first"] is not None]
    markets = sorted({*one["markets"], *other["markets"]})
    none = [0, 0]
    return {
        "rows": one["rows"] + other["rows"],
        "differing": one["differing"] + other["differing"],
        "first": min(firsts, default=None),
        "markets": {
            name: [a + b for a, b in zip(one["markets"].get(name, none), other["markets"].get(name, none), strict=True)]
            for name in markets
        },
    }


def last_decisions(decisions: pl.DataFrame, until: date) -> pl.DataFrame:
    """The decisions of each config and market on its last date up to a date."""
    known = decisions.filter(pl.col("as_of_date") <= until)
    return known.filter(pl.col("as_of_date") == pl.col("as_of_date").max().over("config_id", "market_id"))


def report(subjects: Sequence[str], day: date, answers: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What is kept of a probe: per config its date and, per question, counts, or why it could not be asked.

    answers: question -> what `differing` found, or `refused` with the reason.
    """
    return {
        config_id: {"day": day.isoformat(), **{name: _answer(answer, config_id) for name, answer in answers.items()}}
        for config_id in subjects
    }


def _answer(answer: Mapping[str, Any], config_id: str) -> dict[str, Any]:
    if "refused" in answer:
        return {"refused": answer["refused"]}
    counted = answer["configs"].get(config_id, NOTHING_COMPARED)
    return {**counted, **({"method": answer["method"]} if "method" in answer else {})}


def _said(decisions: pl.DataFrame) -> pl.DataFrame:
    def text(name: str) -> pl.Expr:
        column = pl.col(name)
        is_list = decisions.schema[name].is_nested()
        shown = column.cast(pl.List(pl.String)).list.join(",") if is_list else column.cast(pl.String)
        return shown.fill_null("-")

    return decisions.select(
        "config_id",
        "as_of_date",
        pl.col("market_id").fill_null("-"),
        pl.concat_str([text(name) for name in _KEY], separator="|").alias("key"),
        pl.concat_str([text(name) for name in _DECIDED], separator="|").alias("said"),
    )


def _run(task: Task, name: str, **changes: Any) -> Task:
    """A task of its own stream: rows of one run are never those of another, wherever they are kept."""
    experiment = task.experiment_id.partition(SEPARATOR)[0]
    return task.model_copy(update={"experiment_id": f"{experiment}{SEPARATOR}{task.piece}.{name}", **changes})
