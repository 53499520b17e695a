"""Verdicts on experiments: judged in the run of their backtest, or later when that run ended before it judged."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

import dagster as dg

from kronos.core.gates.model import GateVerdict
from kronos.defs.experiments.assets import GROUP, RESULT, give_way
from kronos.defs.experiments.partitions import EXPERIMENTS, EXPERIMENTS_NAME, members_of
from kronos.defs.facts.assets import OWNERS
from kronos.defs.resources import Kronos
from kronos.errors import ChangeRefused
from kronos.store.open import open_database

if TYPE_CHECKING:
    from kronos.core.gates.record import VerdictRecord

VERDICT = dg.AssetKey("experiment_verdict")
VERSION = "1"


@dg.asset(
    key=VERDICT,
    description="One row per judgement of an experiment in experiment_verdicts: what every gate says, with findings "
    "that have a value, an interval, a threshold and a reason, and what is recommended. The page is in the metadata.",
    code_version=VERSION,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"postgres"},
    deps=[RESULT],
    partitions_def=EXPERIMENTS,
    output_required=False,
    metadata={"table": "experiment_verdicts"},
)
def experiment_verdict(
    context: dg.AssetExecutionContext, kronos: dg.ResourceParam[Kronos]
) -> Iterator[dg.MaterializeResult[None]]:
    """Judges the experiments of the run that await review, or the partition's when nothing else is named."""
    # scipy: only who judges waits for it
    from kronos.services.verdicts import judge_experiment
    from kronos.services.workplace import workplace_over

    give_way(context.run, kronos)
    members = [experiment_id for experiment_id, _ in members_of(context.run.tags)] or [UUID(context.partition_key)]
    with kronos.open() as opened:
        workplace = workplace_over(kronos.settings, opened.pipeline.database, opened.pipeline.policy)
        for experiment_id in members:
            try:
                found = judge_experiment(workplace, opened.pipeline, experiment_id, opened.now.date())
            except ChangeRefused as refused:
                context.log.info(f"{experiment_id} is not judged: {refused}")
                continue
            partition, metadata = str(experiment_id), _metadata(found)
            if partition == context.partition_key:
                yield dg.MaterializeResult(metadata=metadata)
            else:
                context.log_event(dg.AssetMaterialization(VERDICT, partition=partition, metadata=metadata))


def _metadata(found: "VerdictRecord") -> dict[str, Any]:
    from kronos.core.gates.page import markdown

    return {
        "verdict": found.verdict.value,
        "recommendation": found.recommendation.value,
        "passed": found.verdict is GateVerdict.PASS,
        "refused_by": [gate.value for gate in found.refused_by],
        "page": dg.MetadataValue.md(markdown(found)),
        "look": found.look,
        "policy": f"{found.policy_engine} {found.policy_version} {found.policy_digest}",
        "evidence": found.evidence.value,
        "evidence_digest": found.evidence_digest,
        "lake": found.lake,
    }


judge_job = dg.define_asset_job(
    "judge_experiments",
    selection=dg.AssetSelection.assets(VERDICT),
    description="The verdict on one experiment whose results stand.",
    tags={"kronos/tier": "2"},
)


@dg.sensor(
    name="unjudged_experiments",
    job=judge_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Judges what awaits review without a verdict: its run ended early, or the policy or code changed.",
)
def unjudged(context: dg.SensorEvaluationContext, kronos: dg.ResourceParam[Kronos]) -> dg.SensorResult | dg.SkipReason:
    """The run key names the attempt, the policy and the code, so that nothing is judged twice."""
    from kronos.services.code_version import installed_code
    from kronos.services.verdicts import unjudged_experiments

    # of the run to be, which may be newer than this process
    code = installed_code()
    with open_database(kronos.settings) as database:
        waiting = unjudged_experiments(database, code)
    if not waiting:
        return dg.SkipReason("everything that awaits review has its verdict")
    context.instance.add_dynamic_partitions(EXPERIMENTS_NAME, [str(one.experiment_id) for one in waiting])
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=f"{one.experiment_id}:{one.attempt}:{one.policy_digest}:{code}",
                partition_key=str(one.experiment_id),
                tags={"kronos/experiment": str(one.experiment_id)},
            )
            for one in waiting
        ]
    )
