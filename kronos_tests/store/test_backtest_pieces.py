"""Specs, checkpoints and results of backtests in the live database: kept as they were."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from kronos.core.backtests.attempts import AttemptOutcome
from kronos.core.changes.model import Experiment
from kronos.core.vocabulary import ExperimentStatus
from kronos.errors import ChangeRefused, NotFound
from kronos.store.backtests import (
    PieceRecord,
    pieces_of,
    record_piece,
    save_spec,
    specs_of,
)
from kronos.store.database import Database, Role
from kronos.store.experiments import results_of
from kronos.store.migrate import migrate
from kronos_tests.databases import migrate_before
from kronos_tests.store.attempts import NEW, OLD, QUEUED, admitted, attempts, ended, record, resulted, spec_of
from kronos_tests.store.changes import moved

_, _, _, REVIEW, _, REJECTED = ExperimentStatus
COMPLETED, PREEMPTED, CRASHED, LOST, CANCELLED = AttemptOutcome
T0 = datetime(2024, 6, 3, 12, tzinfo=UTC)


# -- specs and pieces


def test_a_spec_is_kept_once_and_comes_back_as_it_was(database: Database) -> None:
    experiment = admitted(database)
    first, later = spec_of(experiment), spec_of(experiment, end=date(2014, 12, 31))
    for one in (first, later, first):
        with database.connect(Role.ORCHESTRATOR) as session:
            save_spec(session, experiment.experiment_id, one)
    with database.connect(Role.READER) as session:
        found = specs_of(session, experiment.experiment_id)
    assert found == [first, later] and [one.digest for one in found] == [first.digest, later.digest]


def test_a_piece_comes_back_as_it_was_under_its_spec_and_code(database: Database) -> None:
    experiment = admitted(database)
    record(database, experiment, "fold-001", seconds=2.5)
    record(database, experiment, "scenario-x", refused="no such regime", counts={}, lake={})
    record(database, experiment, "scenario-y", refused="it died", counts={}, lake={}, failed=True)
    record(database, experiment, "probe-001", counts={}, lake={}, found={"new": {"repeat": {"rows": 3}}})
    record(database, experiment, "fold-001", code=OLD)
    with database.connect(Role.READER) as session:
        found = pieces_of(session, experiment.experiment_id, spec_of(experiment).digest, NEW)
        assert pieces_of(session, experiment.experiment_id, spec_of(experiment, seed=8).digest, NEW) == {}
    assert found == {
        "fold-001": PieceRecord("fold-001", 1, {"backtest_cells": "t:3"}, {"decisions": 5}, 2.5, None),
        "scenario-x": PieceRecord("scenario-x", 1, {}, {}, 1.5, "no such regime"),
        "scenario-y": PieceRecord("scenario-y", 1, {}, {}, 1.5, "it died", failed=True),
        "probe-001": PieceRecord("probe-001", 1, {}, {}, 1.5, None, {"new": {"repeat": {"rows": 3}}}),
    }


def test_a_piece_recorded_twice_stays_as_it_was_first(database: Database) -> None:
    experiment = admitted(database)
    record(database, experiment, "fold-001", seconds=1.0)
    record(database, experiment, "fold-001", seconds=9.0)
    with database.connect(Role.READER) as session:
        found = pieces_of(session, experiment.experiment_id, spec_of(experiment).digest, NEW)
    assert found["fold-001"].seconds == 1.0


def test_a_piece_that_failed_says_why(database: Database) -> None:
    with pytest.raises(ChangeRefused, match="backtest_pieces_failed_check"):
        record(database, admitted(database), "scenario-x", failed=True)


def test_of_pieces_from_before_failures_were_told_those_without_rows_failed(
    empty_database: Database, tmp_path: Path
) -> None:
    migrate_before(empty_database, "0029", tmp_path)
    experiment = admitted(empty_database)
    spec = spec_of(experiment)
    with empty_database.connect(Role.ORCHESTRATOR) as session:
        save_spec(session, experiment.experiment_id, spec)
        for piece, refused in (("fold-001", None), ("scenario-x", "no such regime")):
            session.execute(
                "INSERT INTO kronos.backtest_pieces "
                "(experiment_id, digest, code_version, piece, attempt, lake, counts, seconds, refused) "
                "VALUES (%s, %s, %s, %s, %s, '{}', '{}', 1, %s)",
                [experiment.experiment_id, spec.digest, NEW, piece, experiment.attempt, refused],
            )
    migrate(empty_database)
    with empty_database.connect(Role.READER) as session:
        found = pieces_of(session, experiment.experiment_id, spec.digest, NEW)
    assert {name: one.failed for name, one in found.items()} == {"fold-001": False, "scenario-x": True}
    with empty_database.connect(Role.OWNER) as session, pytest.raises(psycopg.errors.RestrictViolation):
        session.execute("UPDATE kronos.backtest_pieces SET failed = false")


def test_a_piece_without_its_spec_is_refused(database: Database) -> None:
    experiment = admitted(database)
    piece = PieceRecord("fold-001", 1, {}, {}, 1.0, None)
    with database.connect(Role.ORCHESTRATOR) as session, pytest.raises(NotFound):
        record_piece(session, experiment.experiment_id, "0" * 64, NEW, piece)


def _after(database: Database, experiment: Experiment) -> list[int | None]:
    return [attempt.pieces_after for attempt in attempts(database, experiment)]


def test_an_attempt_ends_with_all_pieces_that_stand(database: Database) -> None:
    experiment = admitted(database)
    record(database, experiment, "fold-001", "fold-002")
    again = admitted(database, ended(database, experiment), pieces_before=2)
    record(database, again, "fold-003")
    ended(database, again)
    assert _after(database, again) == [2, 3]
    assert [attempt.gained for attempt in attempts(database, again)] == [2, 1]


@pytest.mark.parametrize("changed", [{"code": OLD}, {"seed": 8}])
def test_pieces_of_another_spec_or_code_do_not_stand(database: Database, changed: Mapping[str, Any]) -> None:
    experiment = admitted(database)
    record(database, experiment, "fold-001", "fold-002", **changed)
    record(database, experiment, "fold-001")
    ended(database, experiment)
    assert _after(database, experiment) == [1]


def test_an_attempt_never_ends_with_fewer_pieces_than_it_began_with(database: Database) -> None:
    experiment = admitted(database, pieces_before=4)
    record(database, experiment, "fold-001")
    ended(database, experiment)
    assert _after(database, experiment) == [4]


# -- results


def _details(database: Database, experiment_id: UUID) -> tuple[list[Any], list[Any]]:
    """Detail of the results that stand, and of those that were replaced."""
    with database.connect(Role.READER) as session:
        stand = [one.detail for one in results_of(session, experiment_id)]
        replaced = session.execute("SELECT detail FROM kronos.superseded_results ORDER BY superseded_at").fetchall()
    return stand, [row[0] for row in replaced]


def test_a_result_that_is_replaced_keeps_its_detail(database: Database) -> None:
    experiment = admitted(database)
    resulted(database, experiment, 1.0, attempt=1, detail={"observations": {"sharpe": 250}})
    again = admitted(database, moved(database, ended(database, experiment, COMPLETED, REVIEW), QUEUED))
    resulted(database, again, 1.0, attempt=2, detail={"observations": {"sharpe": 500}})
    stand, replaced = _details(database, experiment.experiment_id)
    assert stand == [{"observations": {"sharpe": 500}}] and replaced == [{"observations": {"sharpe": 250}}]


def test_the_same_numbers_with_the_same_detail_replace_nothing(database: Database) -> None:
    experiment = admitted(database)
    for _ in range(2):
        resulted(database, experiment, 1.0, attempt=1, detail={"n": 1})
    assert _details(database, experiment.experiment_id) == ([{"n": 1}], [])


def test_a_result_without_detail_has_an_empty_one(database: Database) -> None:
    experiment = admitted(database)
    resulted(database, experiment, 1.0, attempt=1)
    assert _details(database, experiment.experiment_id) == ([{}], [])
