"""What an experiment's backtest is: read what decides it, and write it down as a spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from kronos.core.backtests.neighbours import neighbours
from kronos.core.backtests.policy import BacktestPolicy
from kronos.core.backtests.probes import probe_dates
from kronos.core.backtests.runner import ChosenRunner
from kronos.core.backtests.spec import BacktestSpec, Subject, SubjectRole, walk_forward
from kronos.core.canonical import canonical_hash
from kronos.core.changes.model import Experiment
from kronos.core.controls.model import split_body
from kronos.core.scenarios.battery import default_battery
from kronos.core.vocabulary import TrialFamily
from kronos.errors import BadValue, NotFound
from kronos.services.comparison import background
from kronos.services.pipeline import Pipeline
from kronos.services.workplace import ConfigCheck
from kronos.store.database import Role
from kronos.store.engine_configs import EngineConfig, list_configs

NEIGHBOUR: Final = "~"
"""Between a config's id and what one of its neighbours has other than it."""


def backtest_spec(
    pipeline: Pipeline, experiment: Experiment, chosen: ChosenRunner, now: datetime, check_config: ConfigCheck
) -> BacktestSpec:
    """The proposed config, its base and the config active now, over the experiment's dates; the same until one changes.

    The incumbent is run anew beside the proposed config: by the same runner, folds, costs and seed. So are, in the
    replay, the proposed config's neighbours.
    """
    database, terms = pipeline.database, pipeline.policy.backtests
    with database.connect(Role.READER) as session:
        configs = {one.config_id: one for one in list_configs(session, experiment.engine_name)}
    incumbent = background(database, experiment.engine_name, now).incumbent
    named = _roles(experiment, incumbent)
    base = _registered(experiment.base_config_id, configs)
    compared = tuple(_subject(_registered(one, configs), roles, base) for one, roles in named.items())
    near, left_out = _neighbours(compared[0], terms, lambda body: check_config(experiment.engine_name, body))
    start, end = experiment.start_date, experiment.end_date
    return BacktestSpec(
        experiment_id=str(experiment.experiment_id),
        engine_name=experiment.engine_name,
        runner=chosen.name,
        markets=chosen.markets,
        start=start,
        end=end,
        subjects=(*compared, *near),
        incumbent=incumbent,
        folds=walk_forward(start, end, terms.fold_months, terms.embargo_days),
        battery=terms.battery or default_battery(start, end),
        seed=terms.seed,
        probes=probe_dates(start, end, terms.probes, terms.seed),
        freshness_sessions=terms.freshness_sessions,
        left_out=left_out,
        observed_as=_observed_as(pipeline, experiment.engine_name, chosen.markets),
        runner_is=chosen.identity,
    )


def _observed_as(pipeline: Pipeline, engine: str, markets: Sequence[str]) -> str:
    """Digest of what gives the rows of a piece their labels, horizons and cells: pieces with another one never pool."""
    return canonical_hash({"recorded_by": pipeline.recorded_by.value, **pipeline.policy.of_rows(engine, markets)})


def _roles(experiment: Experiment, incumbent: str | None) -> dict[str, tuple[SubjectRole, ...]]:
    """What each config is, the proposed one first and the incumbent before another base."""
    named: dict[str, tuple[SubjectRole, ...]] = {experiment.proposed_config_id: (SubjectRole.PROPOSED,)}
    if incumbent is not None:
        named[incumbent] = ()
    base = experiment.base_config_id
    named[base] = (*named.get(base, ()), SubjectRole.BASE)
    if incumbent is not None:
        named[incumbent] = (*named[incumbent], SubjectRole.INCUMBENT)
    return named


def _registered(config_id: str, configs: Mapping[str, EngineConfig]) -> EngineConfig:
    if config_id not in configs:
        raise NotFound("registered config", config_id, sorted(configs))
    return configs[config_id]


def _subject(config: EngineConfig, roles: tuple[SubjectRole, ...], base: EngineConfig) -> Subject:
    """What a control's body says beyond its base's is for the worker alone."""
    is_control = config.family == TrialFamily.CONTROL
    body, control = split_body(config.config_body, base.config_body) if is_control else (config.config_body, None)
    return Subject(config_id=config.config_id, config_body=body, roles=roles, control=control)


def _neighbours(
    proposed: Subject, terms: BacktestPolicy, check: Callable[[Mapping[str, Any]], object]
) -> tuple[list[Subject], dict[str, str]]:
    """The first neighbours of the proposed config that the engine's schema takes, and why it refused others."""
    kept: list[Subject] = []
    refused: dict[str, str] = {}
    for one in neighbours(proposed.config_body, terms.seed):
        if len(kept) == terms.neighbours:
            break
        config_id = f"{proposed.config_id}{NEIGHBOUR}{one.name}"
        try:
            check(one.body)
        except BadValue as error:
            refused[config_id] = str(error)
            continue
        roles = (SubjectRole.NEIGHBOUR,)
        kept.append(Subject(config_id=config_id, config_body=one.body, roles=roles, control=proposed.control))
    return kept, refused
