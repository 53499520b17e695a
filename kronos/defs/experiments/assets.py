"""Backtests of experiments: one partition per experiment, started by the scheduler alone."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from kronos.core.changes.model import Experiment, PeriodResult
from kronos.defs.experiments.partitions import EXPERIMENTS, members_of
from kronos.defs.facts.assets import KINDS, OWNERS
from kronos.defs.presentation import table
from kronos.defs.resources import Kronos
from kronos.defs.sources.assets import source_deps
from kronos.errors import KronosError
from kronos.services.attempts import RESULTS_VERSION
from kronos.services.pipeline import CELLS_VERSION

GROUP = "experiments"
Results = Iterator[dg.MaterializeResult[None]]
BACKTEST, RESULT = dg.AssetKey("experiment_backtest"), dg.AssetKey("experiment_result")
_CONTEXTS = ("engine_configs", "regimes", "stability_vectors", "fragility_measures", "soft_target_classes")
_SHOWN = ("avg_return", "volatility", "sharpe", "max_dd", "hit_rate_day", "brier", "brier_multi", "mean_loss")

_SPECS = (
    dg.AssetSpec(
        BACKTEST,
        description="One row per decision of an experiment's configs over its dates and in every scenario, with its "
        "outcomes and the cells they add up to. One partition per experiment, one checkpoint per fold and scenario.",
        code_version=CELLS_VERSION,
        group_name=GROUP,
        owners=OWNERS,
        kinds=KINDS,
        deps=source_deps(*_CONTEXTS),
        partitions_def=EXPERIMENTS,
        skippable=True,
        metadata={
            "table": "backtests/<experiment>/backtest_facts",
            "beside": "backtest_cells and its calibration and confusion cells",
        },
    ),
    dg.AssetSpec(
        RESULT,
        description="One row per experiment and period in experiment_results: the numbers of the proposed config with "
        "intervals and reasons, the base and the incumbent beside it, and what came of it in every scenario.",
        code_version=RESULTS_VERSION,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"postgres"},
        deps=[BACKTEST],
        partitions_def=EXPERIMENTS,
        skippable=True,
        metadata={"table": "experiment_results"},
    ),
)


@dg.multi_asset(specs=_SPECS, name="experiment", can_subset=False)
def experiment(context: dg.AssetExecutionContext, kronos: dg.ResourceParam[Kronos]) -> Results:
    """Work on the run's attempts, one after the other; one that is taken away or told to leave gives nothing."""
    from kronos.services.backtest import run_backtest
    from kronos.services.bench import bench_over
    from kronos.services.experiments import experiment_results
    from kronos.services.presence import at_work

    give_way(context.run, kronos)
    members = members_of(context.run.tags)
    if not members:
        raise dg.Failure(
            "only the scheduler starts backtests: put the experiment in the queue with `kronos experiment enqueue`, or "
            "`requeue` when it awaits review",
            allow_retries=False,
        )
    failures = []
    with at_work(kronos.settings.home), kronos.open() as opened:
        bench = bench_over(kronos.settings, opened.pipeline, opened.now, context.log.info)
        for experiment_id, attempt in members:
            try:
                done = run_backtest(bench, experiment_id, attempt, context.run.run_id)
            except KronosError as error:
                failures.append(f"{experiment_id}: {error}")
                continue
            if done is not None:
                periods = experiment_results(opened.pipeline.database, experiment_id).periods
                yield from _results(context, done, periods)
    if failures:
        raise dg.Failure("; ".join(failures), allow_retries=False)


def give_way(run: dg.DagsterRun, kronos: Kronos) -> None:
    """Lower the priority of the run's own process; a run that no code location asked for is in somebody else's."""
    from kronos.services.policy import load_policy
    from kronos.services.priority import lower_priority

    if run.remote_job_origin is not None:
        lower_priority(load_policy(kronos.settings.policy).backtests.nice)


def _results(context: dg.AssetExecutionContext, done: Experiment, periods: tuple[PeriodResult, ...]) -> Results:
    """What Dagster records: of the experiment the run is named after as results, of others in its batch as events."""
    whole = max(periods, key=lambda one: one.period_end - one.period_start)
    told = {
        BACKTEST: {
            "rows": whole.provenance["rows"],
            "lake": whole.provenance["lake"],
            "spec": whole.provenance["spec"],
            "code_version": whole.provenance["code_version"],
            "scenarios": table(_scenarios(whole)),
        },
        RESULT: {"whole": table(_configs(whole)), "periods": len(periods), "evidence": whole.evidence.value},
    }
    partition = str(done.experiment_id)
    for key, metadata in told.items():
        if partition == context.partition_key:
            yield dg.MaterializeResult(asset_key=key, metadata=metadata)
        else:
            context.log_event(dg.AssetMaterialization(asset_key=key, partition=partition, metadata=metadata))


def _configs(whole: PeriodResult) -> pl.DataFrame:
    """One row per config: its role and its main numbers over the whole period."""
    columns = {"proposed": whole.metrics} | {
        f"{beside['role']} {config_id}": beside.get("metrics", {})
        for config_id, beside in whole.detail.get("beside", {}).items()
    }
    rows = [[name, *(metrics.get(metric) for metric in _SHOWN)] for name, metrics in columns.items()]
    return pl.DataFrame(rows, schema={"config": pl.String, **dict.fromkeys(_SHOWN, pl.Float64)}, orient="row")


def _scenarios(whole: PeriodResult) -> pl.DataFrame:
    """One row per scenario: what it is, what the proposed config did in it, or why it was not played."""
    rows = []
    for name, one in whole.detail.get("scenarios", {}).items():
        figures: dict[str, Any] = next(iter(one.get("configs", {}).values()), {})
        metrics = figures.get("metrics", {})
        refused = one.get("refused") or figures.get("refused")
        rows.append([name, one["what"], metrics.get("avg_return"), metrics.get("max_dd"), refused])
    schema = {"scenario": pl.String, "what": pl.String, "avg_return": pl.Float64, "max_dd": pl.Float64}
    return pl.DataFrame(rows, schema=schema | {"not played": pl.String}, orient="row")
