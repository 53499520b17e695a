"""What an experiment's backtest is: read what decides it, and write it down as a spec."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from kronos.core.backtests.runner import ChosenRunner
from kronos.core.backtests.spec import BacktestSpec, Subject, walk_forward
from kronos.core.changes.model import Experiment
from kronos.core.policy import ObservationPolicy
from kronos.core.scenarios.battery import default_battery
from kronos.errors import NotFound
from kronos.services.comparison import background
from kronos.store.database import Database, Role
from kronos.store.engine_configs import list_configs


def backtest_spec(
    database: Database,
    policy: ObservationPolicy,
    experiment: Experiment,
    chosen: ChosenRunner,
    now: datetime,
) -> BacktestSpec:
    """The proposed config, its base and the config active now, over the experiment's dates; the same until one changes.

    The incumbent is run anew beside the proposed config: by the same runner, folds, costs and seed.
    """
    terms = policy.backtests
    with database.connect(Role.READER) as session:
        bodies = {one.config_id: one.config_body for one in list_configs(session, experiment.engine_name)}
    incumbent = background(database, experiment.engine_name, now).incumbent
    wanted = [experiment.proposed_config_id, incumbent, experiment.base_config_id]
    return BacktestSpec(
        experiment_id=str(experiment.experiment_id),
        engine_name=experiment.engine_name,
        runner=chosen.name,
        markets=chosen.markets,
        start=experiment.start_date,
        end=experiment.end_date,
        subjects=tuple(_subject(one, bodies) for one in dict.fromkeys(wanted) if one is not None),
        incumbent=incumbent,
        folds=walk_forward(experiment.start_date, experiment.end_date, terms.fold_months, terms.embargo_days),
        battery=terms.battery or default_battery(experiment.start_date, experiment.end_date),
        seed=terms.seed,
    )


def _subject(config_id: str, bodies: Mapping[str, dict[str, object]]) -> Subject:
    if config_id not in bodies:
        raise NotFound("registered config", config_id, sorted(bodies))
    return Subject(config_id=config_id, config_body=bodies[config_id])
