"""Put the decisions of a shadow beside those of its replay: which are the same, which only one side made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from kronos.core.frames import FACT_KEYS, conform
from kronos.core.reports.fidelity_model import Gap, Stream
from kronos.core.vocabulary import Mode
from kronos.errors import BadValue

SESSION: Final = ["market_id", "as_of_date"]
KEY: Final = [*SESSION, "entity_type", "entity_id"]
"""What makes two decisions of one config the same; no entity is an entity of its own."""
_REPLAY: Final = "_replay"
_SAID: Final = ("weight", "label", "score", "expected_return", "probability", "classes", "class_probabilities")


@dataclass(frozen=True, eq=False)
class Matched:
    """Both sides inside their common window.

    pairs: one row per decision of either side on sessions of both, with `in_shadow`, `in_replay`, and what each said
    as `<name>` and `<name>_replay`. sessions: one row per market session of either side, with the same two flags.
    """

    window: tuple[date, date] | None
    pairs: pl.DataFrame
    sessions: pl.DataFrame
    gap: Gap | None

    @property
    def both(self) -> pl.DataFrame:
        """Decisions that both made."""
        return self.pairs.filter("in_shadow", "in_replay")

    def count(self, *, in_shadow: bool, in_replay: bool) -> int:
        """Market sessions of exactly that kind."""
        return self.sessions.filter(in_shadow=in_shadow, in_replay=in_replay).height


def side(facts: pl.DataFrame, mode: Mode, as_of: date) -> pl.DataFrame:
    """The decisions of one side by a date; `BadValue` when they are of several configs or another mode."""
    conform(facts, FACT_KEYS, f"{mode.value} facts")
    other = facts.filter(pl.col("mode") != mode.value)
    if other.height:
        raise BadValue(f"mode of the {mode.value} facts", other["mode"][0], mode.value)
    configs = facts.select("engine_name", "config_id").unique().sort("engine_name", "config_id")
    if configs.height > 1:
        raise BadValue(f"configs of the {mode.value} facts", configs["config_id"].to_list(), "one config")
    return facts.filter(pl.col("as_of_date") <= as_of).sort(*KEY, "decided_at", "decision_id")


def stream(rows: pl.DataFrame) -> Stream:
    """What a side amounts to."""
    first, last = rows.select(pl.col("as_of_date").min(), pl.col("as_of_date").max().alias("last")).row(0)
    sessions, distinct = (rows.select(names).unique().height for names in (SESSION, KEY))
    return Stream(rows.height, sessions, rows.height - distinct, first, last)


def matched(shadow: pl.DataFrame, replay: pl.DataFrame) -> Matched:
    """Both sides put together; of several decisions of one key the last counts, with the weight of all."""
    gap = Gap.NO_SHADOW if shadow.is_empty() else Gap.NO_REPLAY if replay.is_empty() else None
    window = None if gap else _window(shadow, replay)
    first, last = window or (date.max, date.min)
    one, other = (_distinct(rows.filter(pl.col("as_of_date").is_between(first, last))) for rows in (shadow, replay))
    pairs = _joined(one, other, KEY)
    sessions = _joined(one.select(SESSION).unique(), other.select(SESSION).unique(), SESSION)
    common = sessions.filter("in_shadow", "in_replay").select(SESSION)
    if gap is None and common.is_empty():
        gap = Gap.NO_OVERLAP
    return Matched(window, pairs.join(common, on=SESSION, how="semi").sort(KEY), sessions.sort(SESSION), gap)


def _window(shadow: pl.DataFrame, replay: pl.DataFrame) -> tuple[date, date] | None:
    one, other = stream(shadow), stream(replay)
    assert one.first is not None and other.first is not None and other.last is not None
    first = max(one.first, other.first)
    return (first, other.last) if first <= other.last else None


def _distinct(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per key."""
    last = [pl.col(name).last() for name in _SAID if name != "weight"]
    return rows.group_by(KEY, maintain_order=True).agg(pl.col("weight").sum(), *last).select(*KEY, *_SAID)


def _joined(shadow: pl.DataFrame, replay: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    one, other = shadow.with_columns(in_shadow=True), replay.with_columns(in_replay=True)
    full = one.join(other, on=on, how="full", coalesce=True, nulls_equal=True, suffix=_REPLAY)
    return full.with_columns(pl.col("in_shadow", "in_replay").fill_null(value=False))
