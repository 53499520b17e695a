"""Verdicts on experiments: judged in the run of their backtest, or later when that run ended before it judged."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import dagster as dg

from kronos.core.gates.model import GateVerdict
from kronos.defs.again import why_wait
from kronos.defs.experiments.assets import GROUP, RESULT, give_way
from kronos.defs.experiments.partitions import EXPERIMENTS, EXPERIMENTS_NAME, members_of
from kronos.defs.facts.assets import OWNERS
from kronos.defs.resources import Kronos
from kronos.errors import ChangeRefused
from kronos.store.open import open_database

if TYPE_CHECKING:
    from kronos.core.gates.record import VerdictRecord
    from kronos.store.verdicts import Unjudged

VERDICT = dg.AssetKey("experiment_verdict")
VERSION = "1"
JUDGES_TAG = "kronos/judges"
"""What a run of the sensor's is to judge, with which policy and code, and since which weekly or monthly run."""
LATER_TAG = "kronos/judged_later"
"""Of a run that left something for later: trading needed the machine, or the code was changed under it."""


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
    """Judges the experiments of the run that await review, or the partition's when nothing else is named.

    What trading leaves no time for is judged later, by the sensor.
    """
    from kronos.services.judging import why_not_judge

    # scipy: only who judges waits for it
    from kronos.services.verdicts import judge_experiment
    from kronos.services.workplace import workplace_over

    give_way(context.run, kronos)
    members = [experiment_id for experiment_id, _ in members_of(context.run.tags)] or [UUID(context.partition_key)]
    with kronos.open() as opened:
        workplace = workplace_over(kronos.settings, opened.pipeline.database, opened.pipeline.policy)
        for experiment_id in members:
            found, why = None, why_not_judge(workplace.database, opened.pipeline.policy)
            if why is None:
                try:
                    found = judge_experiment(workplace, opened.pipeline, experiment_id, opened.now.date())
                except ChangeRefused as refused:
                    why = str(refused)
            if found is None:
                context.log.info(f"{experiment_id} is not judged now: {why}")
                context.instance.add_run_tags(context.run_id, {LATER_TAG: "true"})
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
    # reports go first; the sensor asks again for what failed
    tags={"kronos/tier": "2", "dagster/priority": "-1", "dagster/max_retries": "0"},
)


@dg.sensor(
    name="unjudged_experiments",
    job=judge_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Judges what awaits review without a verdict: its run ended early, trading went first, the policy or "
    "code changed, or a week or month has been reported since.",
)
def unjudged(context: dg.SensorEvaluationContext, kronos: dg.ResourceParam[Kronos]) -> dg.SensorResult | dg.SkipReason:
    """The run key names the attempt, the policy, the code, the week or month and the try: nothing is judged twice."""
    from kronos.services.code_version import installed_code
    from kronos.services.judging import why_not_judge
    from kronos.services.policy import load_policy
    from kronos.services.verdicts import unjudged_experiments

    # of the run to be, which may be newer than this process
    code = installed_code()
    with open_database(kronos.settings) as database:
        waiting = unjudged_experiments(database, code)
        why = why_not_judge(database, load_policy(kronos.settings.policy)) if waiting else None
    if why is not None:
        return dg.SkipReason(f"{len(waiting)} wait for their verdict: {why}")
    requests, waits = _sorted_out(context.instance, waiting, code)
    if not requests:
        return dg.SkipReason("; ".join(waits) or "everything that awaits review has its verdict")
    context.instance.add_dynamic_partitions(EXPERIMENTS_NAME, [str(one.partition_key) for one in requests])
    return dg.SensorResult(run_requests=requests)


def _sorted_out(
    instance: dg.DagsterInstance, waiting: "Sequence[Unjudged]", code: str
) -> tuple[list[dg.RunRequest], list[str]]:
    """Runs to be asked for now, and why the other experiments wait."""
    requests, waits = [], []
    for one in waiting:
        key = f"{one.experiment_id}:{one.attempt}:{one.policy_digest}:{code}:{one.since}"
        earlier = instance.get_run_records(dg.RunsFilter(tags={JUDGES_TAG: key}))
        tried = [record for record in earlier if LATER_TAG not in record.dagster_run.tags]
        if any(record.dagster_run.is_success for record in tried):
            continue  # what it found is the verdict that stands
        if (wait := why_wait(tried)) is not None:
            waits.append(f"{one.experiment_id}: {wait}")
            continue
        tags = {"kronos/experiment": str(one.experiment_id), JUDGES_TAG: key}
        run_key = f"{key}:{len(earlier)}"
        requests.append(dg.RunRequest(run_key=run_key, partition_key=str(one.experiment_id), tags=tags))
    return requests, waits
