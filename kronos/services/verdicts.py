"""Judge an experiment's evidence, and keep the verdict."""

from __future__ import annotations

from datetime import date
from typing import Any, Final
from uuid import UUID

from kronos.core.backtests.spec import Fold
from kronos.core.changes.modifications import ABSENT, modifications
from kronos.core.changes.request import KRONOS
from kronos.core.gates.evidence import GateEvidence
from kronos.core.gates.judge import judge
from kronos.core.gates.record import VerdictRecord, report_of
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import ChangeRefused, NotJudged
from kronos.services.code_version import require_unchanged
from kronos.services.experiments import changing, config_body_of, find_experiment
from kronos.services.gate_evidence import Backtest, gate_evidence, observed_now, read_backtest
from kronos.services.gate_policies import gate_policy
from kronos.services.pipeline import Pipeline
from kronos.services.workplace import Workplace
from kronos.store import verdicts as store
from kronos.store.database import Database, Role

LEFT_ALONE: Final = 120.0
"""Seconds after its results in which the run of an experiment judges it by itself."""
_AWAITS_VERDICT: Final = (
    "and it is judged in minutes, unless trading needs the machine: `kronos experiment judge` does it at once"
)


def judge_experiment(workplace: Workplace, pipeline: Pipeline, experiment_id: str | UUID, today: date) -> VerdictRecord:
    """The verdict on an experiment's last backtest under the policy in force; today: in the data's own time.

    The same evidence under the same policy is judged once by each version of the code: asked again, or by other code
    while a suite of controls has proven that verdict's, the verdict that stands is returned.
    `ChangeRefused` unless the experiment awaits review, and when the code on disk was changed under this process.
    """
    experiment = find_experiment(workplace.database, experiment_id)
    if experiment.status is not ExperimentStatus.AWAITING_REVIEW:
        raise ChangeRefused(
            f"experiment {experiment.experiment_id} has status {experiment.status}: expected AWAITING_REVIEW"
        )
    terms = gate_policy(workplace.database, experiment.engine_name)
    backtest = read_backtest(workplace.database, experiment)
    observed = observed_now(pipeline.lake)
    evidence = gate_evidence(pipeline, backtest, terms.policy, today, observed)
    digest = evidence.digest
    with workplace.database.connect(Role.READER) as session:
        standing = store.standing_verdict(
            session,
            experiment.experiment_id,
            experiment.attempt,
            digest,
            terms.version.digest,
            workplace.code_version,
        )
    if standing is not None:
        return standing
    judged = judge(evidence, terms.policy)
    require_unchanged()
    new = store.NewVerdict(
        experiment_id=experiment.experiment_id,
        attempt=experiment.attempt,
        incumbent=evidence.incumbent,
        verdict=judged.verdict.value,
        recommendation=judged.recommendation.value,
        report=report_of(judged, evidence, terms.policy, _tested(workplace, backtest, evidence)),
        policy_engine=terms.version.engine_name,
        policy_version=terms.version.version,
        policy_digest=terms.version.digest,
        evidence_digest=digest,
        data_until=evidence.data_until,
        lake={**backtest.marks, **observed},
        code_version=workplace.code_version,
    )
    with changing(workplace, KRONOS, "every gate has looked at the evidence") as session:
        kept = store.insert_verdict(session, new)
        return kept or _standing(session, new)


def verdict_of(database: Database, experiment_id: str | UUID) -> VerdictRecord:
    """The verdict in force of an experiment; `NotJudged` before it has one."""
    return verdict_history(database, experiment_id)[0]


def verdict_history(database: Database, experiment_id: str | UUID) -> list[VerdictRecord]:
    """All verdicts on an experiment, the one in force first; `NotJudged` before it has one."""
    experiment = find_experiment(database, experiment_id)
    found = verdicts_on(database, experiment.experiment_id)
    if not found:
        hint = _AWAITS_VERDICT if experiment.status is ExperimentStatus.AWAITING_REVIEW else ""
        raise NotJudged(str(experiment.experiment_id), experiment.status, hint)
    return found


def verdicts_on(database: Database, experiment_id: UUID) -> list[VerdictRecord]:
    """All verdicts on an experiment, the one in force first; none before it was judged."""
    with database.connect(Role.READER) as session:
        return store.verdicts_of(session, experiment_id)


def unjudged_experiments(database: Database, code: str, seconds: float = LEFT_ALONE) -> list[store.Unjudged]:
    """What has awaited review for so long without a verdict under the policy in force: nobody is about to judge it.

    code: the version that would. Verdicts by another one count if a suite of controls has proven it. Every weekly and
    monthly run asks for new ones: evidence ages, the LIVE record goes on, and trials are added.
    """
    with database.connect(Role.READER) as session:
        return store.unjudged(session, seconds, code)


def _standing(session: store.Session, new: store.NewVerdict) -> VerdictRecord:
    """What another judge wrote meanwhile of the same evidence."""
    found = store.standing_verdict(
        session, new.experiment_id, new.attempt, new.evidence_digest, new.policy_digest, new.code_version
    )
    assert found is not None
    return found


def _tested(workplace: Workplace, backtest: Backtest, evidence: GateEvidence) -> dict[str, Any]:
    """The backtest's own facts for the page: what was run on what, and what the config changes.

    windows_left_out: of history, with their dates, which the experiment's do not hold. windows_before: that were over
    before the incumbent decided, and in which the config decided nothing.
    """
    experiment, spec, provenance = backtest.experiment, backtest.spec, backtest.whole.provenance
    played, detail = {one.name for one in evidence.scenarios}, backtest.whole.detail
    bodies = [
        config_body_of(workplace.database, experiment.engine_name, name)
        for name in (spec.incumbent or experiment.base_config_id, experiment.proposed_config_id)
    ]
    return {
        "changes": [[one.path, _value(one.base), _value(one.proposed)] for one in modifications(*bodies)],
        "runner": spec.runner,
        "markets": list(spec.markets),
        "start": spec.start.isoformat(),
        "end": spec.end.isoformat(),
        "folds": [_fold(fold) for fold in spec.folds],
        "windows_left_out": dict(detail.get("windows_left_out", {})),
        "windows_before": sorted(set(detail.get("scenarios", {})) - played),
        "seed": spec.seed,
        "spec": spec.digest,
        "code_version": provenance["code_version"],
        "lake": dict(provenance["lake"]),
        "rows": dict(provenance["rows"]),
    }


def _value(value: Any) -> Any:
    return "absent" if value is ABSENT else value


def _fold(fold: Fold) -> list[str]:
    return [fold.start.isoformat(), fold.end.isoformat()]
