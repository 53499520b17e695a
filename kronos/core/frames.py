"""Frame contracts: columns and dtypes of every frame that crosses a room.

A frame is checked once at the door (`conform`) and trusted inside. Dates are session dates in the market's own
calendar; instants are UTC. Missing is null, never NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from kronos.errors import BadValue

Schema = dict[str, pl.DataType | type[pl.DataType]]

INSTANT: Final = pl.Datetime("us", "UTC")

DECISIONS: Final[Schema] = {
    "decision_id": pl.String,
    "decided_at": INSTANT,
    "engine_name": pl.String,
    "config_id": pl.String,
    "as_of_date": pl.Date,
    "market_id": pl.String,
    "portfolio_id": pl.String,
    "strategy_id": pl.String,
    "entity_type": pl.String,
    "entity_id": pl.String,
    "mode": pl.String,
    "experiment_id": pl.String,  # "" when the decision belongs to no experiment
    "weight": pl.Float64,  # null: equal share of the book of that config, market and date
    "probability": pl.Float64,
    "classes": pl.List(pl.String),
    "class_probabilities": pl.List(pl.Float64),
    "label": pl.String,
    "score": pl.Float64,
    "expected_return": pl.Float64,
}
"""One row per valid decision; decision_id is unique."""

OUTCOME_VALUES: Final[Schema] = {
    "return": pl.Float64,
    "pnl": pl.Float64,
    "drawdown": pl.Float64,
    "event": pl.Float64,  # in [0, 1]; a fraction is a tie
    "realised_class": pl.String,
    "hit": pl.Float64,  # 1 hit, 0 miss, 0.5 tie
    "hard_violations": pl.Int64,
    "soft_violations": pl.Int64,
    "turnover": pl.Float64,
    "cost": pl.Float64,
    "benchmark_return": pl.Float64,
    "realised_vol": pl.Float64,
    "loss": pl.Float64,
}

OUTCOMES: Final[Schema] = {
    "decision_id": pl.String,
    "horizon": pl.Int32,
    "eval_date": pl.Date,  # null where the source has none: the market's calendar decides
    "recorded_at": INSTANT,  # null where the source does not say
    "valid": pl.Boolean,  # an invalid revision makes the outcome missing from its recording on
    **OUTCOME_VALUES,
}
"""One row per revision of a (decision, horizon), in recording order within the key."""

CONTEXT_KEY: Final[Schema] = {"as_of_date": pl.Date, "recorded_at": INSTANT}
REGIMES: Final[Schema] = {"region": pl.String, **CONTEXT_KEY, "regime": pl.String}
STABILITY: Final[Schema] = {
    "entity_type": pl.String,
    "entity_id": pl.String,
    **CONTEXT_KEY,
    "stability_score": pl.Float64,
}
FRAGILITY: Final[Schema] = {
    "entity_type": pl.String,
    "entity_id": pl.String,
    **CONTEXT_KEY,
    "fragility_score": pl.Float64,
}
SOFT_TARGETS: Final[Schema] = {
    "entity_type": pl.String,
    "entity_id": pl.String,
    **CONTEXT_KEY,
    "soft_target_class": pl.String,
}


@dataclass(frozen=True)
class Contexts:
    """What was said about the world around the decisions: every row that can matter to them, all revisions."""

    regimes: pl.DataFrame
    stability: pl.DataFrame
    fragility: pl.DataFrame
    soft_targets: pl.DataFrame


SIGHTINGS: Final[Schema] = {
    "month": pl.String,
    "kind": pl.String,  # the field of Contexts
    "entity_type": pl.String,
    "entity_id": pl.String,
    "as_of_date": pl.Date,
    "value": pl.String,
    "first_seen": INSTANT,  # null: it was there when Kronos first looked
}
"""One row per value that was seen of an entity and date, in the order they were seen."""

MODELS: Final[Schema] = {
    "model_id": pl.String,
    "engine_name": pl.String,
    "type": pl.String,
    "artifact_ref": pl.String,
    "training_data_spec": pl.String,  # JSON object
    "metrics": pl.String,  # JSON object
    "created_at": INSTANT,
    "created_by": pl.String,
}
"""One row per registered model."""

RISK_REPORTS: Final[Schema] = {
    "portfolio_id": pl.String,
    "as_of_date": pl.Date,
    "risk_metrics": pl.String,  # JSON object
    "exposures": pl.String,  # JSON object
    "scenario_pnl": pl.String,  # JSON object
    "model_id": pl.String,  # null where the report names none
    "metadata": pl.String,  # JSON object
    "recorded_at": INSTANT,  # null where the source does not say
}
"""One row per revision of a portfolio's report of a date."""

