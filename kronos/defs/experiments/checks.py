"""Checks of an experiment's backtest and verdict: what they rest on is whole."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import dagster as dg

from kronos.core.changes.model import PeriodResult
from kronos.core.conventions import MIN_COVERAGE
from kronos.defs.experiments.assets import BACKTEST, RESULT
from kronos.defs.experiments.verdicts import VERDICT
from kronos.defs.resources import Kronos
from kronos.services.attempts import REJECTED

_PARTITION = "dagster/partition"


@dg.asset_check(
    asset=BACKTEST,
    name="no_row_rejected",
    description="Every row the runner gave keeps the contract; others are counted by the rule they break.",
)
def no_row_rejected(context: dg.AssetCheckExecutionContext, kronos: dg.ResourceParam[Kronos]) -> dg.AssetCheckResult:
    """Over the whole backtest of the run's experiment."""
    whole = _whole(kronos, context.run.tags)
    rejected = {name: count for name, count in whole.provenance["rows"].items() if name.startswith(REJECTED)}
    return dg.AssetCheckResult(
        passed=not rejected, severity=dg.AssetCheckSeverity.WARN, metadata={"rows": whole.provenance["rows"]}
    )


@dg.asset_check(
    asset=RESULT,
    name="covered",
    description="At least 95 % of the proposed config's due outcomes are there, and every scenario was played.",
)
def covered(context: dg.AssetCheckExecutionContext, kronos: dg.ResourceParam[Kronos]) -> dg.AssetCheckResult:
    """Over the whole period of the run's experiment."""
    whole = _whole(kronos, context.run.tags)
    valid, due = whole.detail["coverage"]["valid"], whole.detail["coverage"]["due"]
    scenarios = whole.detail.get("scenarios", {})
    refused = {name: one["refused"] for name, one in scenarios.items() if "refused" in one}
    return dg.AssetCheckResult(
        passed=due > 0 and valid >= MIN_COVERAGE * due and not refused,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"valid": valid, "due": due, "not played": refused},
    )


def _whole(kronos: Kronos, tags: Mapping[str, str]) -> PeriodResult:
    from kronos.services.experiments import experiment_results

    with kronos.open() as opened:
        whole = experiment_results(opened.pipeline.database, UUID(tags[_PARTITION])).whole
    if whole is None:
        raise dg.Failure(f"experiment {tags[_PARTITION]} has no result to check", allow_retries=False)
    return whole


@dg.asset_check(
    asset=VERDICT,
    name="follows_from_its_gates",
    description="Every gate has spoken, and the verdict in force is the gravest of their findings.",
)
def follows_from_its_gates(
    context: dg.AssetCheckExecutionContext, kronos: dg.ResourceParam[Kronos]
) -> dg.AssetCheckResult:
    """Added up again from the stored findings of the run's experiment; no verdict, no pass."""
    from kronos.core.gates.model import Gate, GateVerdict, worst
    from kronos.services.verdicts import verdicts_on

    with kronos.open() as opened:
        found = verdicts_on(opened.pipeline.database, UUID(context.run.tags[_PARTITION]))
    if not found:
        return dg.AssetCheckResult(passed=False, metadata={"verdict": "none"})
    gates = {
        gate["gate"]: [GateVerdict(one["verdict"]) for one in gate["findings"]] for gate in found[0].report["gates"]
    }
    said = worst(worst(findings) for findings in gates.values())
    whole = list(gates) == [gate.value for gate in Gate] and all(gates.values())
    return dg.AssetCheckResult(
        passed=whole and said is found[0].verdict,
        metadata={"verdict": found[0].verdict.value, "of the findings": said.value, "gates": list(gates)},
    )


CHECKS: Sequence[dg.AssetChecksDefinition] = (no_row_rejected, covered, follows_from_its_gates)
