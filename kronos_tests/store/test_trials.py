"""The trial ledger counts each config once, whoever enters it, and lets go of nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from psycopg.types.json import Jsonb

from kronos.core.backtests.spec import Subject, SubjectRole
from kronos.core.canonical import canonical_hash, canonical_json
from kronos.core.vocabulary import ExpectedOutcome, ExperimentStatus, TrialFamily, TrialSource
from kronos.errors import BadValue, ConfigConflict
from kronos.store.backtests import save_spec
from kronos.store.database import Database, Role
from kronos.store.engine_configs import activate, register
from kronos.store.migrate import migrate
from kronos.store.trials import Trial, TrialCount, count_trials, list_trials, record_trial
from kronos_tests.configs import BODIES
from kronos_tests.databases import migrate_before
from kronos_tests.store.attempts import admitted, spec_of
from kronos_tests.store.changes import at_status

T0 = datetime(2010, 1, 4, tzinfo=UTC)
DAY = timedelta(days=1)
BODY = {"window": 20}


def _record(database: Database, **changes: Any) -> bool:
    values: dict[str, Any] = {"engine_name": "REGIME", "source": TrialSource.EXPERIMENT, "seen_at": T0}
    if not changes.keys() & {"config_id", "config_body"}:
        values["config_body"] = BODY
    with database.connect() as connection:
        return record_trial(connection, Trial(**(values | changes)))


def _count(database: Database, scope: str = "*", as_of: datetime | None = None) -> TrialCount:
    with database.connect(Role.READER) as connection:
        return count_trials(connection, "REGIME", scope, as_of)


def _register(database: Database, config_id: str, body: dict[str, Any] = BODY, **changes: Any) -> bool:
    with database.connect() as connection:
        return register(
            connection,
            config_id=config_id,
            engine_name="REGIME",
            version="1",
            config_body=body,
            created_by="ann",
            **({"created_at": T0} | changes),
        )


def test_the_database_hashes_as_core_does(database: Database) -> None:
    with database.connect(Role.READER, autocommit=True) as connection:

        @settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
        @given(BODIES)
        def equal(body: dict[str, object]) -> None:
            ask = "SELECT kronos.canonical_json(%(body)s), kronos.canonical_hash(%(body)s)"
            found = connection.execute(ask, {"body": Jsonb(body)}).fetchone()
            assert found == (canonical_json(body), canonical_hash(body))

        equal()


def test_one_config_counts_once_however_it_is_written(database: Database) -> None:
    ways = [{"a": [100], "b": 1.0}, {"b": 1, "a": [1e2]}]
    assert [_record(database, config_body=body) for body in ways] == [True, False]
    assert _count(database) == TrialCount(real=1, control=0)


@pytest.mark.parametrize(
    "further",
    [
        {"config_body": {"window": 21}},
        {"horizon": 5},
        {"source": TrialSource.MINED_SLICE, "slice": "regime:CRISIS"},
        {"config_id": "unregistered"},
    ],
)
def test_another_config_horizon_or_slice_is_a_further_trial(database: Database, further: dict[str, Any]) -> None:
    assert [_record(database), _record(database, **further), _record(database, **further)] == [True, True, False]
    assert _count(database).real == 2


def test_registering_enters_the_ledger_once_per_body(database: Database) -> None:
    assert [_register(database, "r1"), _register(database, "r1"), _register(database, "r2", {"window": 20.0})] == [
        True, False, True,
    ]  # fmt: skip
    with database.connect(Role.READER) as connection:
        (entry,) = list_trials(connection, "REGIME")
    assert (entry.canonical_hash, entry.config_id, entry.first_seen) == (canonical_hash(BODY), "r1", T0)
    assert entry.first_source == TrialSource.REGISTERED


def test_a_registration_rolled_back_leaves_no_trial(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("SELECT kronos.register_config('r1', 'REGIME', '1', '{}', 'ann', now())")
        assert count_trials(connection, "REGIME").real == 1
        connection.rollback()
    assert _count(database).real == 0


def test_even_an_owner_who_inserts_a_config_enters_it(database: Database) -> None:
    insert = """INSERT INTO kronos.engine_configs (config_id, engine_name, version, config_body, created_at, created_by)
                VALUES ('r1', 'REGIME', '1', '{}', now(), 'ann')"""
    with database.connect(Role.OWNER) as connection:
        connection.execute(insert)
    assert _count(database).real == 1


def test_configs_registered_before_the_ledger_are_in_it(empty_database: Database, tmp_path: Path) -> None:
    migrate_before(empty_database, "0008", tmp_path)
    with empty_database.connect() as connection:
        for config in ("r1", "r2"):
            connection.execute("SELECT kronos.register_config(%s, 'REGIME', '1', '{}', 'ann', now())", [config])
    migrate(empty_database)
    with empty_database.connect(Role.READER) as connection:
        assert [entry.config_id for entry in list_trials(connection)] == ["r1"]


def test_controls_are_sealed_off(database: Database) -> None:
    _record(database)
    _record(database, family=TrialFamily.CONTROL)
    _register(database, "c1", {"window": 99}, family=TrialFamily.CONTROL)
    counted = _count(database)
    assert (counted.real, counted.control, counted.among_controls) == (1, 2, 3)
    with database.connect(Role.READER) as connection:
        assert [entry.family for entry in list_trials(connection)] == [TrialFamily.REAL]


def test_a_config_made_for_a_control_is_never_active(database: Database) -> None:
    _register(database, "c1", family=TrialFamily.CONTROL)
    with database.connect(Role.CHANGE_MANAGER) as connection, pytest.raises(ConfigConflict) as refused:
        activate(
            connection, engine_name="REGIME", config_id="c1", by="ben", reason="good", at=T0, expected_incumbent=None
        )
    assert refused.value.rule == "config_activations_no_control"


def test_a_control_cannot_be_registered_anew_as_real(database: Database) -> None:
    _register(database, "c1", family=TrialFamily.CONTROL)
    with pytest.raises(ConfigConflict, match="another version, body or family"):
        _register(database, "c1")


def _ran_beside(database: Database, *windows: int, outcome: ExpectedOutcome = ExpectedOutcome.CANDIDATE) -> None:
    """A backtest was begun whose proposed config has these neighbours."""
    experiment = admitted(database, at_status(database, ExperimentStatus.QUEUED_FOR_BACKTEST, outcome))
    roles = (SubjectRole.NEIGHBOUR,)
    near = tuple(Subject(config_id=f"near-{one}", config_body={"window": one}, roles=roles) for one in windows)
    with database.connect(Role.ORCHESTRATOR) as session:
        save_spec(
            session, experiment.experiment_id, spec_of(experiment, subjects=(*spec_of(experiment).subjects, *near))
        )


def _windows(database: Database) -> set[tuple[str | None, TrialSource]]:
    """Hash and source of the trials that are not of the experiments `_ran_beside` makes."""
    with database.connect(Role.READER) as connection:
        found = list_trials(connection, "REGIME")
    return {(one.canonical_hash, one.first_source) for one in found if one.first_source != TrialSource.REGISTERED}


def test_who_proposes_a_neighbour_chose_it_among_all_of_them(database: Database) -> None:
    _ran_beside(database, 18, 22)
    _ran_beside(database, 18, 30)
    _ran_beside(database, 40, 50)
    before = _count(database).real
    assert _record(database, config_body={"window": 18.0})
    assert _windows(database) == {
        (canonical_hash({"window": 18}), TrialSource.EXPERIMENT),
        (canonical_hash({"window": 22}), TrialSource.NEIGHBOUR),
        (canonical_hash({"window": 30}), TrialSource.NEIGHBOUR),
    }
    assert _count(database).real == before + 3


def test_a_neighbour_proposed_before_it_was_seen_is_chosen_when_it_is_tried(database: Database) -> None:
    _record(database, config_body={"window": 18}, source=TrialSource.PROPOSAL)
    _ran_beside(database, 18, 22)
    before = _count(database).real
    assert not _record(database, config_body={"window": 18})
    assert _count(database).real == before + 1


def test_neighbours_that_nobody_proposes_are_no_trials(database: Database) -> None:
    _ran_beside(database, 18, 22)
    _record(database, config_body={"window": 19})
    assert _windows(database) == {(canonical_hash({"window": 19}), TrialSource.EXPERIMENT)}


@pytest.mark.parametrize("outcome", [ExpectedOutcome.NEGATIVE_CONTROL, ExpectedOutcome.POSITIVE_CONTROL])
def test_neighbours_of_a_control_were_seen_under_the_control_alone(
    database: Database, outcome: ExpectedOutcome
) -> None:
    _ran_beside(database, 18, 22, outcome=outcome)
    _record(database, config_body={"window": 18})
    assert _windows(database) == {(canonical_hash({"window": 18}), TrialSource.EXPERIMENT)}


def test_a_neighbour_made_for_a_control_is_not_chosen(database: Database) -> None:
    _ran_beside(database, 18, 22)
    before = _count(database).real
    _record(database, config_body={"window": 18}, family=TrialFamily.CONTROL)
    assert _count(database).real == before


def test_neighbours_of_another_engine_are_none(database: Database) -> None:
    _ran_beside(database, 18, 22)
    _record(database, config_body={"window": 18}, engine_name="PORTFOLIO")
    with database.connect(Role.READER) as connection:
        assert count_trials(connection, "PORTFOLIO").real == 1


def test_a_market_counts_its_own_trials_and_those_made_everywhere(database: Database) -> None:
    _record(database)
    _record(database, scope="US_EQ")
    _record(database, scope="US_EQ", config_body={"window": 21})
    _record(database, scope="EU_EQ", config_body={"window": 22})
    assert {scope: _count(database, scope).real for scope in ("*", "US_EQ", "EU_EQ", "JP_EQ")} == {
        "*": 3, "US_EQ": 2, "EU_EQ": 2, "JP_EQ": 1,
    }  # fmt: skip


def test_a_count_of_the_past_knows_only_the_trials_of_then(database: Database) -> None:
    for days in range(3):
        _record(database, config_body={"window": days}, seen_at=T0 + days * DAY)
    assert [_count(database, as_of=T0 + days * DAY).real for days in (-1, 0, 1, 2)] == [0, 1, 2, 3]


def test_an_observed_id_counts_as_its_body_once_that_is_registered(database: Database) -> None:
    _record(database, config_id="r1", source=TrialSource.OBSERVED)
    assert _count(database).real == 1
    _register(database, "r1", created_at=T0 + DAY)
    assert _count(database).real == 1
    assert _record(database, config_id="r1", source=TrialSource.OBSERVED) is False


@pytest.mark.parametrize(
    "changes", [{"config_id": None}, {"slice": "regime:CRISIS"}, {"source": TrialSource.MINED_SLICE}]
)
def test_a_trial_of_nothing_or_with_a_slice_out_of_place_is_refused(changes: dict[str, Any]) -> None:
    values = {"config_id": "r1", "engine_name": "REGIME", "source": TrialSource.EXPERIMENT, "seen_at": T0}
    with pytest.raises(BadValue):
        Trial(**(values | changes))


def test_of_two_writers_of_one_trial_one_counts_it(database: Database) -> None:
    both = Barrier(2)

    def enter(_: int) -> bool:
        both.wait()
        return _record(database)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(enter, range(2))) == [False, True]
    assert _count(database).real == 1


def test_a_writer_whose_rival_gives_up_counts_the_trial(database: Database) -> None:
    trial = Trial(engine_name="REGIME", source=TrialSource.PROPOSAL, seen_at=T0, config_body=BODY)
    with ThreadPoolExecutor(1) as pool, database.connect() as rival:
        assert record_trial(rival, trial)
        waiting = pool.submit(_record, database)
        rival.rollback()
        assert waiting.result(timeout=30)
    assert _count(database).real == 1


@pytest.mark.parametrize("statement", ["UPDATE kronos.trials SET family = 'CONTROL'", "DELETE FROM kronos.trials",
                                       "TRUNCATE kronos.trials"])  # fmt: skip
def test_not_even_the_owner_changes_or_removes_a_trial(database: Database, statement: str) -> None:
    _record(database)
    with database.connect(Role.OWNER) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute(statement)


@pytest.mark.parametrize("role", [Role.READER, Role.CHAT, Role.CHANGE_MANAGER, Role.UPSTREAM])
def test_only_the_orchestrator_enters_trials(database: Database, role: Role) -> None:
    with database.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT kronos.enter_trial('REGIME', '*', 'REAL', '{}', null, 'PROPOSAL', now())")


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OWNER])
def test_no_role_writes_the_ledger_past_the_function(database: Database, role: Role) -> None:
    with database.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("INSERT INTO kronos.trials (engine_name) VALUES ('REGIME')")