JOB_EXECUTIONS: Final[Schema] = {
    "execution_id": pl.String,
    "job_id": pl.String,
    "job_type": pl.String,
    "dag_id": pl.String,
    "market_id": pl.String,  # null: of no market
    "as_of_date": pl.Date,
    "status": pl.String,  # a JobStatus
    "started_at": INSTANT,
    "completed_at": INSTANT,  # of a job that is retried: when the attempt before ended
    "attempt_number": pl.Int64,
}
"""One row per execution of an upstream job."""

SESSIONS: Final[Schema] = {"market_id": pl.String, "session": pl.Date}
"""Sessions of each market in rising order, reaching at least the longest horizon past the last decision."""

QUARANTINE: Final[Schema] = {
    "source_table": pl.String,
    "source_key": pl.String,
    "rule": pl.String,
    "value": pl.String,
    "as_of_date": pl.Date,
}
"""One row per broken rule of a source row."""

FACT_KEYS: Final[Schema] = {
    "month": pl.String,  # YYYY-MM of as_of_date, the lake's partition
    **DECISIONS,
    "decision_known_date": pl.Date,  # from when this decision, as labelled here, was known; never before as_of_date
    "region": pl.String,
    "regime": pl.String,
    "stability_bucket": pl.String,
    "fragility_bucket": pl.String,
    "soft_target_class": pl.String,
}
"""Decision facts before their outcomes; weight is resolved, labels are UNKNOWN rather than null."""

FACT_HORIZON: Final[Schema] = {
    "due_date": pl.Date,  # the calendar's evaluation date; null: this horizon is not due for this config
    "eval_date": pl.Date,
    "known_date": pl.Date,  # never before eval_date
    "valid": pl.Boolean,
    **OUTCOME_VALUES,
}
"""Columns repeated per horizon h as `<name>_h<h>`, for example `return_h5`."""

LONG_FACTS: Final[Schema] = {**FACT_KEYS, "horizon": pl.Int32, **FACT_HORIZON}
"""One row per decision and due horizon."""

REVISIONS: Final[Schema] = {**LONG_FACTS, "superseded_date": pl.Date}
"""Superseded facts: what was believed from known_date until superseded_date."""

CELL_KEYS: Final[Schema] = {
    "as_of_date": pl.Date,
    "eval_date": pl.Date,
    "known_date": pl.Date,
    "engine_name": pl.String,
    "config_id": pl.String,
    "market_id": pl.String,
    "horizon": pl.Int32,
    "mode": pl.String,
    "experiment_id": pl.String,
}

CELL_MEASURES: Final[Schema] = {
    "decisions": pl.Int64,  # only at horizon 0
    "due": pl.Int64,
    "valid": pl.Int64,
    "weight_due": pl.Float64,
    "returns": pl.Int64,  # outcomes that carry a return
    "weight_returned": pl.Float64,
    "weighted_return": pl.Float64,
    "pnl": pl.Float64,
    "pnl_abs": pl.Float64,
    "pnl_n": pl.Int64,
    "hits": pl.Int64,
    "hit_ties": pl.Int64,
    "hit_eligible": pl.Int64,  # hits and misses, without ties
    "hard_violations": pl.Int64,
    "soft_violations": pl.Int64,
    "violations_n": pl.Int64,  # outcomes that report violations
    "cost": pl.Float64,
    "turnover": pl.Float64,
    "brier_sum": pl.Float64,
    "log_loss_sum": pl.Float64,
    "forecast_n": pl.Int64,
    "clip_n": pl.Int64,
    "class_brier_sum": pl.Float64,
    "class_log_loss_sum": pl.Float64,
    "class_n": pl.Int64,
    "class_clip_n": pl.Int64,
    "rps_sum": pl.Float64,
    "rps_n": pl.Int64,
    "loss_sum": pl.Float64,
    "loss_n": pl.Int64,
}
"""Additive measures; a restatement appends rows with negative measures."""

CELLS: Final[Schema] = {"month": pl.String, "cube": pl.String, **CELL_KEYS, "slice": pl.String, **CELL_MEASURES}
"""One row per cube, key and slice label; each cube adds up to the same book."""

CALIBRATION_CELLS: Final[Schema] = {
    "month": pl.String,
    **CELL_KEYS,
    "regime": pl.String,
    "target": pl.String,  # "event", "class:<name>" or "threshold:<name>" (at most that class, ordered engines)
    "bin": pl.Int16,
    "n": pl.Int64,
    "sum_p": pl.Float64,
    "sum_p2": pl.Float64,
    "sum_y": pl.Float64,
    "sum_y2": pl.Float64,
}

CONFUSION_CELLS: Final[Schema] = {
    "month": pl.String,
    **CELL_KEYS,
    "regime": pl.String,
    "predicted": pl.String,
    "realised": pl.String,
    "n": pl.Int64,
}

BACKTESTS: Final = "backtest_"
"""Before the name of a lake table: the same of an experiment's backtests, by piece."""

