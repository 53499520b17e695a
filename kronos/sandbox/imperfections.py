"""What makes the sandbox's history look like a real one: late, restated, missing and broken rows.

A row's fate is drawn from its own id, so it is the same in every run. Shares of all outcomes (or decisions):

* LATE 3 in 1,000: recorded 1 to 10 sessions after the evaluation
* RESTATED 1 in 1,000 of those with a return: a first, slightly wrong figure, the right one 2 to 20 sessions later
* MISSING 1 in 10,000: never recorded
* NOT_A_NUMBER 2 in 100,000: the return is NaN, so the outcome is invalid
* ORPHAN 1 in 100,000: an outcome more, of a decision nobody knows
* IMPROBABLE 1 in 10,000 decisions with a probability: it lies above 1
"""

from __future__ import annotations

import numpy as np
import polars as pl

from kronos.core.chances import chances
from kronos.sandbox.ids import identifiers, words_of
from kronos.sandbox.markets import Floats, Indexes, load_markets
from kronos.sandbox.paths import NOTIONAL

LATE = 3e-3
RESTATED = 1e-3
MISSING = 1e-4
NOT_A_NUMBER = 2e-5
ORPHAN = 1e-5
IMPROBABLE = 1e-4

MAX_DELAY = 20
"""Sessions by which the last revision of an outcome may follow its evaluation."""


def imperfect_decisions(decisions: pl.DataFrame) -> pl.DataFrame:
    """The decisions as upstream logged them: a few probabilities lie slightly above 1."""
    broken = pl.Series(chances(words_of(decisions["decision_id"]), 1) < IMPROBABLE)
    wrong = pl.when(broken).then(1.0 + pl.col("probability") / 100).otherwise("probability")
    return decisions.with_columns(wrong.alias("probability"))


def imperfect_outcomes(outcomes: pl.DataFrame) -> pl.DataFrame:
    """The outcomes as upstream recorded them, one row per revision; `recorded_at` null: after the data's end."""
    words, horizon = words_of(outcomes["decision_id"]), outcomes["horizon"].to_numpy()

    def chance(purpose: int) -> Floats:
        return chances(words, horizon, purpose)

    late = np.where(chance(2) < LATE, 1 + np.floor(chance(3) * 10), 0).astype(np.int64)
    with_return = outcomes["return"].is_not_null().to_numpy()
    restated = (chance(4) < RESTATED) & with_return
    df = _recorded(outcomes, late).with_columns(
        pl.Series("broken", (chance(5) < NOT_A_NUMBER) & with_return),
        pl.Series("missing", chance(6) < MISSING),
        pl.Series("orphan", chance(7) < ORPHAN),
    )
    again = _recorded(outcomes, 2 + np.floor(chance(8) * (MAX_DELAY - 1)).astype(np.int64)).filter(pl.Series(restated))
    first = df.with_columns(_preliminary(pl.Series(restated)))
    kept = first.with_columns(pl.when("broken").then(float("nan")).otherwise("return").alias("return"))
    orphans = _orphans(df.filter("orphan"))
    columns = outcomes.columns
    kept = kept.filter(~pl.col("missing"))
    return pl.concat([kept.select(columns), again.select(columns), orphans.select(columns)])


def _preliminary(restated: pl.Series) -> list[pl.Expr]:
    """The first figure of a restated outcome: a tenth of a per cent too low, the P&L with it."""
    off = pl.when(restated).then(0.001).otherwise(0.0)
    weight = pl.col("pnl") / pl.col("return") / NOTIONAL
    pnl = pl.when(restated & (pl.col("return") != 0)).then(pl.col("pnl") - NOTIONAL * weight * off).otherwise("pnl")
    return [(pl.col("return") - off).alias("return"), pnl.alias("pnl")]


def _orphans(outcomes: pl.DataFrame) -> pl.DataFrame:
    keys = outcomes.select(pl.concat_str(pl.lit("orphan|"), "decision_id")).to_series()
    return outcomes.with_columns(identifiers(keys, outcomes["eval_date"]).alias("decision_id"))


def _recorded(outcomes: pl.DataFrame, delay: Indexes) -> pl.DataFrame:
    """The recording moved by so many sessions of the sandbox, at the same time after the close."""
    calendar = load_markets()["US_EQ"]
    evaluated = np.searchsorted(calendar.sessions, outcomes["eval_date"].to_numpy())
    target = evaluated + delay
    inside = target < len(calendar.sessions)
    target = np.minimum(target, len(calendar.sessions) - 1)
    moved = calendar.closes_at[target] - calendar.closes_at[evaluated]
    recorded = outcomes["recorded_at"] + pl.Series(moved)
    return outcomes.with_columns(recorded.set(pl.Series(~inside), None).alias("recorded_at"))
