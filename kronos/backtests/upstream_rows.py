"""The rows of a task among upstream's, and whether they are all there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

import polars as pl

from kronos.backtests.contract import held_to_task
from kronos.core.backtests.runner import Produced
from kronos.core.backtests.spec import Task, is_probe
from kronos.core.scenarios.battery import HistoricalWindow
from kronos.core.vocabulary import Mode
from kronos.sources.decisions import TABLE as DECISION_TABLE
from kronos.sources.outcomes import TABLE as OUTCOME_TABLE
from kronos.sources.reader import SourceBatch

_DECIDED_BY: Final = r"^(.*?)/-?\d*/[^/]*(?:/#-?\d+)?$"
"""The decision in the key of an outcome's quarantine row; an id may hold a slash itself."""
_OF_THE_WRITING: Final = ("decision_id", "decided_at")
"""What differs when the same decision is written twice."""
_HOLIDAYS: Final = timedelta(days=14)
_PER_SESSION: Final = timedelta(days=2)
"""With the holidays more than enough calendar days for any number of sessions."""


@dataclass(frozen=True)
class Expected:
    """What upstream owes a task. horizon: sessions after which a decision has an outcome.

    has_session: whether a market has a session from the first date to the last; without one nothing is decided.
    """

    horizon: int
    has_session: Callable[[str, date, date], bool]


EVERY_DAY: Final = Expected(1, lambda market, first, last: True)
"""Of a market that trades every day, by an engine that looks a day ahead."""


def rows_of(task: Task, streams: Sequence[str], batch: SourceBatch) -> Produced:
    """What the source holds under the streams of the task's jobs; what it refused of that is among `rejected`.

    streams: what upstream was asked to put into experiment_id; the rows come under the task's own again.
    """
    under = pl.col("experiment_id").is_in(streams)
    # shadow decisions may carry the same id, and are another kind of evidence
    mine = batch.decisions.filter(under, mode=Mode.BACKTEST.value)
    mine = mine.with_columns(experiment_id=pl.lit(task.experiment_id))
    refused = batch.refused.filter(under)
    ids = pl.concat([mine["decision_id"], refused["decision_id"]]).implode()
    outcomes = batch.outcomes.filter(pl.col("decision_id").is_in(mine["decision_id"].implode()))
    produced = held_to_task(task, mine, outcomes)
    of = (
        pl.when(source_table=DECISION_TABLE)
        .then("source_key")
        .when(source_table=OUTCOME_TABLE)
        .then(pl.col("source_key").str.extract(_DECIDED_BY))
    )
    quarantined = batch.quarantine.filter(of.is_in(ids).fill_null(False))
    return replace(produced, rejected=pl.concat([quarantined, produced.rejected]))


def what_lacks(task: Task, produced: Produced, longest_gap_days: int, expected: Expected) -> str | None:
    """Why the rows cannot be the whole of the task; None: nothing speaks against it."""
    markets = [one for one in task.markets if expected.has_session(one, _first_day(task), task.end)]
    # a probe compares decisions, nothing else is read
    horizon = None if is_probe(task.piece) else expected.horizon
    for subject in task.subjects:
        for market in markets:
            decisions = produced.decisions.filter(config_id=subject.config_id, market_id=market)
            lacking = _lacks(task, decisions, produced.outcomes, longest_gap_days, horizon)
            if lacking is not None:
                return f"{lacking} of config {subject.config_id!r} in {market}{_refusals(produced.rejected)}"
    return None


def _lacks(
    task: Task, decisions: pl.DataFrame, outcomes: pl.DataFrame, longest_gap_days: int, horizon: int | None
) -> str | None:
    days = decisions["as_of_date"].unique().sort().to_list()
    if not days:
        return "its tables hold no decision"
    for before, after in pairwise([_first_day(task), *days, task.end]):
        if (after - before).days > longest_gap_days:
            return f"its tables hold no decision between {before} and {after}"
    if horizon is None or days[0] + _HOLIDAYS + horizon * _PER_SESSION > task.data_until:
        return None
    came = outcomes.join(decisions, on="decision_id", how="semi")
    return "its tables hold no outcome of any decision" if came.is_empty() else None


def _first_day(task: Task) -> date:
    """From when on decisions are expected: of a scenario the last years alone are played."""
    if task.scenario is None or isinstance(task.scenario, HistoricalWindow):
        return task.start
    return task.scenario.played_from(task.start, task.end)


def written_twice(decisions: pl.DataFrame) -> str | None:
    """Id of a decision that equals another in everything that was decided: it would count twice. None: all differ."""
    decided = [
        pl.col(column).cast(pl.List(pl.String)).list.join("|") if dtype.is_nested() else pl.col(column)
        for column, dtype in decisions.schema.items()
        if column not in _OF_THE_WRITING
    ]
    doubled = decisions.filter(pl.struct(decided).is_duplicated())["decision_id"]
    return doubled[0] if len(doubled) else None


def _refusals(rejected: pl.DataFrame) -> str:
    if rejected.is_empty():
        return ""
    rule, value = rejected.select("rule", "value").row(0)
    return f"; rejected were {rejected.height} rows, the first by {rule}: {value}"
