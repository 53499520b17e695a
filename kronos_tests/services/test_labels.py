"""The judge has no hint that it sees a control: under swapped labels its report is the same, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kronos.core.canonical import canonical_json
from kronos.core.changes.model import Experiment
from kronos.core.vocabulary import EvidenceLabel, ExpectedOutcome
from kronos.sandbox.configs import HANDICAPPED_INCUMBENT
from kronos.services.backtest import run_backtest
from kronos.services.proposals import create_proposal
from kronos.services.verdicts import judge_experiment
from kronos.store.database import Database
from kronos_tests.services.backtest_world import BODY, NOW, World, backtest_world, policy, short

LABELS = (
    {
        "author": "Kronos",
        "expected_outcome": ExpectedOutcome.NEGATIVE_CONTROL,
        "description": "control inverted_signal: must not pass",
        "priority": 9,
    },
    {"author": "Kronos", "expected_outcome": ExpectedOutcome.POSITIVE_CONTROL, "description": "control: must pass"},
    {"author": "ann", "expected_outcome": ExpectedOutcome.CANDIDATE, "description": "surely better", "priority": 0},
)
"""The candidate last: its config is then a duplicate of none that is judged."""


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    terms = policy().model_copy(update={"backtests": short(probes=1, neighbours=1, fold_months=12)})
    with backtest_world(database, tmp_path, terms) as found:
        yield found


def judged(world: World, experiment: Experiment) -> str:
    """The report and the verdict, with what is the experiment's own by chance taken out."""
    run_backtest(world.bench(), experiment.experiment_id, world.admitted(experiment), "run")
    found = judge_experiment(world.workplace, world.pipeline, experiment.experiment_id, NOW.date())
    told: dict[str, Any] = {"verdict": found.verdict, "refused_by": list(found.refused_by), "report": found.report}
    about = told["report"]["about"]
    assert about.pop("spec") and about.pop("lake")  # they name the experiment, and where its rows were written
    return canonical_json(told).replace(experiment.proposed_config_id, "C").replace(str(experiment.experiment_id), "E")


def test_swapped_labels_leave_the_report_as_it_is(world: World) -> None:
    """One body under each label. It was proposed before, so that it is one and the same trial for all of them."""
    body = {**BODY, "lookback": 63}
    create_proposal(world.workplace, "PORTFOLIO", HANDICAPPED_INCUMBENT, body, "worth a try", "ben")
    reports, evidence = [], []
    for labels in LABELS:
        experiment = world.queued(**labels)
        evidence.append(experiment.evidence)
        reports.append(judged(world, experiment))
    assert evidence == [EvidenceLabel.CONTROL, EvidenceLabel.CONTROL, EvidenceLabel.HUMAN_TRIGGERED]
    assert reports == [reports[0]] * len(LABELS)
