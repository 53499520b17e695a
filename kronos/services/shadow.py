"""Shadow evidence of an experiment: its config's SHADOW decisions beside the replay of its backtest."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Final
from uuid import UUID

import polars as pl

from kronos.core.changes.model import Experiment
from kronos.core.frames import empty
from kronos.core.policy import ObservationPolicy
from kronos.core.reports.fidelity import Question, shadow_fidelity
from kronos.core.reports.fidelity_model import ShadowEvidence
from kronos.core.scheduling.expectation import CLOSES
from kronos.core.vocabulary import Mode
from kronos.lake.backtests import TABLES, BacktestRecord, lake_of
from kronos.lake.pinned import marks_now
from kronos.lake.tables import Lake
from kronos.services.experiments import find_experiment
from kronos.services.market_hours import session_closes
from kronos.services.workplace import Workplace
from kronos.store.database import Role
from kronos.store.experiments import results_of

FACTS: Final = "decision_facts"


def shadow_evidence(workplace: Workplace, lake: Lake, experiment_id: str | UUID, now: datetime) -> ShadowEvidence:
    """How faithful and safe the experiment's config was in the shadow, by now in the data's own time."""
    experiment = find_experiment(workplace.database, experiment_id)
    # named before the rows are read: what is written meanwhile is not claimed to have been seen
    own = lake_of(lake, str(experiment.experiment_id))
    marks = marks_now(lake, [FACTS]) | marks_now(own, [TABLES[FACTS]])
    shadow = read_shadow(lake, experiment).collect()
    replay = read_replay(_record(workplace, lake, experiment), experiment).collect()
    return replace(evidence_of(experiment, shadow, replay, workplace.policy, now.date()), marks=marks)


def evidence_of(
    experiment: Experiment, shadow: pl.DataFrame, replay: pl.DataFrame, policy: ObservationPolicy, day: date
) -> ShadowEvidence:
    """The evidence of facts that were read."""
    asked = Question(
        engine_name=experiment.engine_name,
        config_id=experiment.proposed_config_id,
        as_of=day,
        horizon=policy.horizon_of(experiment.engine_name),
        service_level=policy.deadline_after_close,
    )
    found = shadow_fidelity(shadow, replay, _closes(shadow, policy), asked, policy.shadow)
    return replace(found, experiment_id=str(experiment.experiment_id))


def read_shadow(lake: Lake, experiment: Experiment) -> pl.LazyFrame:
    """SHADOW facts of the proposed config, whether or not they name the experiment."""
    return lake.scan(FACTS).filter(
        pl.col("engine_name") == experiment.engine_name,
        pl.col("config_id") == experiment.proposed_config_id,
        pl.col("mode") == Mode.SHADOW.value,
        pl.col("experiment_id").is_in(["", str(experiment.experiment_id)]),
    )


def read_replay(record: BacktestRecord, experiment: Experiment) -> pl.LazyFrame:
    """Facts of the proposed config in the experiment's replay, without its scenarios."""
    own, config = str(experiment.experiment_id), experiment.proposed_config_id
    return record.scan(FACTS).filter(config_id=config, experiment_id=own)


def _record(workplace: Workplace, lake: Lake, experiment: Experiment) -> BacktestRecord:
    """The rows behind the experiment's result; before there is one all that are kept."""
    with workplace.database.connect(Role.READER) as session:
        results = results_of(session, experiment.experiment_id)
    newest = max(results, key=lambda one: one.attempt, default=None)
    build = None if newest is None else newest.provenance.get("build")
    return BacktestRecord(lake, str(experiment.experiment_id), build=build)


def _closes(shadow: pl.DataFrame, policy: ObservationPolicy) -> pl.DataFrame:
    if shadow.is_empty():
        return empty(CLOSES)
    first, last = shadow.select(pl.col("as_of_date").min(), pl.col("as_of_date").max().alias("last")).row(0)
    return session_closes(policy, shadow["market_id"].unique(), first, last)
