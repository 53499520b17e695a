"""Every role tries every write on every table: what is not in the README's grants is refused."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from kronos.settings import sql_root
from kronos.store.database import Connection, Database, Role
from kronos_tests.store.promoting import Gated

ROLES = [Role.READER, Role.ORCHESTRATOR, Role.CHAT, Role.CHANGE_MANAGER, Role.UPSTREAM]
VERBS = ("insert", "update", "delete", "truncate")
COLUMNS = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = %s AND table_name = %s AND is_generated = 'NEVER' AND is_identity = 'NO' ORDER BY ordinal_position
"""
NOT_WRITABLE = (psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.WrongObjectType)
"""A view that nobody writes."""
GUARDED = (
    "change_log", "config_activations", "promotions", "approvals", "principals", "promotion_latch", "engine_configs",
    "gate_policies", "control_suites", "experiment_verdicts", "trials", "superseded_results",
)  # fmt: skip
"""What no role may change or remove a row of."""


def documented() -> dict[tuple[str, Role], set[str]]:
    """The README's matrix: verbs by table and role."""
    section = (sql_root() / "README.md").read_text().split("<!-- grants -->")[1]
    rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in section.splitlines() if "." in line]
    tables = [row for row in rows if len(row) >= len(ROLES)]
    return {
        (row[0], role): {verb.rstrip("*") for verb in cells.split()}
        for row in tables
        for role, cells in zip(ROLES, [*row[1:], ""], strict=False)
    }


def refused(session: Connection, statement: sql.Composed) -> bool:
    """Whether the role may not run the statement at all; what constraints and triggers refuse it may."""
    try:
        with session.transaction():
            session.execute(statement)
            raise psycopg.Rollback
    except (psycopg.errors.InsufficientPrivilege, *NOT_WRITABLE):
        return True
    except psycopg.Error:
        return False
    return False


def attempts(verb: str, table: sql.Identifier, columns: list[str]) -> list[sql.Composed]:
    """The verb's statements: for columns one by one, so that a grant on some of them is found."""
    named = [sql.Identifier(name) for name in columns]
    if verb == "insert":
        return [sql.SQL("INSERT INTO {} ({}) VALUES (NULL)").format(table, name) for name in named]
    if verb == "update":
        return [sql.SQL("UPDATE {} SET {} = NULL").format(table, name) for name in named]
    return [sql.SQL("DELETE FROM {}" if verb == "delete" else "TRUNCATE {} CASCADE").format(table)]


@pytest.mark.parametrize("role", ROLES)
def test_every_write_on_every_table_is_refused_unless_it_is_granted(database: Database, role: Role) -> None:
    Gated(database).begin()
    matrix, found = documented(), []
    with database.connect(Role.OWNER) as owner, database.connect(role, autocommit=True) as session:
        for table in sorted({table for table, of in matrix if of is role}):
            schema, name = table.split(".")
            columns = [row[0] for row in owner.execute(COLUMNS, [schema, name])]
            for verb in VERBS:
                tries = attempts(verb, sql.Identifier(schema, name), columns)
                allowed = any(not refused(session, one) for one in tries)
                if allowed != (verb in matrix[table, role]):
                    found.append(f"{verb} {table}: {'allowed' if allowed else 'refused'}")
            # an open snapshot of the owner would make the next TRUNCATE wait
            owner.rollback()
    assert found == []


@pytest.mark.parametrize("table", GUARDED)
def test_no_role_changes_or_removes_what_the_record_rests_on(table: str) -> None:
    matrix = documented()
    held = {role: matrix[f"kronos.{table}", role] for role in ROLES}
    assert not any(verbs & {"update", "delete", "truncate"} for verbs in held.values())


@pytest.mark.parametrize("role", [Role.READER, Role.ORCHESTRATOR, Role.CHAT, Role.UPSTREAM])
@pytest.mark.parametrize(
    "call",
    [
        "approve('token of mia', gen_random_uuid(), 'x', 'x')",
        "reject('token of mia', gen_random_uuid(), 'x')",
        "promote('token of mia', gen_random_uuid(), 'x')",
        "rollback('token of mia', 'REGIME', '*', 'base', 'x')",
        "activate_due()",
        "adopt_config('token of mia', 'NEW', 'base', 'x', '2020-01-02', '2020-01-03', '2020-01-03')",
        "reopen_latch('token of mia', 'REGIME', 1, 'x')",
        "activate_config('NEW', 'base', 'x', 'x', now(), null, '*')",
        "swap_incumbent('REGIME', 'base', 'x', 'x', now(), 'base', '*')",
        "enter_approval(gen_random_uuid(), 'x', 'PERSON', 'mia', 'x')",
        "enter_latch_event('REGIME', 'OPEN', 'X', '{}', 'x')",
        "log_change('promotion', 'x', null, 'ACTIVATED', null, null, '{}')",
        "add_principal('token of admin', 'eve', 'PERSON', 'admin', repeat('0', 64))",
    ],
)
def test_no_other_role_calls_a_step_of_the_path_even_with_a_token(database: Database, role: Role, call: str) -> None:
    with (
        database.connect(role) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"),
    ):
        session.execute(f"SELECT kronos.{call}")


@pytest.mark.parametrize(
    "call",
    [
        "swap_incumbent('REGIME', 'x', 'x', 'x', now(), 'base', '*')",
        "require_pass(null)",
        "enter_approval(gen_random_uuid(), 'x', 'PERSON', 'mia', 'x')",
        "enter_latch_event('REGIME', 'OPEN', 'X', '{}', 'x')",
        "begin_principals('eve', repeat('0', 64))",
        "settle_promotion(null)",
    ],
)
def test_not_even_the_change_manager_calls_what_is_inside(database: Database, call: str) -> None:
    with database.connect(Role.CHANGE_MANAGER) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(f"SELECT kronos.{call}")
