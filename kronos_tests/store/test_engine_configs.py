"""Configs never change; the incumbent is swapped by one path, one at a time, and its history stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from kronos.errors import ConfigConflict, NotAllowed, NotFound
from kronos.store import engine_configs
from kronos.store.database import Database, Role
from kronos.store.principals import begin_principals, hash_of
from kronos_tests.store.activations import replace_incumbent

T0 = datetime(2010, 1, 4, tzinfo=UTC)
DAY = timedelta(days=1)


def _register(database: Database, config_id: str, **changes: object) -> bool:
    values: dict[str, object] = {"engine_name": "REGIME", "version": "1", "config_body": {"window": 20}}
    with database.connect(Role.ORCHESTRATOR) as connection:
        return engine_configs.register(
            connection,
            config_id=config_id,
            created_by="ann",
            created_at=T0,
            **(values | changes),  # type: ignore[arg-type]
        )


def _activate(database: Database, config_id: str, expected: str | None, at: datetime = T0, **changes: str) -> None:
    replace_incumbent(database, "REGIME", config_id, expected=expected, at=at, **changes)


def _first(database: Database, config_id: str, expected: str | None = None, at: datetime = T0, **changes: str) -> int:
    """Activate as the change manager may."""
    values = {"engine_name": "REGIME", "by": "ben", "reason": "proven"} | changes
    with database.connect(Role.CHANGE_MANAGER) as connection:
        return engine_configs.activate(connection, config_id=config_id, at=at, expected_incumbent=expected, **values)


def _statuses(database: Database) -> dict[str, str]:
    with database.connect(Role.READER) as connection:
        return {config.config_id: config.status for config in engine_configs.list_configs(connection)}


def test_registering_the_same_config_twice_changes_nothing(database: Database) -> None:
    assert [_register(database, "r1"), _register(database, "r1")] == [True, False]
    assert _statuses(database) == {"r1": "REGISTERED"}


@pytest.mark.parametrize("changes", [{"config_body": {"window": 21}}, {"version": "2"}, {"engine_name": "UNIVERSE"}])
def test_an_id_cannot_be_registered_with_other_content(database: Database, changes: dict[str, object]) -> None:
    _register(database, "r1")
    with pytest.raises(ConfigConflict, match="config r1 is registered for REGIME") as refused:
        _register(database, "r1", **changes)
    assert refused.value.rule == "engine_configs_immutable"


def test_a_body_that_is_no_object_is_refused(database: Database) -> None:
    with database.connect() as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("SELECT kronos.register_config('r1', 'REGIME', '1', '[1]', 'ann', now())")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE kronos.engine_configs SET config_body = '{}'",
        "UPDATE kronos.engine_configs SET status = 'ACTIVE'",
        "DELETE FROM kronos.engine_configs",
        "TRUNCATE kronos.engine_configs CASCADE",
        "UPDATE kronos.config_activations SET reason = 'another'",
        "DELETE FROM kronos.config_activations",
        "INSERT INTO kronos.engine_configs VALUES ('r9', 'REGIME', '1', '{}', now(), 'ann', 'ACTIVE')",
    ],
)
def test_not_even_the_owner_can_rewrite_configs_or_history(database: Database, statement: str) -> None:
    _register(database, "r1")
    _register(database, "r2")
    _activate(database, "r1", None)
    with database.connect(Role.OWNER) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute(statement)


def test_what_was_active_when_and_why_has_an_answer(database: Database) -> None:
    for config in ("r1", "r2"):
        _register(database, config)
    _activate(database, "r1", None, T0, reason="seed")
    _activate(database, "r2", "r1", T0 + 10 * DAY, reason="better")
    with database.connect(Role.READER) as connection:
        found = [engine_configs.active_at(connection, "REGIME", T0 + days * DAY) for days in (-1, 0, 9, 10, 99)]
        history = engine_configs.activations(connection, "REGIME")
    assert [active and (active.config_id, active.reason) for active in found] == [
        None, ("r1", "seed"), ("r1", "seed"), ("r2", "better"), ("r2", "better"),
    ]  # fmt: skip
    assert [(row.config_id, row.deactivated_at) for row in history] == [("r1", T0 + 10 * DAY), ("r2", None)]
    assert _statuses(database) == {"r1": "RETIRED", "r2": "ACTIVE"}


def test_a_retired_config_can_come_back(database: Database) -> None:
    for config in ("r1", "r2"):
        _register(database, config)
    for days, (config, expected) in enumerate([("r1", None), ("r2", "r1"), ("r1", "r2")]):
        _activate(database, config, expected, T0 + days * DAY)
    assert _statuses(database) == {"r1": "ACTIVE", "r2": "RETIRED"}


def test_scopes_have_incumbents_of_their_own(database: Database) -> None:
    for config in ("r1", "r2"):
        _register(database, config)
    _activate(database, "r1", None)
    _activate(database, "r1", None, scope="EU_EQ")
    _activate(database, "r2", "r1", T0 + DAY, scope="EU_EQ")
    with database.connect(Role.READER) as connection:
        assert engine_configs.active_at(connection, "REGIME", T0 + DAY, "EU_EQ").config_id == "r2"  # type: ignore[union-attr]
    assert _statuses(database) == {"r1": "ACTIVE", "r2": "ACTIVE"}


@pytest.mark.parametrize(
    ("config", "expected", "at", "rule"),
    [
        ("r2", None, T0 + DAY, "config_activations_expected_incumbent"),
        ("r2", "r3", T0 + DAY, "config_activations_expected_incumbent"),
        ("r1", "r1", T0 + DAY, "config_activations_changes"),
        ("r2", "r1", T0, "config_activations_check"),
        ("r2", "r1", T0 - DAY, "config_activations_check"),
    ],
)
def test_a_swap_that_does_not_fit_the_history_is_refused(
    database: Database, config: str, expected: str | None, at: datetime, rule: str
) -> None:
    for name in ("r1", "r2"):
        _register(database, name)
    _activate(database, "r1", None)
    with pytest.raises(ConfigConflict) as refused:
        _activate(database, config, expected, at)
    assert refused.value.rule == rule
    assert _statuses(database) == {"r1": "ACTIVE", "r2": "REGISTERED"}


def test_activations_of_one_scope_never_overlap(database: Database) -> None:
    _register(database, "r1")
    insert = """INSERT INTO kronos.config_activations (engine_name, config_id, activated_at, activated_by, reason)
                VALUES ('REGIME', 'r1', %s, 'ann', 'by hand')"""
    with database.connect(Role.OWNER) as connection:
        connection.execute(insert, [T0])
        connection.execute("UPDATE kronos.config_activations SET deactivated_at = %s", [T0 + 10 * DAY])
        with pytest.raises(psycopg.errors.RestrictViolation, match="overlaps one that lasts until"):
            connection.execute(insert, [T0 + 5 * DAY])


def test_a_config_of_another_engine_cannot_be_activated(database: Database) -> None:
    _register(database, "u1", engine_name="UNIVERSE")
    with pytest.raises(NotFound, match="config of this engine 'u1' does not exist"):
        _first(database, "u1")


def test_an_activation_without_a_reason_is_refused(database: Database) -> None:
    _register(database, "r1")
    with pytest.raises(ConfigConflict, match="reason"):
        _first(database, "r1", reason="")


@pytest.mark.parametrize(("config", "expected"), [("r2", "r1"), ("r2", None), ("r1", "r1")])
@pytest.mark.parametrize("scope", ["*", "EU_EQ"])
def test_the_change_manager_activates_the_first_config_of_an_engine_alone(
    database: Database, config: str, expected: str | None, scope: str
) -> None:
    """In a market of its own as little as everywhere: there it would go before the config for everywhere."""
    for name in ("r1", "r2"):
        _register(database, name)
    _first(database, "r1")
    with pytest.raises(ConfigConflict, match="only a promotion or rollback changes it") as refused:
        _first(database, config, expected, scope=scope)
    assert refused.value.rule == "config_activations_first"
    assert _statuses(database) == {"r1": "ACTIVE", "r2": "REGISTERED"}


def test_an_engines_first_config_may_be_one_markets(database: Database) -> None:
    _register(database, "r1")
    assert _first(database, "r1", scope="EU_EQ") > 0


def test_a_first_config_does_not_begin_in_a_time_to_come(database: Database) -> None:
    """Every later activation would have to begin after it."""
    _register(database, "r1")
    with pytest.raises(ConfigConflict, match="is to be active from 2100-01-01") as refused:
        _first(database, "r1", at=datetime(2100, 1, 1, tzinfo=UTC))
    assert refused.value.rule == "config_activations_past"
    assert _statuses(database) == {"r1": "REGISTERED"}


@pytest.mark.parametrize("author", ["admin", " Admin"])
def test_nobody_activates_a_first_config_in_a_principals_name(database: Database, author: str) -> None:
    _register(database, "r1")
    with database.connect(Role.OWNER) as session:
        begin_principals(session, "admin", hash_of("a token"), code_version="test")
    with pytest.raises(NotAllowed, match="is a principal"):
        _first(database, "r1", by=author)
    assert _statuses(database) == {"r1": "REGISTERED"}


@pytest.mark.parametrize(("expected", "scope"), [("r1", "*"), (None, "EU_EQ")])
def test_not_even_the_owner_activates_a_second_config_without_a_promotion(
    database: Database, expected: str | None, scope: str
) -> None:
    for name in ("r1", "r2"):
        _register(database, name)
    _first(database, "r1")
    with pytest.raises(psycopg.errors.RestrictViolation, match="without a promotion"):  # noqa: SIM117
        with database.connect(Role.OWNER) as connection:
            swap = "SELECT kronos.swap_incumbent('REGIME', 'r2', 'x', 'x', now(), %s, %s)"
            connection.execute(swap, [expected, scope])


def test_of_eight_activations_racing_for_one_incumbent_one_wins(database: Database) -> None:
    rivals = [f"r{number}" for number in range(1, 9)]
    for name in ("r0", *rivals):
        _register(database, name)
    _activate(database, "r0", None)

    def swap(name: str) -> str | None:
        try:
            _activate(database, name, "r0", T0 + DAY)
        except ConfigConflict:
            return None
        return name

    with ThreadPoolExecutor(8) as pool:
        winners = [name for name in pool.map(swap, rivals) if name]
    assert len(winners) == 1
    assert [name for name, status in _statuses(database).items() if status == "ACTIVE"] == winners


@pytest.mark.parametrize("role", [Role.READER, Role.ORCHESTRATOR, Role.CHAT, Role.UPSTREAM])
def test_only_the_change_manager_activates(database: Database, role: Role) -> None:
    with database.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT kronos.activate_config('REGIME', 'r1', 'x', 'x', now(), null, '*')")


@pytest.mark.parametrize("role", [Role.READER, Role.CHAT, Role.UPSTREAM, Role.CHANGE_MANAGER])
def test_only_the_orchestrator_registers(database: Database, role: Role) -> None:
    with database.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT kronos.register_config('r1', 'REGIME', '1', '{}', 'x', now())")