PIECE_KEY: Final[Schema] = {"piece": pl.String}
"""The lake's partition of an experiment's backtests: one piece is written, or replaced, at once."""

REPORT_ROWS: Final[Schema] = {
    "month": pl.String,  # of the period's first day, the lake's partition
    "period": pl.String,  # partition key of the day, week or month
    "period_start": pl.Date,
    "period_end": pl.Date,
    "window": pl.String,  # "period", or "trailing": the decisions of a longer time up to the period's end
    "engine_name": pl.String,
    "config_id": pl.String,
    "mode": pl.String,
    "horizon": pl.Int32,
    "dimension": pl.String,
    "slice": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n": pl.Int64,
    "undefined": pl.String,
    "interval_undefined": pl.String,
    "label": pl.String,  # READY, or PARTIAL with the regions that were missing
    "as_of": pl.Date,
}
"""One row per period, window, engine, config, slice and metric of a materialised report."""


COMPARISON_ROWS: Final[Schema] = {
    "month": pl.String,  # the lake's partition
    "period": pl.String,  # the month as of whose end the configs were compared
    "period_start": pl.Date,  # first and last decision date that could count
    "period_end": pl.Date,
    "engine_name": pl.String,
    "mode": pl.String,
    "horizon": pl.Int32,
    "incumbent": pl.String,  # null: no activation is known
    "config_id": pl.String,
    "class": pl.String,
    "reason": pl.String,  # why the config has no class
    "detail": pl.String,
    "niches": pl.String,
    "metric": pl.String,  # what differences are of; null when nothing was compared
    "slice": pl.String,  # every config has a row `overall`
    "n": pl.Int64,
    "coverage": pl.Float64,
    "value": pl.Float64,
    "incumbent_value": pl.Float64,
    "difference": pl.Float64,
    "standard_error": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "p_value": pl.Float64,
    "confidence_p": pl.Float64,
    "minimum_detectable": pl.Float64,
    "eligible": pl.Boolean,
    "undefined": pl.String,  # why the cell has no difference; null for the incumbent itself
    "trials": pl.Int64,  # of the engine, by the ledger as of the month's end
    "independent_trials": pl.Float64,
    "sharpe": pl.Float64,  # the config's own, whole book
    "psr": pl.Float64,
    "dsr": pl.Float64,
    "dsr_undefined": pl.String,
    "notes": pl.String,
    "label": pl.String,  # READY, or PARTIAL with the regions that were missing
    "as_of": pl.Date,
}
"""One row per month, engine, config and slice of a stored comparison: the class stands in every row of a config."""


MONITOR_ROWS: Final[Schema] = {
    "month": pl.String,  # of the day, the lake's partition
    "period": pl.String,  # the day as of which the config was judged
    "engine_name": pl.String,
    "scope": pl.String,  # a market, or `*`
    "config_id": pl.String,  # null: none was active
    "metric": pl.String,
    "score": pl.String,  # what calibration is measured by
    "horizon": pl.Int32,
    "state": pl.String,
    "cause": pl.String,  # why the state is INCONCLUSIVE
    "detail": pl.String,
    "alpha": pl.Float64,  # the metric's part of the error
    "monitored_from": pl.Date,
    "reference_start": pl.Date,
    "reference_end": pl.Date,
    "reference_n": pl.Int64,
    "reference_mean": pl.Float64,
    "reference_sharpe": pl.Float64,
    "monitored_start": pl.Date,
    "monitored_end": pl.Date,
    "monitored_n": pl.Int64,
    "monitored_mean": pl.Float64,
    "monitored_sharpe": pl.Float64,
    "e_value": pl.Float64,
    "largest_e": pl.Float64,
    "largest_on": pl.Date,
    "threshold": pl.Float64,
    "alarm_on": pl.Date,  # decision date at which the threshold was first reached
    "drop": pl.Float64,  # in annual standardised units; positive is worse
}
"""One row per day, engine, scope and metric of the degradation monitor."""


def empty(schema: Schema) -> pl.DataFrame:
    """A frame with the contract's columns and no rows."""
    return pl.DataFrame(schema=schema)


def conform(df: pl.DataFrame, schema: Schema, name: str) -> pl.DataFrame:
    """Return the contract's columns in order and dtype; raise `BadValue` for a missing column or a wrong dtype."""
    for column, dtype in schema.items():
        if column not in df.columns:
            raise BadValue(f"frame {name}", df.columns, f"a column {column!r}")
        if df.schema[column] != dtype and df.schema[column] != pl.Null:
            raise BadValue(f"frame {name}.{column}", df.schema[column], str(dtype))
    return df.select(pl.col(column).cast(dtype) for column, dtype in schema.items())


def month_of(date_column: str = "as_of_date") -> pl.Expr:
    """The lake partition of a date: YYYY-MM."""
    return pl.col(date_column).dt.strftime("%Y-%m")
