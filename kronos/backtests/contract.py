"""Rows that somebody else's code made, held against the task they were made for, as named rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import polars as pl

from kronos.core.backtests.runner import Produced
from kronos.core.backtests.spec import Task
from kronos.core.calendar import due_dates
from kronos.core.frames import OUTCOMES
from kronos.core.vocabulary import Mode
from kronos.sources.decisions import TABLE as DECISION_TABLE
from kronos.sources.outcomes import HORIZON_RULE, REFUSED_RULE, without_bad_values
from kronos.sources.outcomes import TABLE as OUTCOME_TABLE
from kronos.sources.rules import Rule, breaches, broken_by_any, on, shown

_REFUSED: Final = "refused"
_TOO_LATE: Final = "AFTER_DATA_UNTIL"
_EPOCH: Final = date(1970, 1, 1)


def held_to_task(
    task: Task,
    decisions: pl.DataFrame,
    outcomes: pl.DataFrame,
    *,
    decision_rules: Sequence[Rule] = (),
    outcome_rules: Sequence[Rule] = (),
) -> Produced:
    """Split DECISIONS and OUTCOMES into what the task asked for and what breaks a rule: its own, or of those given.

    A refused decision takes its outcomes along. An outcome without a decision, at an impossible horizon or later than
    the task may look is left out; any other bad one stays as an invalid revision, so that it is missing. What is left
    is ordered by date and id, and within (decision, horizon) by recording. outcome_rules may speak of `as_of_date`, the
    decision's.
    """
    rules = [*_decision_rules(task), *decision_rules]
    refused = decisions.select("decision_id", "as_of_date", broken_by_any(rules).alias(_REFUSED))
    parents = refused.group_by("decision_id").agg(pl.col("as_of_date").min(), pl.col(_REFUSED).any())
    joined = outcomes.join(parents, on="decision_id", how="left", maintain_order="left")
    standing = joined.filter(~pl.col(_REFUSED).fill_null(False))
    gone, bad = _gone_rules(task), list(outcome_rules)
    kept = standing.filter(~broken_by_any(gone)).with_columns(valid=pl.col("valid") & ~broken_by_any(bad))
    rejected = [
        breaches(decisions, rules, DECISION_TABLE, pl.col("decision_id")),
        breaches(joined.filter(pl.col(_REFUSED)), [REFUSED_RULE], OUTCOME_TABLE, _outcome_key()),
        breaches(standing, [*gone, *bad], OUTCOME_TABLE, _outcome_key()),
    ]
    return Produced(
        decisions.filter(~broken_by_any(rules)).sort("as_of_date", "decision_id"),
        without_bad_values(kept)
        .select(*OUTCOMES)
        .sort("decision_id", "horizon", "recorded_at", nulls_last=False, maintain_order=True),
        pl.concat(rejected),
    )


def held_to_sessions(task: Task, produced: Produced, sessions: pl.DataFrame) -> Produced:
    """Leave out what the market's calendar evaluates later than the task may look: outcomes that tell no date.

    sessions: frames.SESSIONS of the decisions' markets, as far as their outcomes' horizons reach; raises `BadValue`
    where they end before.
    """
    decided = produced.decisions.select("decision_id", "market_id", "as_of_date")
    joined = produced.outcomes.join(decided, on="decision_id", how="left", maintain_order="left")
    due = due_dates(joined.filter(pl.col("eval_date").is_null()), sessions)
    dated = joined.join(due, on=["market_id", "as_of_date", "horizon"], how="left", maintain_order="left")
    late = pl.col("eval_date").is_null() & (pl.col("due_date") > task.data_until)
    told = pl.concat_str(shown("due_date"), shown("horizon"), separator=", ")
    rules = [Rule(_TOO_LATE, late, told)]
    rejected = breaches(dated, rules, OUTCOME_TABLE, _outcome_key())
    kept = dated.filter(~broken_by_any(rules)).select(*OUTCOMES)
    return Produced(produced.decisions, kept, pl.concat([produced.rejected, rejected]))


def _decision_rules(task: Task) -> list[Rule]:
    configs = [subject.config_id for subject in task.subjects]
    return [
        _is("engine_name", "OTHER_ENGINE", [task.engine_name]),
        _is("config_id", "OTHER_CONFIG", configs),
        _is("market_id", "OTHER_MARKET", task.markets),
        _is("mode", "OTHER_MODE", [Mode.BACKTEST.value]),
        _is("experiment_id", "OTHER_EXPERIMENT", [task.experiment_id]),
        on("as_of_date", "OUTSIDE_TASK", ~pl.col("as_of_date").is_between(task.start, task.end)),
    ]


def _is(column: str, name: str, allowed: Sequence[str]) -> Rule:
    return on(column, name, ~pl.col(column).is_in(list(allowed)).fill_null(False))


def _gone_rules(task: Task) -> list[Rule]:
    last = (task.data_until - _EPOCH).days
    # where no evaluation date is told it is at least a calendar day per session later; `held_to_sessions` knows better
    evaluated = pl.coalesce(_days("eval_date"), _days("as_of_date") + pl.col("horizon").cast(pl.Int64))
    told = pl.concat_str(shown("eval_date"), shown("horizon"), separator=", ")
    return [
        Rule("ORPHAN_OUTCOME", pl.col(_REFUSED).is_null(), shown("decision_id")),
        HORIZON_RULE,
        Rule(_TOO_LATE, evaluated > last, told),
    ]


def _days(column: str) -> pl.Expr:
    """A date as days since 1970, which cannot leave the calendar when a number is added."""
    return pl.col(column).to_physical().cast(pl.Int64)


def _outcome_key() -> pl.Expr:
    recorded = pl.col("recorded_at").dt.to_string("iso:strict").fill_null("")
    horizon = pl.col("horizon").cast(pl.String).fill_null("")
    return pl.concat_str(pl.col("decision_id").fill_null(""), horizon, recorded, separator="/")
