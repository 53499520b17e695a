"""Suites of controls over the backtest world, with backtests and verdicts that are only said to have happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from uuid import UUID

from kronos.core.backtests.attempts import AttemptOutcome
from kronos.core.controls.outcomes import Expectation
from kronos.core.controls.progress import SuiteUnderWay
from kronos.core.gates.model import Gate, GateVerdict, worst
from kronos.core.vocabulary import ExperimentStatus
from kronos.services.controls import suites_under_way
from kronos.services.experiments import changing, find_experiment
from kronos.services.gate_policies import gate_policy
from kronos.store.backtests import end_attempt
from kronos.store.database import Database
from kronos.store.experiments import move_experiment
from kronos.store.verdicts import NewVerdict, insert_verdict
from kronos_tests.services.backtest_world import NOW, World, backtest_world
from kronos_tests.store.changes import with_result

WEEK = "1997-W01"
"""ISO week of the world's clock."""

Says = Mapping[Gate, GateVerdict]


@contextmanager
def control_world(database: Database, home: Path) -> Iterator[World]:
    """PORTFOLIO's active config has decided once."""
    with backtest_world(database, home) as found:
        yield found


def under_way(world: World) -> SuiteUnderWay:
    """The only suite that is not recorded."""
    (found,) = suites_under_way(world.database, NOW)
    return found


def right_answer(expected: Expectation) -> Says:
    """What the gates have to say of a control."""
    return {} if expected.gate is None else {expected.gate: expected.verdicts[0]}


def backtested(world: World, experiment_id: UUID) -> None:
    """The experiment as after its backtests, without having had any: its result says nothing."""
    experiment = find_experiment(world.database, experiment_id)
    attempt = world.admitted(experiment)
    with changing(world.workplace, "Kronos", "every piece was made") as session:
        with_result(session, find_experiment(world.database, experiment_id))
        end_attempt(session, experiment_id, AttemptOutcome.COMPLETED, attempt=attempt)
        running, review = ExperimentStatus.RUNNING_BACKTESTS, ExperimentStatus.AWAITING_REVIEW
        move_experiment(session, experiment_id, [running], review, attempt=attempt)


def judged(
    world: World,
    experiment_id: UUID,
    says: Says | None = None,
    incumbent: str | None = None,
    ran_by: str | None = None,
) -> None:
    """The experiment backtested and judged: gates that are not named pass, all for the first reason that is expected.

    ran_by: by default the code that judges.
    """
    backtested(world, experiment_id)
    experiment = find_experiment(world.database, experiment_id)
    terms = gate_policy(world.database, experiment.engine_name).version
    gates = {gate: (says or {}).get(gate, GateVerdict.PASS) for gate in Gate}
    why = [*experiment.metadata.get("suite", {}).get("expected_reasons", []), "A_TEST"][0]
    verdict = worst(gates.values())
    new = NewVerdict(
        experiment_id=experiment_id,
        attempt=experiment.attempt,
        incumbent=incumbent or experiment.base_config_id,
        verdict=verdict.value,
        recommendation="ADOPT" if verdict is GateVerdict.PASS else "REJECT",
        report={
            "gates": [
                {"gate": gate.value, "verdict": said.value, "findings": [{"verdict": said.value, "reason": why}]}
                for gate, said in gates.items()
            ],
            "about": {"code_version": ran_by or world.workplace.code_version},
        },
        policy_engine=terms.engine_name,
        policy_version=terms.version,
        policy_digest=terms.digest,
        evidence_digest="0" * 64,
        data_until=date(1996, 12, 31),
        lake={},
        code_version=world.workplace.code_version,
    )
    with changing(world.workplace, "Kronos", "judged") as session:
        insert_verdict(session, new)


def judge_suite(world: World, wrong: Mapping[str, Says] | None = None) -> SuiteUnderWay:
    """Every control of the only suite judged as it has to be, save those named."""
    suite = under_way(world)
    for member in suite.members:
        expected = Expectation.from_json_dict(member.about)
        judged(world, member.experiment_id, (wrong or {}).get(expected.control, right_answer(expected)))
    return suite
